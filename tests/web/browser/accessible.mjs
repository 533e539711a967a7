// axe-core finds nothing, in both themes, at three widths, in each view and dialog.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { check, ready, until } from "./page.mjs";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const ALL = ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"];
// What a theme can change; what is built how is the same in both.
const COLOURS = ["color-contrast", "link-in-text-block"];

await check(async ({ open }) => {
  const found = [];
  for (const [colorScheme, width, height, rules] of [["dark", 1440, 900, ALL], ["light", 1440, 900, COLOURS], ["light", 1024, 768, ALL], ["dark", 390, 844, ALL]]) {
    const page = await open(process.env.LOGD_WEB_PATH, { colorScheme, viewport: { width, height }, bypassCSP: true });
    await ready(page);
    await page.addScriptTag({ content: axe });
    const look = async (where) => {
      await until(page, "nothing is loading", () => !document.querySelector(".stale"));
      const { violations } = await page.evaluate((runOnly) => window.axe.run(document, { runOnly, resultTypes: ["violations"] }), rules);
      for (const v of violations) found.push(`${colorScheme} ${width} ${where}: ${v.id}: ${v.nodes.length} × ${v.nodes[0].html.slice(0, 160)} ${v.nodes[0].failureSummary?.slice(0, 200)}`);
    };
    await look("records");
    if (width === 390) {
      await page.locator("#open-facets").click();
      await look("filters");
      await page.keyboard.press("Escape");
    }
    await page.keyboard.press("E");
    await until(page, "the record is open", () => document.querySelector("#detail .context button"));
    await look("detail");
    await page.keyboard.press("Escape");
    await page.keyboard.press("2");
    await until(page, "tracebacks", () => document.querySelector(".card"));
    await look("tracebacks");
    await page.keyboard.press("3");
    await until(page, "different", () => document.querySelector("#different h2"));
    await look("different");
    await page.keyboard.press("?");
    await until(page, "keys", () => document.querySelector("dialog[open] .keys"));
    await look("keys");
    await page.keyboard.press("Escape");
    await until(page, "the dialog is closed", () => !document.querySelector("dialog").open);
    await page.keyboard.press("s");
    await until(page, "views", () => document.querySelector("dialog[open] input"));
    await look("views");
    await page.context().close();
  }
  if (found.length) throw new Error(found.join("\n"));
});
