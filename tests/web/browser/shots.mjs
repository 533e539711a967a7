// Pictures of the page, to be looked at: each view and state, wide and narrow, dark and light.

import { check, ready, until } from "./page.mjs";

const SIZES = { wide: [1440, 900], middle: [1024, 768], phone: [390, 844] };
const folder = process.env.LOGD_SHOTS;
const path = process.env.LOGD_WEB_PATH;
const only = process.env.LOGD_SHOTS_ONLY ?? "";

const calm = (page) => until(page, "nothing is loading", () => !document.querySelector(".stale") && document.querySelector("#progress").hidden);

/** In the page: a stream that tells a state and then nothing. */
const told = (state) => {
  window.EventSource = class extends EventTarget {
    constructor() {
      super();
      setTimeout(() => this.dispatchEvent(new MessageEvent("state", { data: JSON.stringify(state) })));
    }
    close() {}
  };
};

await check(async ({ open, browser }) => {
  // The one of the README: an incident, with one of its errors open.
  if (!only || only === "picture") {
    const page = await open(process.env.LOGD_INCIDENT_PATH);
    await page.emulateMedia({ colorScheme: "dark" });
    await page.setViewportSize({ width: 1280, height: 760 });
    await ready(page);
    await until(page, "the deploy is marked", () => document.querySelector("#chart").textContent.includes("deploy 2.14.0"));
    await page.keyboard.press("E");
    await until(page, "a traceback is open", () => document.querySelector("#detail .frame.own"));
    await until(page, "the context is shown", () => document.querySelectorAll("#detail .context button").length >= 2);
    await until(page, "it is told since when it is new", () => document.querySelector("#detail .verdict")?.textContent.includes("New since"));
    await ready(page);
    // How long it took tells of the machine that draws it.
    await page.evaluate(() => { document.querySelector("#took").textContent = ""; });
    await page.screenshot({ path: `${folder}/picture.png` });
    await page.context().close();
  }
  if (only === "picture") return;
  for (const scheme of (process.env.LOGD_SHOTS_SCHEMES ?? "dark,light").split(",")) {
    for (const [name, [width, height]] of Object.entries(SIZES)) {
      const begin = async (where, prepare = async () => {}) => {
        const page = await open("about:blank");
        await page.emulateMedia({ colorScheme: scheme });
        await page.setViewportSize({ width, height });
        await prepare(page);
        await page.goto(new URL(where, process.env.LOGD_WEB_LINK).href);
        return page;
      };
      const shoot = (page, what) => page.screenshot({ path: `${folder}/${name}-${scheme}-${what}.png` });
      const page = await begin(path);
      await ready(page);
      await shoot(page, "records");
      if (name === "phone") {
        await page.locator("#open-facets").click();
        await shoot(page, "filters");
        await page.keyboard.press("Escape");
      }
      await page.keyboard.press("e");
      await until(page, "a traceback is open", () => document.querySelector("#detail .frame.own"));
      await until(page, "the context is shown", () => document.querySelector("#detail .context button"));
      await until(page, "it is told since when it is new", () => document.querySelector("#detail .verdict"));
      await shoot(page, "detail");
      await page.keyboard.press("Escape");
      await page.keyboard.press("2");
      await until(page, "tracebacks", () => document.querySelectorAll("#tracebacks .card").length >= 2);
      await calm(page);
      await shoot(page, "tracebacks");
      await page.keyboard.press("3");
      await until(page, "what is different", () => document.querySelector("#different h2"));
      await calm(page);
      await shoot(page, "different");
      await page.keyboard.press("1");
      await page.keyboard.press("?");
      await shoot(page, "keys");
      await page.keyboard.press("Escape");
      await page.keyboard.press("s");
      await until(page, "saved views", () => document.querySelector("dialog input"));
      await shoot(page, "views");
      await page.keyboard.press("Escape");
      await until(page, "the dialog is closed", () => !document.querySelector("dialog").open);
      await page.keyboard.press("/");
      await page.keyboard.type("cat:E -logger:shop.tasks nothing like this");
      await page.keyboard.press("Enter");
      await until(page, "nothing is found", () => document.querySelector(".empty"));
      await ready(page);
      await shoot(page, "nothing");
      await page.keyboard.press("Control+A");
      await page.keyboard.type("/(/");
      await page.keyboard.press("Enter");
      await until(page, "it says what is wrong", () => document.querySelector("[role=alert]"));
      await shoot(page, "wrong");
      await page.context().close();

      const gone = await begin(`${path}&at=${process.env.LOGD_GONE}`);
      await until(gone, "the record is gone", () => document.querySelector("#detail")?.textContent.includes("gone"));
      await ready(gone);
      await shoot(gone, "gone");
      await gone.context().close();

      // A part of the answer, and the rest does not come.
      const part = await begin(path, (p) => p.route("**/api/1/view?*", async (route) => {
        if (route.request().url().includes("before=")) return;
        const response = await route.fetch();
        const answer = await response.json();
        await route.fulfill({ response, json: { ...answer, partial: true, done: 0.38, next: "x", bytes: 9_700_000_000, searched_back_to: answer.from + 0.62 * (answer.to - answer.from) } });
      }));
      await until(part, "a part is shown", () => document.querySelector("#progress-text").textContent.includes("38 %"));
      await shoot(part, "loading");
      await part.context().close();

      // A search for what is rare: nothing by now, then stopped.
      const rare = await begin(`${path}&q=needle`, (p) => p.route("**/api/1/entries?*", async (route) => {
        if (route.request().url().includes("before=")) return;
        const response = await route.fetch();
        await route.fulfill({ response, json: { ...(await response.json()), entries: [], more_before: true, partial: true, next: "x" } });
      }));
      await until(rare, "it searches", () => document.querySelector("#list .searching:not(.slow)"));
      await shoot(rare, "searching");
      await rare.keyboard.press("Escape");
      await until(rare, "it is stopped", () => document.querySelector("#list button"));
      await shoot(rare, "stopped");
      await rare.context().close();

      for (const [state, text] of [
        ["away", "the daemon does not run; reading what is kept"],
        ["behind", "40,212 records a second, too many to show each; all of them are in the log"],
      ]) {
        const page = await begin("/", (p) => p.addInitScript(told, { name: state, text }));
        await ready(page);
        await until(page, state, (name) => document.querySelector("#live").classList.contains(name), state);
        await shoot(page, state);
        await page.context().close();
      }

      const broken = await begin(path, (p) => p.route("**/api/1/*", (route) => (route.request().url().includes("about") ? route.continue() : route.abort())));
      await until(broken, "the server is away", () => document.querySelector("[role=alert]"));
      await shoot(broken, "broken");
      await broken.context().close();

      const out = await begin(path, (p) => p.context().clearCookies());
      await until(out, "signed out", () => document.querySelector("dialog[open] form"));
      await shoot(out, "signed-out");
      await out.context().close();

      if (name === "wide") {
        // What a window of 1440 × 900 shows at 200 %.
        const large = await open(path, { viewport: { width: 720, height: 450 }, deviceScaleFactor: 2, colorScheme: scheme });
        await ready(large);
        await shoot(large, "zoomed");
        await large.context().close();
      }

      const empty = await begin("/", async (p) => {
        await p.context().addCookies([{ name: process.env.LOGD_EMPTY_COOKIE.split("=")[0], value: process.env.LOGD_EMPTY_COOKIE.split("=")[1], url: process.env.LOGD_EMPTY_LINK }]);
      });
      await empty.goto(process.env.LOGD_EMPTY_LINK);
      await until(empty, "nothing is there", () => document.querySelector(".empty"));
      await calm(empty);
      await shoot(empty, "empty");
      await empty.context().close();
    }
  }
});
