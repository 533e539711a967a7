// The page: one state, all of it in the URL; whatever changes it goes through `go`.

import { ApiError, base, get } from "./api.js";
import { Chart } from "./chart.js";
import { Detail } from "./detail.js";
import { showHelp, showViews, signIn, takeToken } from "./dialogs.js";
import { announce, byId, h, replace } from "./dom.js";
import { showFacets } from "./facets.js";
import { showDifferent, showTracebacks } from "./groups.js";
import { List } from "./list.js";
import { Live } from "./live.js";
import { divide, filter, fromUrl, parts, seconds, selection, toUrl } from "./state.js";
import { byCategory, categoryClass, categoryName, clock, count, day, number, range, size } from "./texts.js";

const REFRESH_MS = 10_000;
const NO_LOG_MS = 2000;
const KNOW_MS = 1500;
const KNOW_TRIES = 400;
const ERRORS_SAID_EVERY_MS = 10_000;

let state = fromUrl();
/** @type {import("./chart.js").View | null} */
let view = null;
/** @type {any} */
let settings = { request_key: "request", host_names: {} };
/** @type {AbortController | null} */
let searching = null;
let isLive = false;
let top = 8;
/** @type {string[]} */
const history_ = JSON.parse(sessionStorage.getItem("searches") ?? "[]");

const hostName = (/** @type {string} */ host) => settings.host_names[host] ?? (host === "" || host === "-" ? "here" : host);
const input = /** @type {HTMLInputElement} */ (byId("q"));

// -- what is chosen ---------------------------------------------------------------------------

/** The selection with its times. */
function chosen() {
  const params = selection(state);
  if (state.from) params.set("from", state.from);
  if (state.to) params.set("to", state.to);
  return params;
}

/** Change the state, put it into the URL and show it. @param {Partial<typeof state>} change @param {{replace?: boolean}} [how] */
function go(change, how = {}) {
  const before = state;
  state = { ...state, ...change };
  const url = toUrl(state);
  if (how.replace) history.replaceState(null, "", url);
  else if (url !== toUrl(before)) history.pushState(null, "", url);
  show(before);
}

/** @param {typeof state | null} before */
function show(before) {
  const same = (/** @type {(s: typeof state) => unknown} */ of) => before !== null && JSON.stringify(of(before)) === JSON.stringify(of(state));
  showChips();
  showTabs();
  if (!same((s) => [s.q, s.f, s.x, s.from, s.to])) {
    const follows = !state.to && (before === null || isLive || !before.to);
    load(before === null ? state.at : "", follows);
  } else if (!same((s) => s.tab)) loadTab();
  if (!same((s) => s.at)) showDetail();
}

function showChips() {
  const chip = (/** @type {"f" | "x"} */ kind, /** @type {string} */ text) => {
    const [field, value] = parts(text);
    return h("span", { class: ["chip", kind === "x" && "not"] }, h("b", {}, `${kind === "x" ? "not " : ""}${field}`), h("span", { title: value }, field === "host" ? hostName(value) : value),
      h("button", { type: "button", "aria-label": `drop ${kind === "x" ? "not " : ""}${field} ${value}`, onclick: () => toggle(kind, text) }, "×"));
  };
  replace(byId("chips"), ...state.f.map((f) => chip("f", f)), ...state.x.map((x) => chip("x", x)));
  if (document.activeElement !== input) input.value = state.q;
}

/** @param {"f" | "x"} kind @param {string} text */
function toggle(kind, text) {
  const other = kind === "f" ? "x" : "f";
  const list = state[kind].includes(text) ? state[kind].filter((t) => t !== text) : [...state[kind], text];
  go({ [kind]: list, [other]: state[other].filter((t) => t !== text) });
}

// -- loading ----------------------------------------------------------------------------------

/** @param {string} around @param {boolean} follows */
async function load(around, follows) {
  searching?.abort();
  const abort = (searching = new AbortController());
  live.stop();
  top = 8;
  const listed = list.load(around).catch((error) => problem(error, abort));
  loadTab();
  try {
    await loadView(abort);
  } catch (error) {
    problem(error, abort);
    return;
  }
  await listed;
  if (!abort.signal.aborted && follows) startLive();
}

/** The picture; a partial one is shown and gone on with. @param {AbortController} abort @param {boolean} [quiet] */
async function loadView(abort, quiet = false) {
  if (!quiet) progress(0, "");
  const started = performance.now();
  const params = chosen();
  params.set("buckets", String(Math.max(20, Math.min(160, Math.floor(byId("chart").clientWidth / 10)))));
  params.set("top", String(top));
  let whole = await get("view", params, abort.signal);
  while (whole.partial && whole.next) {
    showView(whole, performance.now() - started);
    progress(whole.done, whole.searched_back_to ? `searched back to ${clock(whole.searched_back_to)}, ${Math.round(whole.done * 100)} %${whole.bytes ? ` of ${size(whole.bytes)}` : ""} · Esc stops` : "Esc stops");
    params.set("from", String(whole.from));
    params.set("to", String(whole.to));
    params.set("step", String(whole.step));
    params.set("before", whole.next);
    whole = merge(whole, await get("view", params, abort.signal));
  }
  showView(whole, performance.now() - started);
  progress(null, "");
  if (whole.pending) knowLater(whole, abort);
}

/** Deploys, losses and the size of the log come when it was read once. @param {any} whole @param {AbortController} abort */
async function knowLater(whole, abort) {
  for (let tries = 0; whole.pending && tries < KNOW_TRIES; tries += 1) {
    await new Promise((resolve) => { setTimeout(resolve, KNOW_MS); });
    if (abort.signal.aborted || view !== whole) return;
    try {
      Object.assign(whole, await get("known", new URLSearchParams({ from: String(whole.from), to: String(whole.to) }), abort.signal));
    } catch { return; }
  }
  if (view !== whole) return;
  chart.draw();
  showCounts();
}

/** Two parts of one picture. @param {any} a @param {any} b */
function merge(a, b) {
  const bars = { ...a.bars };
  for (const [cat, counts] of Object.entries(/** @type {Record<string, number[]>} */ (b.bars))) {
    const sum = [...(bars[cat] ?? [])];
    counts.forEach((n, i) => { sum[i] = (sum[i] ?? 0) + n; });
    bars[cat] = sum;
  }
  const facets = a.facets.map((/** @type {any} */ facet) => {
    const values = new Map(facet.values);
    const other = b.facets.find((/** @type {any} */ f) => f.field === facet.field);
    for (const [value, n] of other?.values ?? []) values.set(value, (values.get(value) ?? 0) + n);
    const sorted = [...values].sort((x, y) => y[1] - x[1]);
    return { ...facet, values: sorted.slice(0, top), distinct: Math.max(facet.distinct, other?.distinct ?? 0, sorted.length) };
  });
  return { ...b, total: a.total + b.total, bars, facets, upto: a.upto };
}

/** @param {any} whole @param {number} ms */
function showView(whole, ms) {
  view = whole;
  chart.show(whole);
  showCounts();
  showFacets(byId("facets"), whole, state, { toggle, more: moreFacets, hostName });
  byId("took").textContent = `answered in ${Math.round(ms)} ms`;
}

function showCounts() {
  if (!view) return;
  const shown = view;
  byId("count").textContent = number(shown.total);
  byId("of").textContent = shown.all === null ? (shown.total === 1 ? "record" : "records") : `of ${count(shown.all, "record")}`;
  const sums = Object.entries(shown.bars).map(([cat, n]) => /** @type {[string, number]} */ ([cat, n.reduce((a, b) => a + b, 0)])).filter(([, n]) => n);
  replace(byId("cats"), ...sums.sort(([a], [b]) => byCategory(a, b)).map(([cat, n]) => h("button", { type: "button", title: `only ${categoryName(cat)}`, onclick: () => toggle("f", filter("cat", cat || "-")) },
    h("i", { class: categoryClass(cat), "aria-hidden": "true" }), `${categoryName(cat)} ${number(n)}`)));
  const button = byId("range");
  const isAll = !state.from && !state.to;
  button.textContent = `${range(shown.from, shown.to, !state.to)}${isAll ? "" : " ×"}`;
  button.setAttribute("aria-label", `${button.textContent}; ${isAll ? "all of the log" : "show all of the log"}`);
  const tab = byId("tab-records").querySelector(".n");
  if (tab) tab.textContent = number(shown.total);
  const lost = shown.losses.records;
  byId("lost").textContent = lost ? `▲ ${count(lost, "record")} lost by clients` : "";
  byId("source").textContent = settings.source ?? "";
  byId("kept").textContent = settings.first ? `${shown.all === null ? "" : `${count(shown.all, "record")}, `}${day(settings.first)} ${clock(settings.first)} – now` : "";
  document.title = `${sums.filter(([c]) => c === "E" || c === "C").reduce((a, [, n]) => a + n, 0) || ""}${state.f.length ? ` ${state.f.join(" ")}` : ""} logd`.trim();
}

/** @param {number | null} done @param {string} text */
function progress(done, text) {
  const bar = byId("progress");
  bar.hidden = done === null;
  byId("chart").classList.toggle("stale", done === 0 && view !== null);
  if (done === null) return;
  /** @type {HTMLElement} */ (bar.firstElementChild).style.transform = `scaleX(${Math.max(0.03, done)})`;
  byId("progress-text").textContent = text;
}

/** @param {string} field */
async function moreFacets(field) {
  top = 60;
  const abort = (searching = new AbortController());
  try { await loadView(abort, true); } catch (error) { problem(error, abort); }
  /** @type {HTMLElement | null} */ (byId("facets").querySelector(`[data-key^="${CSS.escape(field)}:"]`))?.focus();
}

/** @param {any} error @param {AbortController} abort */
function problem(error, abort) {
  if (abort.signal.aborted) return;
  progress(null, "");
  if (error instanceof ApiError && error.status === 401) {
    byId("state").textContent = "signed out";
    signIn(() => { begin(); });
    return;
  }
  if (error instanceof ApiError && error.status === 410 && state.at) {
    // The record of the link is gone: say so, and show what there is.
    list.load().catch((e) => problem(e, abort));
    return;
  }
  const isOurs = error instanceof ApiError;
  const code = isOurs ? error.code : "";
  const words = code === "no_log" ? "Nothing has been logged yet" : code === "bad_selection" ? "The search can't be understood" : isOurs ? "That can't be shown" : "The server does not answer";
  const hint = isOurs ? error.hint : "";
  replace(byId("list"), h("div", { class: "empty", role: "alert" }, h("h2", {}, words),
    h("p", {}, isOurs ? error.message : "logd web has ended, or the network is cut."), hint ? h("p", { class: "dim" }, hint) : null,
    code === "bad_selection"
      ? h("button", { type: "button", class: "button", onclick: () => { input.value = ""; go({ q: "" }); } }, "Drop the text")
      : h("button", { type: "button", class: "button", onclick: () => load("", !state.to) }, "Try again")));
  byId("list").classList.remove("stale");
  // What is not there yet comes by itself.
  if (code === "no_log") setTimeout(() => { if (!abort.signal.aborted) load("", !state.to); }, NO_LOG_MS);
}

// -- parts of the page ------------------------------------------------------------------------

const chart = new Chart(byId("chart"), (from, to) => go({ from: String(Math.floor(from)), to: String(Math.ceil(to)), at: "" }));

const list = new List(byId("list"), { selection: chosen, hostName, empty, open: (entry) => go({ at: entry.at }, { replace: state.at !== "" }) });

const detail = new Detail(byId("detail"), {
  close: () => go({ at: "" }), open: (at) => go({ at }), toggle, hostName, link: copyLink, requestKey: () => settings.request_key,
  allWith: (fingerprint) => go({ f: [...state.f.filter((f) => !f.startsWith("traceback:")), filter("traceback", fingerprint)], tab: "records" }),
});

const live = new Live({
  selection: () => selection(state), signedOut: () => signIn(begin),
  take: (entries) => {
    list.add(entries);
    for (const entry of entries) {
      if (view) { view.total += 1; if (view.all !== null) view.all += 1; }
      if (entry.time !== null) chart.add(entry.time, entry.cat || "-");
    }
    drawSoon();
    sayErrors(entries.filter((/** @type {any} */ e) => e.cat === "E" || e.cat === "C").length);
  },
  state: (name, text) => {
    const button = byId("live");
    button.classList.toggle("behind", name === "behind");
    button.classList.toggle("away", name === "away");
    byId("state").textContent = text;
  },
  gap: (skipped) => { list.leftOut(skipped); refresh(); },
});

let drawing = false;
function drawSoon() {
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(() => { drawing = false; chart.draw(); showCounts(); });
}

let unsaid = 0, saidAt = 0;
/** @param {number} errors */
function sayErrors(errors) {
  unsaid += errors;
  if (!unsaid || performance.now() - saidAt < ERRORS_SAID_EVERY_MS) return;
  announce(count(unsaid, "new error"));
  unsaid = 0;
  saidAt = performance.now();
}

function startLive() {
  isLive = true;
  byId("live").setAttribute("aria-pressed", "true");
  /** @type {Element} */ (byId("live").querySelector("span")).textContent = "Live";
  live.start(list.moreAfter ? "" : list.entries.at(-1)?.at ?? "", view?.upto ?? "0");
}

function stopLive() {
  isLive = false;
  byId("live").setAttribute("aria-pressed", "false");
  /** @type {Element} */ (byId("live").querySelector("span")).textContent = "Paused";
  live.stop();
}

function toggleLive() {
  if (isLive) { stopLive(); return; }
  if (state.to) { isLive = true; go({ to: "" }); return; }
  if (list.moreAfter) load("", true);
  else startLive();
}

function empty() {
  const last = state.x.length ? /** @type {["x", string]} */ (["x", state.x.at(-1)]) : state.f.length ? /** @type {["f", string]} */ (["f", state.f.at(-1)]) : null;
  const isFiltered = state.q || last;
  if (!isFiltered && !state.from && !state.to) {
    return h("div", { class: "empty" }, h("h2", {}, "Nothing has been logged yet"), h("p", {}, "Records show up here as they come. To send one: logd send hello"));
  }
  return h("div", { class: "empty" }, h("h2", {}, "Nothing found"),
    h("p", {}, `Looked for ${[state.q && `“${state.q}”`, ...state.f, ...state.x.map((x) => `not ${x}`)].filter(Boolean).join(", ") || "all records"}${view ? ` in ${range(view.from, view.to, !state.to)}` : ""}.`),
    h("div", { class: "ways" }, last ? h("button", { type: "button", class: "button", onclick: () => toggle(last[0], last[1]) }, `Drop ${last[0] === "x" ? "not " : ""}${last[1]}`) : null,
      state.q ? h("button", { type: "button", class: "button", onclick: () => { input.value = ""; go({ q: "" }); } }, "Drop the text") : null,
      state.from || state.to ? h("button", { type: "button", class: "button", onclick: () => go({ from: "", to: "" }) }, "Look in all of the log") : null));
}

function showTabs() {
  for (const tab of document.querySelectorAll('[role="tab"]')) {
    const name = /** @type {HTMLElement} */ (tab).dataset.tab ?? "";
    const isOn = name === state.tab;
    tab.setAttribute("aria-selected", String(isOn));
    tab.setAttribute("tabindex", isOn ? "0" : "-1");
    byId(name).hidden = !isOn;
  }
}

async function loadTab() {
  const abort = searching ?? new AbortController();
  const place = byId(state.tab);
  if (state.tab === "records") { loadGroups(abort, false); return; }
  place.classList.add("stale");
  try {
    if (state.tab === "tracebacks") await loadGroups(abort, true);
    else showDifferent(place, await get("compare", chosen(), abort.signal), { toggle, hostName });
  } catch (error) {
    if (!abort.signal.aborted) replace(place, h("div", { class: "empty", role: "alert" }, h("h2", {}, "That can't be shown"), h("p", {}, /** @type {Error} */ (error).message)));
  } finally {
    place.classList.remove("stale");
  }
}

/** Tracebacks; their number stands in the tab whichever is open. @param {AbortController} abort @param {boolean} isLoud */
async function loadGroups(abort, isLoud) {
  try {
    const answer = await get("tracebacks", chosen(), abort.signal);
    if (answer.pending) setTimeout(() => { if (!abort.signal.aborted) loadGroups(abort, false); }, KNOW_MS);
    const tab = byId("tab-tracebacks");
    /** @type {Element} */ (tab.querySelector(".n")).textContent = answer.groups.length ? number(answer.groups.length) : "";
    const badge = /** @type {HTMLElement} */ (tab.querySelector(".badge"));
    const fresh = answer.groups.filter((/** @type {any} */ g) => g.new_since).length;
    badge.hidden = !fresh;
    badge.textContent = `${fresh} new`;
    showTracebacks(byId("tracebacks"), answer, { hostName, allWith: (fingerprint) => go({ f: [...state.f.filter((f) => !f.startsWith("traceback:")), filter("traceback", fingerprint)], tab: "records" }),
      nothing: () => h("div", { class: "empty" }, h("h2", {}, "No tracebacks"), h("p", {}, "No record of this selection has one.")) });
  } catch (error) {
    if (isLoud) throw error;
  }
}

function showDetail() {
  document.querySelector(".main")?.classList.toggle("with-detail", Boolean(state.at));
  if (state.at) detail.show(state.at, list.choose(state.at, false)); else detail.hide();
}

async function refresh() {
  if (document.hidden || !isLive || !searching || searching.signal.aborted) return;
  try { await loadView(searching, true); } catch { /* the next one will tell */ }
}

// -- links ------------------------------------------------------------------------------------

/** A link that means the same tomorrow. @param {string} at */
function frozen(at = state.at) {
  const now = Date.now() / 1000;
  const fix = (/** @type {string} */ text, /** @type {string} */ fallback) => { const s = seconds(text, now); return s === null ? fallback : String(Math.floor(s)); };
  return new URL(toUrl({ ...state, at, from: fix(state.from, state.from), to: fix(state.to, String(Math.ceil(now))) }), location.href).href;
}

/** @param {string} text @param {string} said */
async function copy(text, said) {
  try { await navigator.clipboard.writeText(text); byId("state").textContent = said; announce(said); } catch { window.prompt("Copy:", text); }
}

/** @param {string} at */
function copyLink(at = state.at) {
  copy(frozen(at), at ? "link to this record copied" : "link to this view copied");
}

async function copyText() {
  if (state.at && detail.entry) { copy(detail.entry.text, "record copied as text"); return; }
  const { command } = await get("command", chosen());
  copy(command, "copied as a command for the terminal");
}

// -- times ------------------------------------------------------------------------------------

/**
 * The stretch of time that is asked for. The last answer may still be one for the stretch before.
 * @param {{from: number, to: number}} shown
 */
function asked(shown) {
  const number = (/** @type {string} */ text, /** @type {number} */ other) => (text && Number.isFinite(Number(text)) ? Number(text) : other);
  return { from: number(state.from, shown.from), to: number(state.to, state.from ? Math.max(shown.to, Date.now() / 1000) : shown.to) };
}

function zoomOut() {
  if (!view) return;
  const now = asked(view);
  const width = now.to - now.from;
  const to = now.to + width / 2;
  const from = now.from - width / 2;
  if (settings.first && from <= settings.first && to >= Date.now() / 1000) go({ from: "", to: "" });
  else go({ from: String(Math.floor(from)), to: to >= Date.now() / 1000 ? "" : String(Math.ceil(to)) });
}

/** @param {number} by */
function shift(by) {
  if (!view) return;
  const now = asked(view);
  const width = (now.to - now.from) / 2;
  const to = now.to + by * width;
  go({ from: String(Math.floor(now.from + by * width)), to: to >= Date.now() / 1000 ? "" : String(Math.ceil(to)) });
}

// -- keys -------------------------------------------------------------------------------------

const isError = (/** @type {any} */ e) => e.cat === "E" || e.cat === "C";
const isWarning = (/** @type {any} */ e) => e.cat === "W";

/** @param {number} by @param {(e: any) => boolean} [test] @param {string} [what] */
async function move(by, test, what = "record") {
  if (state.tab !== "records") go({ tab: "records" });
  if (!(await list.move(by, test))) announce(`no further ${what}`);
}

/** @param {number} by */
function moveGroup(by) {
  if (state.tab !== "tracebacks") { go({ tab: "tracebacks" }); return; }
  const cards = [.../** @type {NodeListOf<HTMLElement>} */ (byId("tracebacks").querySelectorAll(".card"))];
  const at = cards.indexOf(/** @type {HTMLElement} */ (document.activeElement));
  cards[Math.min(cards.length - 1, Math.max(0, at + by))]?.focus();
}

/** @param {"f" | "x"} kind */
function byFocus(kind) {
  const text = document.activeElement instanceof HTMLElement ? document.activeElement.dataset.filter : undefined;
  if (text) toggle(kind, text);
  else announce("nothing to filter by has the focus");
}

/** @type {Record<string, () => void>} */
const ACTIONS = {
  "/": () => { input.focus(); input.select(); }, j: () => move(1), k: () => move(-1), e: () => move(1, isError, "error"), E: () => move(-1, isError, "error"),
  w: () => move(1, isWarning, "warning"), W: () => move(-1, isWarning, "warning"), J: () => moveGroup(1), K: () => moveGroup(-1), c: () => detail.nextScope(),
  f: () => byFocus("f"), x: () => byFocus("x"), l: toggleLive, 1: () => go({ tab: "records" }), 2: () => go({ tab: "tracebacks" }), 3: () => go({ tab: "different" }),
  z: zoomOut, "[": () => shift(-1), "]": () => shift(1), y: () => copyLink(), Y: copyText, s: () => showViews(location.search, (search) => openSearch(search)),
  g: first, G: () => (list.moreAfter ? load("", isLive) : list.toEnd()), t: () => chart.toggleTable(), "?": () => showHelp(switchTheme), Escape: escape,
};

async function first() {
  const params = chosen();
  params.set("limit", "1");
  params.set("first", "1");
  const abort = searching ?? new AbortController();
  try {
    const { entries } = await get("entries", params, abort.signal);
    if (entries.length) await list.load(entries[0].at);
  } catch (error) { problem(error, abort); }
}

function escape() {
  if (!byId("progress").hidden) { searching?.abort(); progress(null, ""); byId("state").textContent = "search stopped: the picture is partial"; return; }
  if (byId("facets").classList.contains("open")) { openFacets(false); return; }
  if (state.at) go({ at: "" });
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || /** @type {HTMLDialogElement} */ (byId("dialog")).open) return;
  const target = /** @type {HTMLElement} */ (event.target);
  if (target === input) { inSearch(event); return; }
  if (target.matches("input, textarea, select")) return;
  if (event.key === "Enter") {
    const entry = list.entries.find((e) => e.at === list.selected);
    if (entry && !target.closest("button, a, svg")) go({ at: entry.at });
    return;
  }
  if (target.getAttribute("role") === "tab" && (event.key === "ArrowLeft" || event.key === "ArrowRight")) { nextTab(event.key === "ArrowRight" ? 1 : -1); return; }
  if (target.id === "list" && (event.key === "ArrowDown" || event.key === "ArrowUp")) { event.preventDefault(); move(event.key === "ArrowDown" ? 1 : -1); return; }
  const action = ACTIONS[event.key];
  if (action) { event.preventDefault(); action(); }
});

/** @param {number} by */
function nextTab(by) {
  const names = ["records", "tracebacks", "different"];
  const name = names[(names.indexOf(state.tab) + by + names.length) % names.length];
  go({ tab: name });
  byId(`tab-${name}`).focus();
}

let historyAt = -1;
/** @param {KeyboardEvent} event */
function inSearch(event) {
  if (event.key === "Escape") { input.blur(); byId("list").focus(); }
  else if (event.key === "Backspace" && !input.value) {
    if (state.x.length) toggle("x", state.x[state.x.length - 1]);
    else if (state.f.length) toggle("f", state.f[state.f.length - 1]);
  } else if (event.key === "ArrowUp" && history_.length) {
    historyAt = Math.min(historyAt + 1, history_.length - 1);
    input.value = history_[historyAt];
    event.preventDefault();
  }
}

byId("search").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = input.value.trim();
  historyAt = -1;
  if (text && history_[0] !== text) { history_.unshift(text); sessionStorage.setItem("searches", JSON.stringify(history_.slice(0, 50))); }
  const typed = divide(text);
  input.value = typed.q;
  const add = (/** @type {string[]} */ old, /** @type {string[]} */ more) => [...old, ...more.filter((t) => !old.includes(t))];
  go({ q: typed.q, f: add(state.f, typed.f), x: add(state.x, typed.x), at: "" });
});

// -- buttons ----------------------------------------------------------------------------------

/** @param {boolean} isOpen */
function openFacets(isOpen) {
  byId("facets").classList.toggle("open", isOpen);
  byId("open-facets").setAttribute("aria-expanded", String(isOpen));
}

function switchTheme() {
  const root = document.documentElement;
  const isLight = root.dataset.theme ? root.dataset.theme === "light" : matchMedia("(prefers-color-scheme: light)").matches;
  root.dataset.theme = isLight ? "dark" : "light";
  localStorage.setItem("theme", root.dataset.theme);
  chart.draw();
}

/** @param {string} search */
function openSearch(search) {
  const before = state;
  state = fromUrl(search);
  history.pushState(null, "", toUrl(state));
  show(before);
}

byId("live").addEventListener("click", toggleLive);
byId("help").addEventListener("click", () => showHelp(switchTheme));
byId("views").addEventListener("click", () => showViews(location.search, openSearch));
byId("range").addEventListener("click", () => go({ from: "", to: "", at: "" }));
byId("zoom-out").addEventListener("click", zoomOut);
byId("new").addEventListener("click", () => (list.moreAfter ? load("", isLive) : list.toEnd()));
byId("open-facets").addEventListener("click", () => openFacets(!byId("facets").classList.contains("open")));
for (const button of document.querySelectorAll("[data-span]")) button.addEventListener("click", () => go({ from: `-${/** @type {HTMLElement} */ (button).dataset.span}s`, to: "", at: "" }));
for (const tab of document.querySelectorAll('[role="tab"]')) tab.addEventListener("click", () => go({ tab: /** @type {HTMLElement} */ (tab).dataset.tab ?? "records" }));
addEventListener("popstate", () => { const before = state; state = fromUrl(); input.value = state.q; show(before); });
setInterval(refresh, REFRESH_MS);

// -- begin ------------------------------------------------------------------------------------

async function begin() {
  try {
    settings = await get("about");
  } catch (error) {
    problem(error, new AbortController());
    return;
  }
  show(null);
}

const theme = localStorage.getItem("theme");
if (theme) document.documentElement.dataset.theme = theme;
await takeToken();
if (base) await begin();
