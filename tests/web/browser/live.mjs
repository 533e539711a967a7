// The live tail: no gap and no repeat through a kill of the daemon and a restart of the server.
// Commands come on standard input, what is seen goes to standard output.

import { createInterface } from "node:readline";
import { check, ready, until } from "./page.mjs";

await check(async ({ open }) => {
  const page = await open("/");
  await ready(page);
  console.log("ready");
  for await (const line of createInterface({ input: process.stdin })) {
    const [command, argument] = line.split(" ");
    if (command === "wait") {
      await until(page, `record ${argument} is seen`, (n) => [...document.querySelectorAll(".row .m")].some((m) => m.textContent === `record ${n}`), argument);
      console.log("seen");
    } else if (command === "state") {
      await until(page, `the state is ${argument}`, (name) => document.querySelector("#live").classList.contains(name) === (name !== "live") || (name === "live" && !document.querySelector("#live").classList.contains("away") && document.querySelector("#state").textContent.startsWith("live")), argument);
      console.log("so");
    } else if (command === "pause") {
      await page.keyboard.press("l");
      await until(page, "it is paused", () => document.querySelector("#live").getAttribute("aria-pressed") === "false");
      console.log("so");
    } else if (command === "new") {
      await until(page, "it says how many came", (n) => document.querySelector("#new").textContent === `↓ ${n} new`, argument);
      console.log("so");
    } else if (command === "resume") {
      await page.keyboard.press("l");
      await until(page, "it is live", () => document.querySelector("#state").textContent.startsWith("live"));
      console.log("so");
    } else if (command === "rows") {
      console.log(JSON.stringify(await page.locator(".row .m").allInnerTexts()));
    } else if (command === "signin") {
      await until(page, "it asks for a token", () => document.querySelector("dialog[open] input[name=token]"));
      await page.locator("dialog input[name=token]").fill(argument);
      await page.locator("dialog form button").click();
      await until(page, "it is signed in", () => !document.querySelector("dialog").open);
      console.log("so");
    } else break;
  }
});
