// A page in headless Chromium, and what every check wants to know of it.

import { chromium } from "playwright-core";

const ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync"];

/** Run a check with a page that is signed in; prints what failed and ends with 1. */
export async function check(run) {
  const link = process.env.LOGD_WEB_LINK, cookie = process.env.LOGD_WEB_COOKIE;
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ARGUMENTS });
  const problems = [];
  try {
    const open = async (path, options = {}) => {
      const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, ...options });
      const [name, value] = cookie.split("=", 2);
      await context.addCookies([{ name, value, url: link }]);
      const page = await context.newPage();
      page.on("pageerror", (error) => problems.push(`error in the page: ${error.message}`));
      page.on("console", (m) => { if (m.type() === "error" && !m.text().includes("status of 4") && !m.text().includes("ERR_")) problems.push(`console: ${m.text()}`); });
      await page.addInitScript(() => {
        window.violations = [];
        // When there are records and a picture for the first time.
        const look = () => (document.querySelector(".row") && document.querySelector("#chart path") ? (window.usableAt = performance.now()) : requestAnimationFrame(look));
        requestAnimationFrame(look);
        addEventListener("securitypolicyviolation", (event) => window.violations.push(`${event.violatedDirective} ${event.blockedURI}`));
      });
      if (path !== "about:blank") await page.goto(new URL(path, link).href);
      return page;
    };
    await run({ open, browser });
  } catch (error) {
    problems.push(error.stack ?? String(error));
  }
  await browser.close();
  for (const problem of problems) console.error(problem);
  process.exitCode = problems.length ? 1 : 0;
}

export function expect(condition, text) {
  if (!condition) throw new Error(text);
}

/** Wait until something holds; the page's own functions are run by the page, as CSP allows that. */
export async function until(page, what, test, ...rest) {
  try {
    await page.waitForFunction(test, ...(rest.length ? rest : [undefined]), { timeout: 40_000, polling: 100 });
  } catch (error) {
    throw new Error(`${what}: ${error.message}\n${await page.evaluate(() => document.body.innerText.slice(0, 1500))}`);
  }
}

export const ready = (page) => until(page, "the page is drawn", () => document.querySelector("#progress").hidden && document.querySelector("#count").textContent !== "–" && (document.querySelector(".row") || document.querySelector(".empty")));
export const rows = (page) => page.locator(".row");
export const text = (page, selector) => page.locator(selector).first().innerText();
