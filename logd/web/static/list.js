// The list of records: a window of at most MAX_ROWS rows onto a log of any length. Scrolling to an
// edge brings more rows from there and drops those at the other end.

import { ApiError, get } from "./api.js";
import { announce, byId, h, replace } from "./dom.js";
import { day, number, stamp } from "./texts.js";

const PAGE_ROWS = 200;
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
   * @param {{selection: () => URLSearchParams, open: (entry: Entry) => void, empty: () => Node, hostName: (host: string) => string}} page
   */
  constructor(place, page) {
    this.place = place;
    this.page = page;
    /** @type {Entry[]} */
    this.entries = [];
    this.selected = "";
    this.moreBefore = false;
    this.moreAfter = false;
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
    this.busy = false;
    this.place.classList.add("stale");
    const params = this.page.selection();
    params.set("limit", String(PAGE_ROWS));
    if (around) params.set("around", around);
    try {
      const page = await get("entries", params, abort.signal);
      this.entries = page.entries;
      this.moreBefore = page.more_before;
      this.moreAfter = page.more_after;
      this.waiting = 0;
      this.left = null;
      this.sticks = !around && !page.more_after;
      this.draw();
      if (around) this.choose(around, false, true);
      else this.toEnd();
      return page;
    } catch (error) {
      // Another place was asked for in the meantime.
      if (abort.signal.aborted) return null;
      throw error;
    } finally {
      if (this.abort === abort) this.place.classList.remove("stale");
    }
  }

  draw() {
    this.showNew();
    if (!this.entries.length) {
      replace(this.place, this.page.empty());
      return;
    }
    const rows = [];
    if (!this.moreBefore) rows.push(h("div", { class: "edge", role: "presentation" }, "The log, as far as it was kept, begins here."));
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

  /** @param {string} text */
  dayRow(text) {
    return h("div", { class: "day", role: "presentation" }, text);
  }

  /** @param {Entry} entry */
  row(entry) {
    const [time, ms] = entry.time === null ? ["", ""] : stamp(entry.time);
    return h("div", { class: ["row", entry.cat === "C" ? "E" : entry.cat], role: "option", id: `r-${entry.at}`, "data-at": entry.at, "aria-selected": "false" },
      h("span", { class: "t" }, time, h("span", { class: "ms" }, ms)),
      h("span", { class: "cat" }, entry.cat || "-"),
      h("span", { class: "who" }, this.page.hostName(entry.host), h("span", { class: "pid" }, ` ${entry.pid}`)),
      h("span", { class: "m" }, entry.head, entry.exc ? [" ", h("span", { class: "x" }, entry.exc.last)] : null,
        entry.more ? h("span", { class: "more" }, ` +${entry.more}`) : null),
      h("span", { class: "site" }, entry.site));
  }

  /** Records came that are not shown. @param {number} count 0: nobody knows how many */
  leftOut(count) {
    this.left = (this.left ?? 0) + count;
  }

  /** Records that came live. @param {Entry[]} entries */
  add(entries) {
    if (this.left !== null && entries.length) {
      entries[0].left = this.left;
      this.left = null;
    }
    if (this.moreAfter || !this.sticks) {
      this.waiting += entries.length;
      this.moreAfter = this.moreAfter || this.entries.length + entries.length > MAX_ROWS;
      if (this.moreAfter) { this.showNew(); return; }
    }
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
    const params = this.page.selection();
    params.set("limit", String(PAGE_ROWS));
    params.set(where, where === "before" ? this.entries[0].at : this.entries.at(-1)?.at ?? "");
    try {
      const page = await get("entries", params, abort.signal);
      if (where === "before") {
        this.entries = [...page.entries, ...this.entries].slice(0, MAX_ROWS);
        this.moreAfter = this.moreAfter || this.entries.length === MAX_ROWS;
        this.moreBefore = page.more_before;
      } else {
        this.entries = [...this.entries, ...page.entries].slice(-MAX_ROWS);
        this.moreBefore = this.moreBefore || this.entries.length === MAX_ROWS;
        this.moreAfter = page.more_after;
        if (!this.moreAfter) this.waiting = 0;
      }
      this.keepPlace(() => this.draw());
    } catch (error) {
      if (!(error instanceof ApiError)) return;
      announce(error.message);
      this.place.prepend(h("div", { class: "edge", role: "presentation" }, error.message));
      this.moreBefore = false;
    } finally {
      this.busy = false;
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
   * Go to the next record in a direction that passes a test; true if there was one here.
   * @param {number} by @param {(entry: Entry) => boolean} [test]
   */
  async move(by, test = () => true) {
    let at = this.entries.findIndex((e) => e.at === this.selected);
    if (at < 0) at = by > 0 ? -1 : this.entries.length;
    for (let round = 0; round < 3; round += 1) {
      for (let i = at + by; i >= 0 && i < this.entries.length; i += by) {
        if (test(this.entries[i])) { this.choose(this.entries[i].at, true); return true; }
      }
      const last = this.entries[by > 0 ? this.entries.length - 1 : 0]?.at;
      if (by < 0 ? !this.moreBefore : !this.moreAfter) return false;
      await this.more(by < 0 ? "before" : "after");
      at = this.entries.findIndex((e) => e.at === last);
    }
    return false;
  }
}

/** @param {number} count */
function leftRow(count) {
  const text = count ? `${number(count)} records came too fast to be shown here; they are in the log` : "Records are missing here: the log went on faster than they were read";
  return h("div", { class: "edge left", role: "presentation" }, text);
}
