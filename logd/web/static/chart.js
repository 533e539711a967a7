// The histogram: information above the axis, errors and warnings below it on a scale of their own.

import { h, replace, s } from "./dom.js";
import { byCategory, categoryClass, categoryName, clock, count, day, isBad, number, OTHERS, range, span } from "./texts.js";

const AXIS_PX = 18;
const TOP_PX = 16;
const SCALE_PX = 120;
const DAY_S = 86_400;
const MAX_CATEGORIES = 20;
const TICKS_S = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, DAY_S, 2 * DAY_S, 7 * DAY_S];

/**
 * @typedef {object} View what the API answers to `view`
 * @property {number} total @property {number | null} all
 * @property {number} from @property {number} to @property {number} step seconds of a bar
 * @property {Record<string, number[]>} bars category -> counts, one for each step
 * @property {{field: string, name: string, values: [string, number][], distinct: number, note?: string, partial?: boolean}[]} facets
 * @property {{time: number, text: string, version: string, kind: string, at: string}[]} marks
 * @property {{records: number, at: [number, number][]}} losses
 * @property {boolean} partial @property {number} done @property {number | null} searched_back_to
 * @property {string | null} next @property {string | null} upto @property {number} took_ms
 * @property {number} bytes of all of the log
 */

export class Chart {
  /**
   * @param {HTMLElement} place
   * @param {(from: number, to: number) => void} zoom told which stretch was drawn
   */
  constructor(place, zoom) {
    this.place = place;
    this.zoom = zoom;
    /** @type {View | null} */
    this.view = null;
    this.asTable = false;
    /** @type {[number, number] | null} bars that the keyboard has chosen */
    this.chosen = null;
    this.tip = h("div", { class: "tip", hidden: true });
    new ResizeObserver(() => this.draw()).observe(place);
  }

  /** @param {View} view */
  show(view) {
    this.view = view;
    this.chosen = null;
    this.draw();
  }

  /** One record more, which came live. @param {number} time @param {string} cat */
  add(time, cat) {
    const view = this.view;
    if (!view) return;
    const bars = this.count();
    const at = Math.floor((time - view.from) / view.step);
    if (at < 0 || at > bars + 3) return;
    const known = Object.hasOwn(view.bars, cat) || Object.keys(view.bars).length < MAX_CATEGORIES;
    const name = known ? cat : OTHERS;
    // A category may be any text, also the name of what every object has.
    if (!Object.hasOwn(view.bars, name)) Object.defineProperty(view.bars, name, { value: new Array(bars).fill(0), enumerable: true, writable: true });
    const column = view.bars[name];
    for (const counts of Object.values(view.bars)) while (counts.length <= at) counts.push(0);
    column[at] += 1;
    view.to = Math.max(view.to, view.from + (at + 1) * view.step);
  }

  count() {
    const view = this.view;
    return view ? Math.max(1, Math.ceil((view.to - view.from) / view.step - 1e-6)) : 0;
  }

  draw() {
    const { view, place } = this;
    const width = place.clientWidth, height = place.clientHeight;
    if (!view || !width) return;
    if (this.asTable) {
      replace(place, this.table());
      return;
    }
    const bars = this.count();
    const cats = Object.keys(view.bars).sort(byCategory);
    const [good, bad] = [cats.filter((c) => !isBad(c)).reverse(), cats.filter(isBad)];
    const sum = (/** @type {string[]} */ names, /** @type {number} */ i) => names.reduce((n, c) => n + (view.bars[c][i] ?? 0), 0);
    let most = 0, mostBad = 0;
    for (let i = 0; i < bars; i += 1) {
      most = Math.max(most, sum(good, i));
      mostBad = Math.max(mostBad, sum(bad, i));
    }
    const room = height - AXIS_PX - TOP_PX;
    // Where there is only one kind it has all the room, above the axis.
    const below = most && mostBad ? room * 0.36 : 0;
    const axis = TOP_PX + room - below;
    const each = width / bars;
    /** @type {SVGElement[]} */
    const paths = [];
    const column = (/** @type {string[]} */ names, /** @type {number} */ scale, /** @type {number} */ direction) => {
      const tops = new Float64Array(bars);
      for (const cat of names) {
        let d = "";
        for (let i = 0; i < bars; i += 1) {
          const n = view.bars[cat][i] ?? 0;
          if (!n) continue;
          const tall = Math.max(n * scale, 1.5);
          const y = direction < 0 ? axis - tops[i] - tall : axis + 1 + tops[i];
          d += `M${(i * each).toFixed(1)} ${y.toFixed(1)}h${Math.max(each - 1, 0.8).toFixed(1)}v${tall.toFixed(1)}h-${Math.max(each - 1, 0.8).toFixed(1)}z`;
          tops[i] += tall;
        }
        paths.push(s("path", { d, class: categoryClass(cat) }));
      }
    };
    if (good.length) column([...good].reverse().sort((a) => (a === "D" ? -1 : 1)), most ? (room - below) / most : 0, -1);
    if (bad.length) column(bad, mostBad ? (below || room) / mostBad : 0, below ? 1 : -1);
    const x = (/** @type {number} */ time) => ((time - view.from) / (bars * view.step)) * width;
    const label = (/** @type {string} */ text, /** @type {number} */ y, hint = "") => s("text", { x: 0, y, class: hint }, text);
    this.svg = s("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", tabindex: "0", "aria-label": this.describe(), preserveAspectRatio: "none" },
      paths,
      s("line", { class: "axis", x1: 0, x2: width, y1: axis + 0.5, y2: axis + 0.5 }),
      most || mostBad ? label(`up to ${number(most || mostBad)} in ${span(view.step)}`, 10, view.marks.some((m) => m.time >= view.from && x(m.time) < SCALE_PX) ? "behind" : "") : null,
      below ? label(`errors and warnings, up to ${number(mostBad)}`, height - AXIS_PX - 1, "hint-below") : null,
      this.ticks(width, height), this.flags(x, width, height),
      view.losses.at.map(([time, n]) => (time >= view.from && time <= view.to
        ? s("path", { class: "lostmark", d: `M${x(time) - 5} ${height - AXIS_PX}h10l-5 -8z` }, s("title", {}, `clients lost ${count(n, "record")} here`)) : null)),
      this.brush = s("rect", { class: "brush", y: TOP_PX, height: room, width: 0, hidden: true }));
    this.listen(width, each);
    replace(place, this.svg, this.tip);
    this.showChosen();
  }

  describe() {
    const view = this.view;
    if (!view) return "";
    const cats = Object.entries(view.bars).map(([cat, n]) => `${number(n.reduce((a, b) => a + b, 0))} ${categoryName(cat)}`);
    return `Histogram, ${range(view.from, view.to, false)}: ${cats.join(", ")}. Shift and arrows choose a stretch, Enter zooms, t shows a table.`;
  }

  /** Times that people name: full hours, quarters, days, as the clock here has them. @param {number} width @param {number} height */
  ticks(width, height) {
    const view = /** @type {View} */ (this.view);
    const all = this.count() * view.step;
    const least = all / Math.max(2, Math.floor(width / 110));
    const each = TICKS_S.find((seconds) => seconds >= least) ?? Math.ceil(least / DAY_S) * DAY_S;
    const zone = -new Date(view.from * 1000).getTimezoneOffset() * 60;
    const text = (/** @type {number} */ time) => (each >= DAY_S ? day(time) : all > 2 * DAY_S ? `${new Date(time * 1000).getDate()}. ${clock(time)}` : clock(time, each < 60));
    const ticks = [];
    for (let time = Math.ceil((view.from + zone) / each) * each - zone; time <= view.from + all; time += each) {
      const x = ((time - view.from) / all) * width;
      const anchor = x < 24 ? "start" : x > width - 24 ? "end" : "middle";
      ticks.push(s("text", { x: anchor === "start" ? 0 : anchor === "end" ? width : x, y: height - 4, "text-anchor": anchor }, text(time)));
    }
    return ticks;
  }

  /** @param {(time: number) => number} x @param {number} width @param {number} height */
  flags(x, width, height) {
    const view = /** @type {View} */ (this.view);
    let free = 0;
    const marks = view.marks.filter((m) => m.time >= view.from && m.time <= view.to);
    return marks.map((mark, number) => {
      const sign = mark.kind === "rollback" ? "↩" : "▲";
      const at = x(mark.time), next = number + 1 < marks.length ? x(marks[number + 1].time) : Infinity;
      // All of it, its version, or its sign: what fits before the next one.
      const wide = (/** @type {string} */ words) => words.length * 6.6 + 10;
      const ways = [`${sign} ${mark.kind === "rollback" ? "rollback" : "deploy"} ${mark.version}`.trim(), `${sign} ${mark.version}`.trim(), sign];
      const text = ways.find((words) => at + wide(words) <= next) ?? sign;
      const left = at + wide(text) > width;
      const shown = at >= free || left;
      if (shown) free = at + wide(text);
      return s("g", {}, s("title", {}, `${mark.text}, ${clock(mark.time, true)}`),
        s("line", { class: `flagline ${mark.kind}`, x1: at, x2: at, y1: 2, y2: height - AXIS_PX }),
        shown ? s("text", { class: `flag ${mark.kind}`, x: left ? at - 5 : at + 5, y: 10, "text-anchor": left ? "end" : "start" }, text) : null);
    });
  }

  table() {
    const view = /** @type {View} */ (this.view);
    const cats = Object.keys(view.bars).sort(byCategory);
    const rows = Array.from({ length: this.count() }, (_, i) => i).filter((i) => cats.some((c) => view.bars[c][i]));
    return h("div", { class: "charttable", tabindex: "0", role: "region", "aria-label": "Histogram as a table" }, h("table", {},
      h("tr", {}, h("th", { scope: "col" }, "from"), cats.map((c) => h("th", { scope: "col" }, categoryName(c)))),
      rows.map((i) => h("tr", {}, h("th", { scope: "row" }, clock(view.from + i * view.step, true)), cats.map((c) => h("td", {}, number(view.bars[c][i] ?? 0)))))));
  }

  toggleTable() {
    this.asTable = !this.asTable;
    this.draw();
    if (this.asTable) /** @type {HTMLElement | null} */ (this.place.querySelector(".charttable"))?.focus();
  }

  /** @param {number} width @param {number} each */
  listen(width, each) {
    const svg = /** @type {SVGElement} */ (this.svg);
    const bars = this.count();
    const bar = (/** @type {PointerEvent} */ event) => {
      const box = svg.getBoundingClientRect();
      return Math.min(bars - 1, Math.max(0, Math.floor(((event.clientX - box.left) / box.width) * bars)));
    };
    /** @type {number | null} */
    let start = null;
    svg.addEventListener("pointerdown", (event) => {
      if (/** @type {PointerEvent} */ (event).button !== 0) return;
      start = bar(/** @type {PointerEvent} */ (event));
      svg.setPointerCapture(/** @type {PointerEvent} */ (event).pointerId);
    });
    svg.addEventListener("pointermove", (event) => {
      const at = bar(/** @type {PointerEvent} */ (event));
      if (start !== null) { this.chosen = [start, at]; this.showChosen(); }
      this.showTip(at, (at + 0.5) * each, width);
    });
    svg.addEventListener("pointerup", (event) => {
      if (start === null) return;
      const at = bar(/** @type {PointerEvent} */ (event));
      this.chosen = [start, at];
      start = null;
      this.zoomToChosen();
    });
    svg.addEventListener("pointercancel", () => { start = null; this.chosen = null; this.showChosen(); });
    svg.addEventListener("pointerleave", () => { this.tip.hidden = true; });
    svg.addEventListener("keydown", (event) => {
      const key = /** @type {KeyboardEvent} */ (event);
      if (key.key === "Enter" && this.chosen) { this.zoomToChosen(); key.stopPropagation(); }
      if (key.key !== "ArrowLeft" && key.key !== "ArrowRight") return;
      const by = key.key === "ArrowLeft" ? -1 : 1;
      const [a, b] = this.chosen ?? [bars - 1, bars - 1];
      const to = Math.min(bars - 1, Math.max(0, b + by));
      this.chosen = key.shiftKey ? [a, to] : [to, to];
      key.preventDefault();
      this.showChosen();
      this.showTip(to, (to + 0.5) * each, width);
    });
  }

  showChosen() {
    const brush = this.brush;
    if (!brush || !this.view) return;
    brush.toggleAttribute("hidden", !this.chosen);
    if (!this.chosen) return;
    const [a, b] = [Math.min(...this.chosen), Math.max(...this.chosen)];
    const each = this.place.clientWidth / this.count();
    brush.setAttribute("x", String(a * each));
    brush.setAttribute("width", String((b - a + 1) * each));
  }

  zoomToChosen() {
    const { view, chosen } = this;
    if (!view || !chosen) return;
    const [a, b] = [Math.min(...chosen), Math.max(...chosen)];
    this.tip.hidden = true;
    this.zoom(view.from + a * view.step, view.from + (b + 1) * view.step);
  }

  /** @param {number} at @param {number} x @param {number} width */
  showTip(at, x, width) {
    const view = /** @type {View} */ (this.view);
    const from = view.from + at * view.step;
    const cats = Object.keys(view.bars).filter((c) => view.bars[c][at]).sort(byCategory);
    replace(this.tip, h("b", {}, `${clock(from, true)} – ${clock(from + view.step, true)}`),
      ...cats.map((c) => h("div", {}, h("i", { class: categoryClass(c) }), `${number(view.bars[c][at])} ${categoryName(c)}`)),
      cats.length ? null : h("div", { class: "dim" }, "nothing"));
    this.tip.hidden = false;
    this.tip.style.top = "22px";
    const right = x > width * 0.7;
    this.tip.style.left = right ? "auto" : `${x + 12}px`;
    this.tip.style.right = right ? `${width - x + 12}px` : "auto";
  }
}

/** Two parts of one picture. @param {any} a @param {any} b */
export function merge(a, b) {
  const bars = new Map(Object.entries(/** @type {Record<string, number[]>} */ (a.bars)));
  for (const [cat, counts] of Object.entries(/** @type {Record<string, number[]>} */ (b.bars))) {
    const name = bars.has(cat) || bars.size < MAX_CATEGORIES ? cat : OTHERS;
    const sum = [...(bars.get(name) ?? [])];
    counts.forEach((n, i) => { sum[i] = (sum[i] ?? 0) + n; });
    bars.set(name, sum);
  }
  const facets = a.facets.map((/** @type {any} */ facet) => {
    const values = new Map(facet.values);
    const other = b.facets.find((/** @type {any} */ f) => f.field === facet.field);
    for (const [value, n] of other?.values ?? []) values.set(value, (values.get(value) ?? 0) + n);
    const sorted = [...values].sort((x, y) => y[1] - x[1]);
    return { ...facet, partial: facet.partial || Boolean(other?.partial), values: sorted, distinct: Math.max(facet.distinct, other?.distinct ?? 0, sorted.length) };
  });
  return { ...b, total: a.total + b.total, bars: Object.fromEntries(bars), facets, upto: a.upto };
}

/** A small histogram for a card. @param {number[]} counts @param {string} title */
export function sparkline(counts, title) {
  const most = Math.max(1, ...counts);
  return s("svg", { class: "spark", viewBox: `0 0 ${counts.length * 4} 34`, preserveAspectRatio: "none", role: "img", "aria-label": title },
    s("line", { x1: 0, x2: counts.length * 4, y1: 33.5, y2: 33.5, "vector-effect": "non-scaling-stroke" }),
    counts.map((n, i) => (n ? s("rect", { x: i * 4, width: 3, y: 33 - Math.max(3, (n / most) * 31), height: Math.max(3, (n / most) * 31) }) : null)));
}
