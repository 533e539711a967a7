// Nothing a record holds runs: anywhere in the page, in any view.

import { check, expect, ready, until } from "./page.mjs";

await check(async ({ open }) => {
  const page = await open("/?from=0");
  let dialogs = 0;
  page.on("dialog", (dialog) => { dialogs += 1; dialog.dismiss(); });
  await ready(page);
  const count = Number(process.env.LOGD_WEB_COUNT);
  await until(page, "all records are listed", (n) => document.querySelectorAll(".row").length === n, count);
  await page.keyboard.press("g");
  await ready(page);
  for (let i = 0; i < count; i += 1) {
    await page.keyboard.press("j");
    await until(page, "a record opens", () => document.querySelector("#detail h2"));
  }
  for (const key of ["2", "3", "1", "t", "t", "s"]) {
    await page.keyboard.press(key);
    await page.waitForTimeout(150);
  }
  const found = await page.evaluate(() => ({
    ran: window.ran, violations: window.violations, polluted: Object.keys(Object.prototype).join(),
    classes: [...document.querySelectorAll(".row")].map((row) => row.className).filter((name) => !/^row( [EWID])?$/.test(name.trim())),
    foreign: [...document.querySelectorAll("img, iframe, object, embed, script:not([src]), [onerror], [onload], [style*=evil]")].map((e) => e.outerHTML),
    text: document.body.innerText.includes("<script>"),
  }));
  expect(found.ran === undefined, "a record ran something");
  expect(dialogs === 0, "a record opened a dialog");
  expect(!found.foreign.length, `elements of a record: ${found.foreign}`);
  expect(!found.violations.length, `violations: ${found.violations}`);
  expect(!found.polluted, `every object has ${found.polluted}`);
  expect(!found.classes.length, `classes of a record: ${found.classes}`);
  expect(found.text, "the text is shown as it is");
});
