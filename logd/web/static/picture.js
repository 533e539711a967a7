// The picture of what was found: histogram, counts and facets. A part of it is shown as soon as it
// is there, and gone on with.

import { get } from "./api.js";
import { Chart, merge } from "./chart.js";
import { byId, h, replace } from "./dom.js";
import { showFacets } from "./facets.js";
import { chosen, go, here, hostName, toggle } from "./here.js";
import { say } from "./says.js";
import { filter } from "./state.js";
import { byCategory, categoryClass, categoryName, clock, count, day, number, OTHERS, range, size } from "./texts.js";

const REFRESH_PARTS = 20;
const KNOW_MS = 1500;
const KNOW_TRIES = 400;
const MAX_EXPORTED = 100_000;
const FEW = 8, MANY = 60;

export class Picture {
  constructor() {
    /** @type {import("./chart.js").View | null} */
    this.view = null;
    /** @type {any[]} items of the records as facets */
    this.items = [];
    this.top = FEW;
    this.refreshAt = 0;
    this.isDrawing = false;
    /** @type {AbortController} */
    this.abort = new AbortController();
    this.chart = new Chart(byId("chart"), (from, to) => go({ from: String(Math.floor(from)), to: String(Math.ceil(to)), at: "" }));
  }

  /** Load all of it anew. @param {AbortController} abort */
  async load(abort) {
    this.abort = abort;
    this.top = FEW;
    this.items = [];
    await this.loadView(false, () => { this.loadItems(); });
  }

  /** @param {boolean} [quiet] @param {() => void} [begun] told when the first part of it is shown */
  async loadView(quiet = false, begun = () => {}) {
    const { abort } = this;
    if (!quiet) this.progress(0, "");
    const started = performance.now();
    const params = chosen();
    params.set("buckets", String(Math.max(20, Math.min(160, Math.floor(byId("chart").clientWidth / 10)))));
    params.set("top", String(this.top));
    let whole = await get("view", params, abort.signal);
    while (whole.partial && whole.next) {
      if (!quiet) {
        this.show(whole, performance.now() - started);
        this.progress(whole.done, soFar(whole));
        begun();
        begun = () => {};
      }
      params.set("from", String(whole.from));
      params.set("to", String(whole.to));
      params.set("step", String(whole.step));
      params.set("before", whole.next);
      whole = merge(whole, await get("view", params, abort.signal));
    }
    const took = performance.now() - started;
    // What takes long is not counted anew all the time: what comes live is added.
    this.refreshAt = performance.now() + took * REFRESH_PARTS;
    this.show(whole, took);
    this.progress(null, "");
    begun();
    if (whole.pending) this.knowLater(whole);
  }

  /** Items as facets come after the picture: they stand in no index. */
  async loadItems() {
    const params = chosen();
    params.set("top", String(this.top));
    try {
      const { facets, records, partial } = await get("items", params, this.abort.signal);
      this.items = facets.map((/** @type {any} */ facet) => ({ ...facet, note: partial ? `in the newest ${number(records)}` : "" }));
      this.drawFacets();
    } catch { /* the other facets are there */ }
  }

  /** Deploys, losses and the size of the log come when it was read once. @param {any} whole */
  async knowLater(whole) {
    const { abort } = this;
    for (let tries = 0; whole.pending && tries < KNOW_TRIES; tries += 1) {
      await new Promise((resolve) => { setTimeout(resolve, KNOW_MS); });
      if (abort.signal.aborted || this.view !== whole) return;
      try {
        Object.assign(whole, await get("known", new URLSearchParams({ from: String(whole.from), to: String(whole.to) }), abort.signal));
      } catch { return; }
    }
    if (this.view !== whole) return;
    this.chart.draw();
    this.showCounts();
  }

  /** Count anew what is shown, if that is cheap enough to be done all the time. */
  async refresh() {
    if (document.hidden || this.abort.signal.aborted || performance.now() < this.refreshAt) return;
    try { await this.loadView(true); } catch { /* the next one will tell */ }
  }

  /** More values of a field. @param {string} field */
  async more(field) {
    this.top = MANY;
    await Promise.all([this.loadView(true), this.items.some((facet) => facet.field === field) && this.loadItems()]);
    /** @type {HTMLElement | null} */ (byId("facets").querySelector(`[data-key^="${CSS.escape(field)}:"]`))?.focus();
  }

  /** Records that came live. @param {{time: number | null, cat: string}[]} entries */
  add(entries) {
    for (const entry of entries) {
      if (this.view) {
        this.view.total += 1;
        if (this.view.all !== null) this.view.all += 1;
      }
      if (entry.time !== null) this.chart.add(entry.time, entry.cat || "-");
    }
    if (this.isDrawing) return;
    this.isDrawing = true;
    requestAnimationFrame(() => {
      this.isDrawing = false;
      this.chart.draw();
      this.showCounts();
    });
  }

  /** @param {any} whole @param {number} ms */
  show(whole, ms) {
    this.view = whole;
    byId("overview").classList.remove("blank");
    this.chart.show(whole);
    this.showCounts();
    this.drawFacets();
    byId("took").textContent = `answered in ${Math.round(ms)} ms`;
  }

  drawFacets() {
    if (!this.view) return;
    const facets = this.view.facets.map((facet) => ({ ...facet, note: facet.partial ? "in the newest records" : "" }));
    const all = { ...this.view, facets: [...facets, ...this.items] };
    showFacets(byId("facets"), all, here.state, this.top, { toggle, hostName, more: (field) => { this.more(field).catch((error) => say(error.message)); } });
  }

  showCounts() {
    const { view: shown } = this, { state, settings } = here;
    if (!shown) return;
    byId("count").textContent = number(shown.total);
    byId("of").textContent = shown.all === null ? (shown.total === 1 ? "record" : "records") : `of ${count(shown.all, "record")}`;
    const sums = Object.entries(shown.bars).map(([cat, n]) => /** @type {[string, number]} */ ([cat, n.reduce((a, b) => a + b, 0)])).filter(([, n]) => n);
    replace(byId("cats"), ...sums.sort(([a], [b]) => byCategory(a, b)).map(([cat, n]) => h("button", { type: "button", disabled: cat === OTHERS, title: cat === OTHERS ? "categories that few records have" : `only ${categoryName(cat)}`, onclick: () => toggle("f", filter("cat", cat || "-")) },
      h("i", { class: categoryClass(cat), "aria-hidden": "true" }), `${categoryName(cat)} ${number(n)}`)));
    const button = byId("range");
    const isAll = !state.from && !state.to;
    button.textContent = `${range(shown.from, shown.to, !state.to)}${isAll ? "" : " ×"}`;
    button.setAttribute("aria-label", `${button.textContent}; ${isAll ? "all of the log" : "show all of the log"}`);
    byId("download").hidden = !shown.total;
    byId("download").textContent = shown.total > MAX_EXPORTED ? `Download the first ${number(MAX_EXPORTED)}` : "Download";
    const tab = byId("tab-records").querySelector(".n");
    if (tab) tab.textContent = number(shown.total);
    const lost = shown.losses.records;
    byId("lost").textContent = lost ? `▲ ${count(lost, "record")} lost by clients` : "";
    byId("source").textContent = settings.source ?? "";
    byId("kept").textContent = settings.first ? `${shown.all === null ? "" : `${count(shown.all, "record")}, `}${day(settings.first)} ${clock(settings.first)} – now` : "";
    document.title = `${sums.filter(([c]) => c === "E" || c === "C").reduce((a, [, n]) => a + n, 0) || ""}${state.f.length ? ` ${state.f.join(" ")}` : ""} logd`.trim();
  }

  /** @param {number | null} done @param {string | (string | Node)[]} text */
  progress(done, text) {
    const bar = byId("progress");
    bar.hidden = done === null;
    byId("chart").classList.toggle("stale", done === 0 && this.view !== null);
    if (done === null) return;
    /** @type {HTMLElement} */ (bar.firstElementChild).style.transform = `scaleX(${Math.max(0.03, done)})`;
    replace(byId("progress-text"), ...[text].flat());
  }

  /** Whether it is not all there yet. */
  get isLoading() {
    return !byId("progress").hidden;
  }
}

/** @param {import("./chart.js").View} part */
function soFar(part) {
  return [`searched back to ${clock(part.searched_back_to ?? part.from)}, ${Math.round(part.done * 100)} %`, h("span", { class: "wide-only" }, part.bytes ? ` of ${size(part.bytes)}` : "")];
}
