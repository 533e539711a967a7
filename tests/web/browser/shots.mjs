// Pictures of the page, to be looked at: each view, wide and narrow, dark and light.

import { check, ready, until } from "./page.mjs";

const SIZES = { wide: [1440, 900], middle: [1024, 768], phone: [390, 844] };
const folder = process.env.LOGD_SHOTS;
const path = process.env.LOGD_WEB_PATH;

await check(async ({ open }) => {
  // The one of the README: an incident, with one of its errors open.
  const page = await open(process.env.LOGD_INCIDENT_PATH);
  await page.emulateMedia({ colorScheme: "dark" });
  await page.setViewportSize({ width: 1280, height: 760 });
  await ready(page);
  await until(page, "the deploy is marked", () => document.querySelector("#chart").textContent.includes("deploy 2.14.0"));
  await page.keyboard.press("E");
  await until(page, "a traceback is open", () => document.querySelector("#detail .frame.own"));
  await until(page, "the context is shown", () => document.querySelectorAll("#detail .context button").length >= 2);
  await ready(page);
  await page.screenshot({ path: `${folder}/picture.png` });
  await page.close();
  for (const scheme of (process.env.LOGD_ONLY_PICTURE ? [] : ["dark", "light"])) {
    for (const [name, [width, height]] of Object.entries(SIZES)) {
      const page = await open(path);
      await page.emulateMedia({ colorScheme: scheme });
      await page.setViewportSize({ width, height });
      await ready(page);
      const shoot = (what) => page.screenshot({ path: `${folder}/${name}-${scheme}-${what}.png` });
      await shoot("records");
      await page.keyboard.press("e");
      await until(page, "a traceback is open", () => document.querySelector("#detail .frame.own"));
      await shoot("detail");
      await page.keyboard.press("Escape");
      await page.keyboard.press("2");
      await until(page, "tracebacks", () => document.querySelectorAll("#tracebacks .card").length >= 2);
      await shoot("tracebacks");
      await page.keyboard.press("3");
      await until(page, "what is different", () => document.querySelector("#different h2"));
      await shoot("different");
      await page.close();
    }
  }
});
