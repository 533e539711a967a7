// One record: what is new about it, its traceback, what happened around it, its items.

import { base, get } from "./api.js";
import { h, replace } from "./dom.js";
import { sparkline } from "./chart.js";
import { filter, itemField } from "./state.js";
import { clock, count, day, moment, number, rowClass, span, stamp } from "./texts.js";

const AGAIN_MS = 1500;
/** Characters of a message that are shown; `MAX_SHOWN_CHARS` of the server. */
const MAX_SHOWN = 65_536;
const MAX_ITEMS = 200;

export const SCOPES = ["request", "thread", "process", "all"];

/**
 * @typedef {{file: string, line: number | null, func: string, code: string[], own: boolean}} Frame
 * @typedef {{kind: "text", text: string} | {kind: "frames", frames: Frame[]} | {kind: "exception", text: string} | {kind: "between", text: string}} Part
 */

export class Detail {
  /**
   * @param {HTMLElement} place
   * @param {{close: () => void, open: (at: string) => void, toggle: (kind: "f" | "x", filter: string) => void, link: (at: string) => void,
   *   allWith: (fingerprint: string) => void, hostName: (host: string) => string, sourceLink: () => string | null}} page
   */
  constructor(place, page) {
    this.place = place;
    this.page = page;
    this.scope = "request";
    /** @type {any} */
    this.entry = null;
    /** @type {AbortController | null} */
    this.abort = null;
    /** The version that was running when the record was logged; "" if nobody knows. */
    this.version = "";
  }

  /** @param {string} at @param {any} [row] what the list knows of it, shown at once */
  async show(at, row) {
    this.abort?.abort();
    const abort = (this.abort = new AbortController());
    this.place.hidden = false;
    if (row && this.entry?.entry.at !== at) replace(this.place, h("section", { class: "stale" }, h("div", { class: "head" }, h("h2", {}, row.head || "(an empty message)"), this.closer())));
    try {
      const answer = await get(`entry/${encodeURIComponent(at)}`, undefined, abort.signal);
      this.entry = answer;
      this.version = String(answer.entry.items.version ?? "");
      this.draw();
      await Promise.all([this.showContext(), this.showGroup()]);
    } catch (error) {
      if (abort.signal.aborted) return;
      const { message, hint, status } = /** @type {any} */ (error);
      replace(this.place, h("section", {}, h("div", { class: "head" }, h("h2", {}, status === 410 || status === 404 ? "This record is gone" : "This record can't be shown now"), this.closer()),
        h("p", {}, message), hint ? h("p", { class: "dim" }, hint) : null));
    }
  }

  hide() {
    this.abort?.abort();
    this.place.hidden = true;
    this.entry = null;
  }

  closer() {
    return h("button", { type: "button", class: "close", "aria-label": "Close", onclick: () => this.page.close() }, "×");
  }

  draw() {
    const { entry, parts } = this.entry;
    this.verdictPlace = h("div", {});
    const time = entry.time === null ? entry.ts : `${day(entry.time)} ${stamp(entry.time).join("")}`;
    const text = parts[0]?.kind === "text" ? parts[0].text : entry.head;
    this.context = h("div", { class: "context", "aria-live": "off" }, h("p", { class: "dim" }, "Looking around it …"));
    replace(this.place,
      h("section", {},
        h("div", { class: "head" }, h("h2", {}, text || "(an empty message)"), this.closer()),
        h("div", { class: "facts" }, h("span", {}, time), h("span", {}, `${this.page.hostName(entry.host)}, process ${entry.pid}${entry.thread ? `, ${entry.thread}` : ""}`),
          h("span", {}, `#${entry.msgid.toLocaleString("en-US")}`)),
        h("button", { type: "button", class: "link", onclick: () => this.page.link(entry.at) }, "copy link ", h("kbd", {}, "y")),
        this.entry.text.length > MAX_SHOWN ? h("a", { class: "link", download: "", href: `${base}api/1/entry/${encodeURIComponent(entry.at)}?as=text` }, `all ${number(this.entry.text.length)} characters`) : null),
      this.verdictPlace,
      parts.length > 1 ? h("section", {}, h("h3", {}, "Traceback"), parts.slice(parts[0].kind === "text" ? 1 : 0).map((/** @type {Part} */ part) => showPart(part, (frame) => this.source(frame)))) : null,
      h("section", {}, h("h3", {}, "Context", h("span", { class: "segments", role: "group", "aria-label": "Context of" },
        SCOPES.map((scope) => h("button", { type: "button", "data-scope": scope, "aria-pressed": String(scope === this.scope), onclick: () => this.setScope(scope) }, scope)))),
      this.context),
      this.items(entry));
    this.place.scrollTop = 0;
  }

  /** What is new about it; comes after the rest, as it is counted first. */
  async showGroup() {
    const at = this.entry?.entry.at;
    if (!at || !this.entry.entry.exc) return;
    try {
      const { group, version, pending } = await get(`group/${encodeURIComponent(at)}`, undefined, this.abort?.signal);
      if (this.entry?.entry.at !== at) return;
      if (group && this.verdictPlace) replace(this.verdictPlace, this.verdict(group));
      if (version && !this.version) {
        this.version = version;
        for (const link of this.place.querySelectorAll("a[data-file]")) {
          const { file = "", line = "" } = /** @type {HTMLElement} */ (link).dataset;
          link.setAttribute("href", this.source({ file, line: Number(line) || null }) ?? "");
        }
      }
      if (pending) setTimeout(() => this.showGroup(), AGAIN_MS);
    } catch { /* the record is shown; its verdict is not needed to read it */ }
  }

  /** Where the source of a line can be seen; null if the settings do not say. @param {{file: string, line: number | null}} frame */
  source({ file, line }) {
    const escaped = (/** @type {string} */ text) => encodeURIComponent(text.toWellFormed());
    return this.page.sourceLink()?.replaceAll("{file}", file.split("/").map(escaped).join("/")).replaceAll("{line}", String(line ?? 1))
      .replaceAll("{version}", escaped(this.version || "HEAD")) ?? null;
  }

  /** @param {any} group */
  verdict(group) {
    const first = group.first === null ? "" : clock(group.first, true);
    const last = group.last === null ? "" : clock(group.last, true);
    const times = count(group.count, "time");
    let words;
    if (group.new_since) words = [h("b", {}, `New since ${group.new_since.version}.`), ` First seen ${first}, ${span(group.first - group.new_since.time)} after the ${group.new_since.kind}; ${times} until ${last}.`];
    else if (group.why_unknown) words = [h("b", {}, "New or old: not known."), ` ${group.why_unknown}${group.log_begins === null ? "" : ` It begins ${moment(group.log_begins)}.`} Seen ${times}, ${first} – ${last}.`];
    else words = [h("b", {}, `${times}.`), ` First seen ${first}, last ${last}.`];
    return h("section", {}, h("div", { class: ["verdict", !group.new_since && "calm"] }, words, sparkline(group.spark, `${times} over the chosen time`),
      h("button", { type: "button", class: "link", onclick: () => this.page.allWith(group.fingerprint) }, group.is_site ? "show all from this call site" : "show all with this traceback")));
  }

  /** @param {any} entry */
  items(entry) {
    /** @type {[string, string, string][]} */
    const rows = [["call path", "site", entry.path], ["function", "func", entry.func], ["thread", "thread", entry.thread],
      ...Object.entries(entry.items).map(([key, value]) => /** @type {[string, string, string]} */ ([key, itemField(key), typeof value === "string" ? value : JSON.stringify(value)]))];
    const shown = rows.filter(([, , value]) => value !== "");
    const one = (/** @type {[string, string, string]} */ [name, field, value]) => h("tr", {}, h("th", { scope: "row" }, name), h("td", {},
      h("button", { type: "button", title: `show only ${name} = ${value}`, "data-filter": filter(field, field === "site" ? entry.site : value),
        onclick: () => this.page.toggle("f", filter(field, field === "site" ? entry.site : value)) }, value)));
    const table = h("table", { class: "items" }, shown.slice(0, MAX_ITEMS).map(one));
    const rest = shown.slice(MAX_ITEMS);
    /** @type {HTMLElement | null} */
    const more = rest.length ? h("button", { type: "button", class: "link", onclick: () => { table.append(...rest.map(one)); more?.remove(); } }, `${count(rest.length, "more item")}`) : null;
    return h("section", {}, h("h3", {}, "Items"), table, more);
  }

  /** @param {string} scope */
  setScope(scope) {
    this.scope = scope;
    for (const b of this.place.querySelectorAll(".segments button")) b.setAttribute("aria-pressed", String(/** @type {HTMLElement} */ (b).dataset.scope === scope));
    return this.showContext();
  }

  nextScope() {
    if (this.entry) this.setScope(SCOPES[(SCOPES.indexOf(this.scope) + 1) % SCOPES.length]);
  }

  async showContext() {
    const at = this.entry?.entry.at;
    if (!at || !this.context) return;
    const params = new URLSearchParams({ scope: this.scope, n: "12" });
    try {
      const { entries, note } = await get(`context/${encodeURIComponent(at)}`, params, this.abort?.signal);
      if (this.entry?.entry.at !== at) return;
      replace(this.context, ...entries.map((/** @type {any} */ e) => h("button", { type: "button", "aria-current": String(e.at === at), onclick: () => this.page.open(e.at) },
        h("span", { class: "t" }, e.time === null ? "" : clock(e.time, true)), h("span", { class: rowClass(e.cat) }, e.cat), h("span", {}, e.head, e.exc ? h("span", { class: "E" }, ` ${e.exc.last}`) : null))),
      note ? h("p", { class: "dim" }, note) : null);
    } catch (error) {
      if (!this.abort?.signal.aborted) replace(this.context, h("p", { class: "dim" }, /** @type {Error} */ (error).message));
    }
  }
}

/** @typedef {(frame: Frame) => string | null} SourceOf where the source of a line can be seen */

/** @param {Part} part @param {SourceOf} sourceOf */
function showPart(part, sourceOf) {
  if (part.kind === "text") return h("pre", { class: "text" }, part.text);
  if (part.kind === "exception") return h("div", { class: "exc" }, part.text);
  if (part.kind === "between") return h("div", { class: "between" }, part.text);
  const shown = [];
  /** @type {Frame[]} */
  let foreign = [];
  const fold = () => {
    if (foreign.length) shown.push(folded(foreign, sourceOf));
    foreign = [];
  };
  for (const frame of part.frames) {
    if (frame.own) { fold(); shown.push(showFrame(frame, sourceOf)); } else foreign.push(frame);
  }
  fold();
  return h("div", {}, shown);
}

/** @param {Frame[]} frames @param {SourceOf} sourceOf */
function folded(frames, sourceOf) {
  const names = [...new Set(frames.map((f) => (/(?:site|dist)-packages\/([^/.]+)/.exec(f.file) ?? /python[\d.]+\/([^/.]+)/.exec(f.file))?.[1] ?? "Python"))];
  const inside = h("div", { hidden: true }, frames.map((frame) => showFrame(frame, sourceOf)));
  const button = h("button", { type: "button", class: "fold", "aria-expanded": "false", onclick: () => {
    inside.hidden = !inside.hidden;
    button.setAttribute("aria-expanded", String(!inside.hidden));
  } }, `⋯ ${count(frames.length, "library frame")}: ${names.slice(0, 4).join(", ")}`);
  return h("div", {}, button, inside);
}

/** @param {Frame} frame @param {SourceOf} sourceOf */
function showFrame(frame, sourceOf) {
  const at = frame.file.lastIndexOf("/") + 1;
  const place = [frame.file.slice(0, at), h("b", {}, frame.file.slice(at)), ...(frame.line === null ? [] : [":", h("i", {}, frame.line)])];
  const source = sourceOf(frame);
  return h("div", { class: ["frame", frame.own && "own"] },
    h("div", { class: "where" }, source ? h("a", { href: source, "data-file": frame.file, "data-line": frame.line, target: "_blank", rel: "noopener noreferrer" }, place) : place,
      frame.func ? [" in ", h("b", {}, frame.func)] : null),
    frame.code.map((line) => h("pre", { class: /^[\s~^]+$/.test(line) ? "carets" : "" }, line)));
}
