// Every key does what the help says; all of the state is in the URL; back goes back.

import { check, expect, ready, text, until } from "./page.mjs";

await check(async ({ open }) => {
  const page = await open(process.env.LOGD_WEB_PATH);
  await ready(page);
  const url = () => new URL(page.url()).searchParams;

  await page.keyboard.press("e");
  await until(page, "e opens an error", () => document.querySelector(".row[aria-selected=true].E") && !document.querySelector("#detail").hidden);
  expect(url().get("at"), "the open record is in the URL");
  const at = url().get("at");
  await page.keyboard.press("E");
  await until(page, "E goes to the one before", (old) => { const row = document.querySelector(".row[aria-selected=true]"); return row && row.dataset.at !== old && row.classList.contains("E"); }, at);
  await until(page, "the traceback is shown", () => document.querySelector("#detail .frame.own"));
  await until(page, "a line leads to its source", () => /^https:\/\/code\.example\/srv\/shop\/.*#L\d+$/.test(document.querySelector("#detail .frame.own a")?.href));
  await until(page, "the context is shown", () => document.querySelectorAll("#detail .context button").length >= 1);
  await page.keyboard.press("c");
  await until(page, "c takes the next scope", () => document.querySelector('.segments [data-scope="thread"]').getAttribute("aria-pressed") === "true");
  await page.keyboard.press("Escape");
  await until(page, "Esc closes", () => document.querySelector("#detail").hidden);
  expect(!url().get("at"), "and the URL knows");

  const selected = () => page.evaluate(() => document.querySelector(".row[aria-selected=true]")?.dataset.at);
  const first = await selected();
  await page.keyboard.press("k");
  await until(page, "k moves", (old) => document.querySelector(".row[aria-selected=true]")?.dataset.at !== old, first);
  await page.keyboard.press("j");
  await until(page, "j moves back", (old) => document.querySelector(".row[aria-selected=true]")?.dataset.at === old, first);
  await page.keyboard.press("Escape");

  await page.keyboard.press("2");
  await until(page, "2 shows tracebacks", () => document.querySelectorAll("#tracebacks .card").length >= 2);
  await until(page, "new ones come first", () => document.querySelector("#tracebacks .card").textContent.includes("new since 2.14.0"));
  await page.keyboard.press("J");
  await page.keyboard.press("J");
  await until(page, "J focuses a card", () => document.activeElement.classList.contains("card"));
  await page.keyboard.press("3");
  await until(page, "3 shows what is different", () => document.querySelector("#different h2"));
  await page.keyboard.press("1");
  await until(page, "1 shows records", () => !document.querySelector("#records").hidden);

  // A card shows its records, and for which users.
  await page.locator("#tracebacks .card").first().evaluate((card) => card.click());
  await until(page, "the chip says which traceback it is", () => document.querySelector(".chip")?.textContent.includes("KeyError: 'vat_id'"));
  await until(page, "and no other records are there", (n) => document.querySelector("#count").textContent === n && document.querySelector("#progress").hidden, await text(page, "#tracebacks .card .count b"));
  await until(page, "users are a facet", () => document.querySelectorAll('#facets section[aria-label="user"] .facet').length >= 2);
  await page.goBack();
  await until(page, "back drops it", () => !document.querySelector(".chip"));
  await ready(page);

  // The rows before were all there is of one traceback: they begin at the beginning, too.
  await until(page, "the list is that of all records", () => !document.querySelector("#list.stale") && !document.querySelector(".edge"));
  await page.keyboard.press("g");
  await until(page, "g goes to the first record", () => document.querySelector(".edge")?.textContent.includes("begins here"));
  for (let n = 0; n < 3; n += 1) {
    const from = await selected();
    await page.keyboard.press("w");
    await until(page, "w finds the next warning, however far", (old) => { const row = document.querySelector(".row[aria-selected=true].W"); return row && row.dataset.at !== old; }, from);
  }
  await page.keyboard.press("Escape");
  await until(page, "Esc closes it", () => document.querySelector("#detail").hidden);

  await page.keyboard.press("/");
  await page.keyboard.type("host:web-2");
  await page.keyboard.press("Enter");
  await until(page, "a host is found by its name", () => document.querySelector(".chip")?.textContent.includes("web-2") && document.querySelector(".row"));
  await ready(page);
  expect(url().get("f") === "host:10.20.0.12", `the address is in the URL: ${page.url()}`);
  await page.keyboard.press("Escape");
  await page.goBack();
  await until(page, "back drops the host", () => !document.querySelector(".chip"));

  await page.keyboard.press("/");
  await page.keyboard.type("cat:E -logger:shop.tasks failed");
  await page.keyboard.press("Enter");
  await until(page, "words become chips", () => document.querySelectorAll(".chip").length === 2);
  await ready(page);
  await until(page, "what was looked for is marked", () => document.querySelector(".row mark")?.textContent === "failed");
  expect(url().getAll("f").join() === "cat:E" && url().getAll("x").join() === "logger:shop.tasks" && url().get("q") === "failed", `the URL: ${page.url()}`);
  const total = await text(page, "#count");
  await page.keyboard.press("Escape");
  await page.goBack();
  await until(page, "back goes back", () => document.querySelectorAll(".chip").length === 0);
  await page.goForward();
  await until(page, "forward goes forward", () => document.querySelectorAll(".chip").length === 2);
  await until(page, "and shows the same", (t) => document.querySelector("#count").textContent === t, total);
  await page.keyboard.press("/");
  await page.keyboard.press("Control+A");
  await page.keyboard.press("Delete");
  await page.keyboard.press("Backspace");
  await until(page, "Backspace on nothing drops a chip", () => document.querySelectorAll(".chip").length === 1);
  await page.keyboard.press("Escape");

  await page.locator(".facet .pick").first().focus();
  await page.keyboard.press("x");
  await until(page, "x excludes what has the focus", () => document.querySelector(".chip.not"));
  await ready(page);
  const before = url().get("from");
  await page.keyboard.press("z");
  await until(page, "z zooms out", (old) => new URL(location.href).searchParams.get("from") !== old, before);
  const zoomed = url().get("from");
  await page.keyboard.press("[");
  await until(page, "[ goes earlier, also before the answer is there", (old) => Number(new URL(location.href).searchParams.get("from")) < Number(old) || !old, zoomed);
  await page.keyboard.press("t");
  await until(page, "t shows a table", () => document.querySelector(".charttable"));
  await page.keyboard.press("t");
  await page.keyboard.press("?");
  await until(page, "? shows the keys", () => document.querySelector("dialog[open] .keys"));
  await page.locator('.key[aria-label^="2:"]').click();
  await until(page, "a key can be clicked there", () => !document.querySelector("dialog").open && !document.querySelector("#tracebacks").hidden);
  expect(!(await page.evaluate(() => window.violations)).length, "no violation of the policy");
});
