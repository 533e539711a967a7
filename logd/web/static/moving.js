// Going through the records by keys: to the next one, to the next error, to the ends.

import { get } from "./api.js";
import { chosen, go, here } from "./here.js";
import { say } from "./says.js";
import { parts } from "./state.js";

/** @typedef {import("./list.js").List} List */

/**
 * To the next record in a direction; with categories to the next one of these, wherever that is.
 * @param {List} list @param {number} by @param {string} [what] @param {string[]} [cats]
 */
export async function move(list, by, what = "record", cats = []) {
  const test = cats.length ? (/** @type {{cat: string}} */ e) => cats.includes(e.cat) : undefined;
  if (here.state.tab !== "records") go({ tab: "records" });
  if (await list.move(by, test)) return;
  const found = cats.length ? await seek(list, by, cats, what) : null;
  if (!found || (test && !test(found))) { say(`no ${by > 0 ? "later" : "earlier"} ${what}`); return; }
  await list.load(found.at);
  go({ at: found.at }, { replace: here.state.at !== "" });
}

/** @param {List} list @param {number} by @param {string[]} cats @param {string} what */
async function seek(list, by, cats, what) {
  const { f: filters } = here.state;
  const asked = filters.filter((f) => f.startsWith("cat:")).flatMap((f) => parts(f)[1].split(","));
  const wanted = asked.length ? cats.filter((cat) => asked.includes(cat)) : cats;
  if (!wanted.length) return null;
  const params = chosen();
  params.delete("f");
  for (const f of [...filters.filter((text) => !text.startsWith("cat:")), ...wanted.map((cat) => `cat:${cat}`)]) params.append("f", f);
  say(`looking for ${by > 0 ? "a later" : "an earlier"} ${what} …`);
  for (let tries = 0; tries < 2; tries += 1) {
    try {
      return await list.seek(new URLSearchParams(params), by);
    } catch (error) {
      // What was loading when the key was pressed took its place: look once more.
      if (/** @type {Error} */ (error).name !== "AbortError") break;
    }
  }
  return null;
}

/** To the oldest record. @param {List} list @param {AbortSignal} signal */
export async function toFirst(list, signal) {
  const params = chosen();
  params.set("limit", "1");
  params.set("first", "1");
  let page = await get("entries", params, signal);
  while (page.partial && !page.entries.length) {
    params.delete("first");
    params.set("place", page.next);
    page = await get("entries", params, signal);
  }
  if (page.entries.length) await list.load(page.entries[0].at);
}
