// Many tabs on one server: only the one that is looked at asks anything, and one that is shown again
// goes on where it was. Commands come on standard input, what is seen goes to standard output.

import { createInterface } from "node:readline";
import { check, ready, until } from "./page.mjs";

const COUNT = 8;

await check(async ({ open, browser }) => {
  const context = await browser.newContext({ viewport: { width: 800, height: 600 } });
  const [name, value] = process.env.LOGD_WEB_COOKIE.split("=", 2);
  await context.addCookies([{ name, value, url: process.env.LOGD_WEB_LINK }]);
  // Chromium without a screen hides no tab by itself.
  await context.addInitScript(() => {
    let away = false;
    Object.defineProperty(document, "hidden", { get: () => away });
    window.setAway = (now) => { away = now; document.dispatchEvent(new Event("visibilitychange")); };
  });
  const tabs = [];
  let asked = 0;
  const away = (tab, now) => tab.evaluate((is) => window.setAway(is), now);
  for (let n = 0; n < COUNT; n += 1) {
    const tab = await context.newPage();
    await tab.clock.install();
    await tab.goto(process.env.LOGD_WEB_LINK);
    await ready(tab);
    await until(tab, "it is live", () => document.querySelector("#state").textContent.startsWith("live"));
    if (n < COUNT - 1) await away(tab, true);
    tabs.push(tab);
  }
  for (const tab of tabs.slice(0, -1)) tab.on("request", () => { asked += 1; });
  console.log("ready");
  for await (const line of createInterface({ input: process.stdin })) {
    const [command, tab, argument] = line.split(" ");
    const page = tabs[Number(tab)];
    if (command === "wait") {
      await until(page, `record ${argument} is seen`, (n) => [...document.querySelectorAll(".row .m")].some((m) => m.textContent === `record ${n}`), argument);
      console.log("seen");
    } else if (command === "rows") {
      console.log(JSON.stringify(await page.locator(".row .m").allInnerTexts()));
    } else if (command === "later") {
      // As long as a lunch: whatever would ask by the clock has asked.
      for (const hidden of tabs.slice(0, -1)) await hidden.clock.fastForward(600_000);
      console.log(asked);
    } else if (command === "show") {
      await away(page, false);
      console.log("so");
    } else break;
  }
  await context.close();
});
