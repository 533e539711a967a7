// The list of records: a window of at most MAX_ROWS rows onto a log of any length. Scrolling to an
// edge brings more rows from there and drops those at the other end. What is rare is found in parts:
// each answer says where to go on.

import { ApiError, get } from "./api.js";
import { announce, byId, h, replace } from "./dom.js";
import { day, number, rowClass, stamp } from "./texts.js";

const PAGE_ROWS = 200;
const FILL_ROWS = 60;
const MAX_ROWS = 1000;
const EDGE_PX = 700;

/**
 * @typedef {object} Entry
 * @property {string} at cursor @property {number | null} time @property {string} cat @property {string} host
 * @property {number} pid @property {string} thread @property {string} func @property {string} site @property {string} path
 * @property {number} msgid @property {string} head first line of the message @property {number} more lines behind it
 * @property {{type: string, last: string} | null} exc @property {Record<string, unknown>} items
 * @property {number} [left] how many records before it are not in the list
 */

export class List {
  /**
   * @param {HTMLElement} place
   * @param {{selection: () => URLSearchParams, open: (entry: Entry) => void, empty: () => Node, hostName: (host: string) => string,
   *   words: () => string[], stop: () => void, begins: () => string, ended: (upto: string) => void}} page
   */
  constructor(place, page) {
    this.place = place;
    this.page = page;
    /** @type {Entry[]} */
    this.entries = [];
    this.selected = "";
    this.moreBefore = false;
    this.moreAfter = false;
    /** Where a search that was not ended goes on, backwards and forwards. */
    this.olderFrom = "";
    this.newerFrom = "";
    /** The end of the log that the rows reach to, if there is no more behind them. */
    this.upto = "";
    /** @type {"" | "on" | "stopped"} */
    this.search = "";
    /** @type {string[]} what is marked in the rows */
    this.words = [];
    this.waiting = 0;
    this.sticks = true;
    /** @type {number | null} how many are left out before the next that comes, 0: nobody knows */
    this.left = null;
    /** @type {AbortController | null} */
    this.abort = null;
    this.busy = false;
    place.addEventListener("scroll", () => this.scrolled(), { passive: true });
    place.addEventListener("click", (event) => {
      const row = /** @type {HTMLElement} */ (event.target).closest(".row");
      if (row) this.choose(/** @type {HTMLElement} */ (row).dataset.at ?? "", true);
    });
  }

  /** Load anew: the newest records, or those around a cursor. @param {string} around */
  async load(around = "") {
    this.abort?.abort();
    const abort = (this.abort = new AbortController());
    this.busy = true;
    this.search = "on";
    this.place.classList.add("stale");
    const params = this.page.selection();
    params.set("limit", String(PAGE_ROWS));
    if (around) params.set("around", around);
    try {
      const page = await get("entries", params, abort.signal);
      this.entries = page.entries;
      this.moreBefore = page.more_before;
      this.moreAfter = page.more_after;
      this.olderFrom = page.next ?? "";
      this.newerFrom = "";
      this.upto = page.upto ?? "";
      this.search = page.partial ? "on" : "";
      this.waiting = 0;
      this.left = null;
      this.sticks = !around && !page.more_after;
      this.draw();
      if (around) this.choose(around, false, true);
      else this.toEnd();
      if (around && !this.moreAfter) this.page.ended(this.upto);
      this.busy = false;
      if (page.partial) this.fill(abort);
      return page;
    } catch (error) {
      // Another place was asked for in the meantime.
      if (abort.signal.aborted) return null;
      this.search = "";
      this.busy = false;
      throw error;
    } finally {
      if (this.abort === abort) this.place.classList.remove("stale");
    }
  }

  /** Search further back until there is a screenful, or nothing more. @param {AbortController} [abort] */
  async fill(abort = (this.abort = new AbortController())) {
    this.busy = true;
    this.search = "on";
    this.draw();
    try {
      while (this.olderFrom && this.entries.length < FILL_ROWS) {
        const params = this.page.selection();
        params.set("limit", String(PAGE_ROWS));
        params.set("before", this.olderFrom);
        this.takeOlder(await get("entries", params, abort.signal));
      }
      this.search = "";
    } catch (error) {
      if (abort.signal.aborted) return;
      this.search = "stopped";
      announce(/** @type {Error} */ (error).message);
    }
    this.busy = false;
    this.draw();
    if (this.sticks) this.toEnd();
  }

  /** End a search that goes on; true if there was one. */
  stop() {
    if (this.search !== "on") return false;
    this.abort?.abort();
    this.abort = null;
    this.busy = false;
    this.search = "stopped";
    // What was there was found by the search before.
    if (this.place.classList.contains("stale")) {
      this.entries = [];
      this.olderFrom = "";
    }
    this.place.classList.remove("stale");
    this.draw();
    return true;
  }

  /** @param {any} page */
  takeOlder(page) {
    const all = [...page.entries, ...this.entries];
    if (all.length > MAX_ROWS) {
      this.moreAfter = true;
      this.newerFrom = "";
    }
    this.entries = all.slice(0, MAX_ROWS);
    this.moreBefore = page.more_before;
    this.olderFrom = page.next ?? "";
    if (!page.entries.length && this.search === "on") return;
    if (this.sticks) { this.draw(); this.toEnd(); } else this.keepPlace(() => this.draw());
  }

  /** @param {any} page */
  takeNewer(page) {
    const all = [...this.entries, ...page.entries];
    if (all.length > MAX_ROWS) {
      this.moreBefore = true;
      this.olderFrom = "";
    }
    this.entries = all.slice(-MAX_ROWS);
    this.moreAfter = page.more_after;
    this.newerFrom = page.next ?? "";
    this.keepPlace(() => this.draw());
    if (this.moreAfter) return;
    this.waiting = 0;
    this.upto = page.upto ?? "";
    this.showNew();
    this.page.ended(this.upto);
  }

  draw() {
    this.showNew();
    this.words = this.page.words();
    this.place.setAttribute("role", this.entries.length ? "listbox" : "region");
    if (!this.entries.length) {
      replace(this.place, this.search ? this.searching() : this.page.empty());
      return;
    }
    const rows = [];
    if (this.search === "on") rows.push(edge("Searching further back … Esc stops."));
    else if (this.olderFrom) rows.push(edge("Nothing before was searched yet: scroll up to go on."));
    else if (!this.moreBefore) rows.push(edge(this.page.begins()));
    let last = "";
    for (const entry of this.entries) {
      const today = entry.time === null ? last : day(entry.time);
      if (today !== last) rows.push(this.dayRow(today));
      last = today;
      if (entry.left !== undefined) rows.push(leftRow(entry.left));
      rows.push(this.row(entry));
    }
    replace(this.place, ...rows);
    this.markSelected();
  }

  /** Words for a search that has found nothing by now. */
  searching() {
    if (this.search === "on") return h("div", { class: "searching" }, h("h2", {}, "Nothing found yet"), h("p", {}, "The search goes further back."),
      h("button", { type: "button", class: "button", onclick: () => this.page.stop() }, "Stop ", h("kbd", { class: "wide-only" }, "Esc")));
    return h("div", { class: "searching" }, h("h2", {}, "The search was stopped"), h("p", {}, "Nothing was found until then."),
      h("button", { type: "button", class: "button", onclick: () => (this.olderFrom ? this.fill() : this.load().catch(() => {})) }, "Go on"));
  }

  /** @param {string} text */
  dayRow(text) {
    return h("div", { class: "day", role: "presentation" }, text);
  }

  /** @param {Entry} entry */
  row(entry) {
    const [time, ms] = entry.time === null ? ["", ""] : stamp(entry.time);
    return h("div", { class: ["row", rowClass(entry.cat)], role: "option", id: `r-${entry.at}`, "data-at": entry.at, "aria-selected": "false" },
      h("span", { class: "t" }, time, h("span", { class: "ms" }, ms)),
      h("span", { class: "cat" }, entry.cat || "-"),
      h("span", { class: "who" }, this.page.hostName(entry.host), h("span", { class: "pid" }, ` ${entry.pid}`)),
      h("span", { class: "m" }, marked(entry.head, this.words), entry.exc ? [" ", h("span", { class: "x" }, marked(entry.exc.last, this.words))] : null,
        entry.more ? h("span", { class: "more" }, ` +${entry.more}`) : null),
      h("span", { class: "site" }, entry.site));
  }

  /** Records came that are not shown. @param {number} count 0: nobody knows how many @param {string} upto where the log goes on behind them */
  leftOut(count, upto) {
    this.left = (this.left ?? 0) + count;
    if (!this.moreAfter) this.upto = upto;
  }

  /** Records came that are only counted: they are shown when they are asked for. @param {number} count */
  hold(count) {
    this.waiting += count;
    this.moreAfter = true;
    this.newerFrom = "";
    this.sticks = false;
    this.showNew();
  }

  /** Records that came live. @param {Entry[]} entries @param {string} upto where the log goes on behind them */
  add(entries, upto) {
    if (this.left !== null && entries.length) {
      entries[0].left = this.left;
      this.left = null;
    }
    if (this.moreAfter || !this.sticks) {
      this.waiting += entries.length;
      this.moreAfter = this.moreAfter || this.entries.length + entries.length > MAX_ROWS;
      if (this.moreAfter) { this.showNew(); return; }
    }
    this.upto = upto;
    const wasEmpty = !this.entries.length;
    let last = this.entries.at(-1)?.time;
    this.entries.push(...entries);
    if (wasEmpty) { this.draw(); this.toEnd(); return; }
    for (const entry of entries) {
      if (entry.time !== null && last !== null && last !== undefined && day(entry.time) !== day(last)) this.place.append(this.dayRow(day(entry.time)));
      last = entry.time;
      if (entry.left !== undefined) this.place.append(leftRow(entry.left));
      this.place.append(this.row(entry));
    }
    if (this.sticks) { this.dropOldest(); this.toEnd(); }
    this.showNew();
  }

  dropOldest() {
    const extra = this.entries.length - MAX_ROWS;
    if (extra <= 0) return;
    this.entries.splice(0, extra);
    this.moreBefore = true;
    this.olderFrom = "";
    let gone = 0;
    while (gone < extra && this.place.firstElementChild) {
      if (this.place.firstElementChild.classList.contains("row")) gone += 1;
      this.place.firstElementChild.remove();
    }
  }

  showNew() {
    const button = byId("new");
    button.hidden = !this.waiting;
    if (this.waiting) button.textContent = `↓ ${this.waiting.toLocaleString("en-US")} new`;
  }

  toEnd() {
    this.sticks = true;
    this.waiting = 0;
    this.place.scrollTop = this.place.scrollHeight;
    this.showNew();
  }

  async scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.place;
    const toBottom = scrollHeight - clientHeight - scrollTop;
    this.sticks = toBottom < 4 && !this.moreAfter;
    if (this.sticks && this.waiting) { this.waiting = 0; this.showNew(); }
    if (this.busy || !this.entries.length) return;
    if (scrollTop < EDGE_PX && this.moreBefore) await this.more("before");
    else if (toBottom < EDGE_PX && this.moreAfter) await this.more("after");
  }

  /** @param {"before" | "after"} where */
  async more(where) {
    this.busy = true;
    const abort = this.abort ?? (this.abort = new AbortController());
    try {
      for (let page = null; !page || (page.partial && !page.entries.length);) {
        const params = this.page.selection();
        params.set("limit", String(PAGE_ROWS));
        if (where === "before") params.set("before", this.olderFrom || this.entries[0].at);
        else if (this.newerFrom) params.set("place", this.newerFrom);
        else params.set("after", this.entries.at(-1)?.at ?? "");
        page = await get("entries", params, abort.signal);
        // Rare ones are far: what goes on for long can be stopped.
        if (page.partial && !page.entries.length) this.search = "on";
        if (where === "before") this.takeOlder(page); else this.takeNewer(page);
      }
    } catch (error) {
      if (!(error instanceof ApiError)) return;
      announce(error.message);
      this.place.prepend(edge(error.message));
      this.moreBefore = false;
    } finally {
      if (this.abort === abort) {
        this.busy = false;
        if (this.search === "on") { this.search = ""; this.keepPlace(() => this.draw()); }
      }
    }
  }

  /**
   * The next record in a direction, behind those that are here, that a selection chooses; null if
   * there is none. @param {URLSearchParams} params @param {number} by
   */
  async seek(params, by) {
    if (!this.entries.length || !(by < 0 ? this.moreBefore : this.moreAfter)) return null;
    const abort = this.abort ?? (this.abort = new AbortController());
    params.set("limit", "1");
    params.set(by < 0 ? "before" : "after", this.entries[by < 0 ? 0 : this.entries.length - 1].at);
    for (;;) {
      const page = await get("entries", params, abort.signal);
      if (page.entries.length) return page.entries[0];
      if (!page.partial) return null;
      params.delete("after");
      params.set(by < 0 ? "before" : "place", page.next);
    }
  }

  /** Draw without moving what is looked at. @param {() => void} draw */
  keepPlace(draw) {
    const top = this.place.getBoundingClientRect().top;
    const row = [...this.place.querySelectorAll(".row")].find((r) => r.getBoundingClientRect().bottom > top + 20);
    const before = row ? row.getBoundingClientRect().top : 0;
    const id = row?.id;
    draw();
    const same = id && document.getElementById(id);
    if (same) this.place.scrollTop += same.getBoundingClientRect().top - before;
  }

  /** @param {string} at @param {boolean} opens @param {boolean} [centers] */
  choose(at, opens, centers = false) {
    const entry = this.entries.find((e) => e.at === at);
    this.selected = at;
    this.markSelected();
    const row = document.getElementById(`r-${at}`);
    if (row) {
      // What the sticky heading hides does not count as seen.
      if (centers) row.scrollIntoView({ block: "center" });
      else row.scrollIntoView({ block: "nearest" });
      this.place.setAttribute("aria-activedescendant", row.id);
    }
    if (entry && opens) this.page.open(entry);
    return entry;
  }

  markSelected() {
    for (const row of this.place.querySelectorAll('[aria-selected="true"]')) row.setAttribute("aria-selected", "false");
    if (this.selected) document.getElementById(`r-${this.selected}`)?.setAttribute("aria-selected", "true");
  }

  /**
   * Go to the next record in a direction that passes a test; true if there was one here. Without a
   * test more is loaded for it.
   * @param {number} by @param {(entry: Entry) => boolean} [test]
   */
  async move(by, test) {
    let at = this.entries.findIndex((e) => e.at === this.selected);
    if (at < 0) at = by > 0 ? -1 : this.entries.length;
    for (let round = 0; round < 2; round += 1) {
      for (let i = at + by; i >= 0 && i < this.entries.length; i += by) {
        if (!test || test(this.entries[i])) { this.choose(this.entries[i].at, true); return true; }
      }
      const last = this.entries[by > 0 ? this.entries.length - 1 : 0]?.at;
      if (test || this.busy || !last || !(by < 0 ? this.moreBefore : this.moreAfter)) return false;
      await this.more(by < 0 ? "before" : "after");
      at = this.entries.findIndex((e) => e.at === last);
    }
    return false;
  }
}

/** @param {string} text @param {string} [more] */
function edge(text, more = "") {
  return h("div", { class: ["edge", more], role: "presentation" }, text);
}

/** A text with what was looked for marked in it. @param {string} text @param {string[]} words in small letters */
function marked(text, words) {
  const low = text.toLowerCase();
  // A few letters are longer in small: then places in one are none in the other.
  if (!words.length || low.length !== text.length) return [text];
  /** @type {(string | Node)[]} */
  const parts = [];
  for (let from = 0; from < text.length;) {
    const found = words.map((word) => ({ word, at: low.indexOf(word, from) })).filter((f) => f.at >= 0).sort((a, b) => a.at - b.at || b.word.length - a.word.length)[0];
    if (!found) { parts.push(text.slice(from)); break; }
    if (found.at > from) parts.push(text.slice(from, found.at));
    from = found.at + found.word.length;
    parts.push(h("mark", {}, text.slice(found.at, from)));
  }
  return parts;
}

/** @param {number} count */
function leftRow(count) {
  const text = count ? `${number(count)} records came too fast to be shown here; they are in the log` : "Records are missing here: the log went on faster than they were read";
  return edge(text, "left");
}
