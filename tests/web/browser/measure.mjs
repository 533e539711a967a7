// Measures the page in a real browser: commands on standard input, an answer in JSON for each.

import { createInterface } from "node:readline";
import { check, ready, until } from "./page.mjs";

/** In the page: click something, and milliseconds until the new picture is drawn. */
const clicked = async (selector) => {
  const begin = performance.now();
  const before = document.querySelector("#took").textContent;
  document.querySelector(selector).click();
  const isDrawn = () => document.querySelector("#progress").hidden && !document.querySelector(".stale") && document.querySelectorAll(".chip").length;
  for (let n = 0; n < 4000; n += 1) {
    await new Promise((resolve) => { requestAnimationFrame(resolve); });
    if (performance.now() - begin > 5 && document.querySelector("#took").textContent !== before && isDrawn()) return performance.now() - begin;
  }
  return NaN;
};

/** In the page: how long after it was logged each record was seen that says when that was. */
const observe = () => {
  window.seen = [];
  const look = (rows) => {
    const now = performance.timeOrigin + performance.now();
    for (const row of rows) {
      const at = /^sent ([\d.]+)/.exec(row.querySelector?.(".m")?.textContent ?? "");
      if (at) window.seen.push(now - Number(at[1]) * 1000);
    }
  };
  new MutationObserver((changes) => requestAnimationFrame(() => changes.forEach((c) => look(c.addedNodes)))).observe(document.querySelector("#list"), { childList: true });
};

await check(async ({ open }) => {
  console.log("ready");
  const pages = [];
  let scanning = null;
  for await (const line of createInterface({ input: process.stdin })) {
    const { command, path, selector, count } = JSON.parse(line);
    const page = pages[0];
    let answer = null;
    if (command === "open") {
      const begun = await open(path, { bypassCSP: false });
      await ready(begun);
      pages.unshift(begun);
      answer = await begun.evaluate(() => {
        const files = performance.getEntriesByType("resource").filter((e) => e.name.includes("/static/") && !e.name.endsWith(".svg"));
        const page = performance.getEntriesByType("navigation")[0];
        return {
          paint_ms: performance.getEntriesByName("first-contentful-paint")[0]?.startTime,
          requests: files.length + 1,
          bytes: [...files, page].reduce((sum, e) => sum + e.encodedBodySize, 0),
        };
      });
      answer.usable_ms = await begun.evaluate(() => window.usableAt);
    } else if (command === "close") {
      while (pages.length) await pages.pop().context().close();
    } else if (command === "click") {
      await page.goto(new URL(path, process.env.LOGD_WEB_LINK).href);
      await ready(page);
      answer = await page.evaluate(clicked, selector);
    } else if (command === "observe") {
      await until(page, "it is live", () => document.querySelector("#state").textContent.startsWith("live"));
      await page.evaluate(observe);
    } else if (command === "seen") {
      await until(page, "all are seen", (n) => window.seen.length >= n, count);
      answer = await page.evaluate(() => window.seen);
    } else if (command === "behind") {
      await until(page, "it says that it is behind", () => document.querySelector("#live").classList.contains("behind"));
      answer = await page.evaluate(() => document.querySelector("#state").textContent);
    } else if (command === "heap") {
      const session = await page.context().newCDPSession(page);
      await session.send("HeapProfiler.collectGarbage");
      const { usedSize } = await session.send("Runtime.getHeapUsage");
      answer = usedSize;
    } else if (command === "scan") {
      // One search after the other, each for something that is nowhere, part by part as the page does.
      const state = scanning = { is: true, count: 0 };
      state.done = (async () => {
        for (let more = ""; state.is;) {
          const search = encodeURIComponent(`/order [0-9]+ nowhere ${state.count}/`);
          const part = await page.evaluate(async (url) => (await fetch(url)).json(), `api/1/view?q=${search}&from=0${more}`);
          more = part.partial ? `&from=${part.from}&to=${part.to}&step=${part.step}&before=${encodeURIComponent(part.next)}` : "";
          state.count += part.partial ? 0 : 1;
        }
      })();
    } else if (command === "rest") {
      scanning.is = false;
      await scanning.done;
      answer = scanning.count;
    } else break;
    console.log(JSON.stringify(answer));
  }
});
