// The page: one state, all of it in the URL; whatever changes it goes through `go`.

import { ApiError, base, get } from "./api.js";
import { Chart, merge } from "./chart.js";
import { Detail } from "./detail.js";
import { showHelp, showViews, signIn, takeToken } from "./dialogs.js";
import { byId, h, replace } from "./dom.js";
import { showFacets } from "./facets.js";
import { showDifferent, showTracebacks } from "./groups.js";
import { List } from "./list.js";
import { Live } from "./live.js";
import { SearchBox } from "./searchbox.js";
import { say, sayErrors, showState } from "./says.js";
import { filter, fromUrl, parts, plainWords, seconds, selection, shifted, toUrl, zoomedOut } from "./state.js";
import { broken, nothing } from "./states.js";
import { byCategory, categoryClass, categoryName, clock, count, day, number, range, shownValue, size } from "./texts.js";

const REFRESH_MS = 10_000;
const REFRESH_PARTS = 20;
const NO_LOG_MS = 2000;
const KNOW_MS = 1500;
const KNOW_TRIES = 400;
const MAX_EXPORTED = 100_000;

let state = fromUrl();
/** @type {import("./chart.js").View | null} */
let view = null;
/** @type {any} */
let settings = { host_names: {} };
/** @type {any[]} items of the records as facets */
let items = [];
/** @type {Map<string, string>} what tracebacks are called */
const tracebackNames = new Map();
/** @type {AbortController | null} */
let searching = null;
/** Whether records are shown as they come, and whether somebody wanted that to stop. */
let isLive = false, isPaused = false;
let top = 8;
let refreshAt = 0;

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
    load(before === null ? state.at : "", !state.to && !isPaused);
  } else if (!same((s) => s.tab)) loadTab();
  if (!same((s) => s.at)) showDetail();
}

function showChips() {
  const chip = (/** @type {"f" | "x"} */ kind, /** @type {string} */ text) => {
    const [field, value] = parts(text);
    const shown = field === "traceback" ? tracebackNames.get(value) ?? value : shownValue(field, value, hostName);
    return h("span", { class: ["chip", kind === "x" && "not"] }, h("b", {}, `${kind === "x" ? "not " : ""}${field}`), h("span", { title: value }, shown),
      h("button", { type: "button", "aria-label": `drop ${kind === "x" ? "not " : ""}${field} ${value}`, onclick: () => toggle(kind, text) }, "×"));
  };
  replace(byId("chips"), ...state.f.map((f) => chip("f", f)), ...state.x.map((x) => chip("x", x)));
  const download = chosen();
  download.set("as", "text");
  byId("download").setAttribute("href", `${base}api/1/entries?${download}`);
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
  if (!follows) setLive(false);
  top = 8;
  items = [];
  const listed = list.load(around).catch((error) => problem(error, abort));
  loadTab();
  try {
    await loadView(abort);
  } catch (error) {
    problem(error, abort);
    return;
  }
  loadItems(abort);
  await listed;
  if (abort.signal.aborted) return;
  if (follows) startLive();
  else if (!state.to) stream();
}

/** Items as facets come after the picture: they stand in no index. @param {AbortController} abort */
async function loadItems(abort) {
  const params = chosen();
  params.set("top", String(top));
  try {
    const { facets, records, partial } = await get("items", params, abort.signal);
    items = facets.map((/** @type {any} */ facet) => ({ ...facet, note: partial ? `in the newest ${number(records)}` : "" }));
    drawFacets();
  } catch { /* the other facets are there */ }
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
    if (!quiet) showView(whole, performance.now() - started);
    if (!quiet) progress(whole.done, whole.searched_back_to ? `searched back to ${clock(whole.searched_back_to)}, ${Math.round(whole.done * 100)} %${whole.bytes ? ` of ${size(whole.bytes)}` : ""} · Esc stops` : "Esc stops");
    params.set("from", String(whole.from));
    params.set("to", String(whole.to));
    params.set("step", String(whole.step));
    params.set("before", whole.next);
    whole = merge(whole, await get("view", params, abort.signal));
  }
  const took = performance.now() - started;
  // What takes long is not counted anew all the time: what comes live is added.
  refreshAt = performance.now() + took * REFRESH_PARTS;
  showView(whole, took);
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

/** @param {any} whole @param {number} ms */
function showView(whole, ms) {
  view = whole;
  chart.show(whole);
  showCounts();
  drawFacets();
  byId("took").textContent = `answered in ${Math.round(ms)} ms`;
}

function drawFacets() {
  if (view) showFacets(byId("facets"), { ...view, facets: [...view.facets, ...items] }, state, top, { toggle, more: moreFacets, hostName });
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
  byId("download").textContent = shown.total > MAX_EXPORTED ? `Download the first ${number(MAX_EXPORTED)}` : "Download";
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
  try { await Promise.all([loadView(abort, true), items.some((facet) => facet.field === field) && loadItems(abort)]); } catch (error) { problem(error, abort); }
  /** @type {HTMLElement | null} */ (byId("facets").querySelector(`[data-key^="${CSS.escape(field)}:"]`))?.focus();
}

/** @param {any} error @param {AbortController} abort */
function problem(error, abort) {
  if (abort.signal.aborted) return;
  progress(null, "");
  if (error instanceof ApiError && error.status === 401) {
    showState("signed out");
    signIn(() => { begin(); });
    return;
  }
  if (error instanceof ApiError && error.status === 410 && state.at) {
    // The record of the link is gone: say so, and show what there is.
    list.load().catch((e) => problem(e, abort));
    return;
  }
  const code = error instanceof ApiError ? error.code : "";
  byId("list").setAttribute("role", "region");
  replace(byId("list"), broken(error, { drop, again: () => { load("", !state.to); } }));
  byId("list").classList.remove("stale");
  // What is not there yet comes by itself.
  if (code === "no_log") setTimeout(() => { if (!abort.signal.aborted) load("", !state.to); }, NO_LOG_MS);
}

// -- parts of the page ------------------------------------------------------------------------

const chart = new Chart(byId("chart"), (from, to) => go({ from: String(Math.floor(from)), to: String(Math.ceil(to)), at: "" }));

const list = new List(byId("list"), { selection: chosen, hostName, empty, open: (entry) => go({ at: entry.at }, { replace: state.at !== "" }),
  words: () => plainWords(state.q), ended: (upto) => { if (isLive) live.start(upto); },
  begins: () => (state.from ? "The time that you chose begins here." : "The log, as far as it was kept, begins here.") });

const box = new SearchBox(input, {
  search: ({ q, f, x }) => {
    const add = (/** @type {string[]} */ old, /** @type {string[]} */ more) => [...old, ...more.filter((t) => !old.includes(t))];
    go({ q, f: add(state.f, f), x: add(state.x, x), at: "" });
  },
  dropLast: () => {
    const kind = state.x.length ? "x" : "f", last = state[kind].at(-1);
    if (last) toggle(kind, last);
  },
  hostNames: () => settings.host_names,
});

const detail = new Detail(byId("detail"), {
  close: () => go({ at: "" }), open: (at) => go({ at }), toggle, hostName, link: copyLink, sourceLink: () => settings.source_link ?? null,
  allWith: (fingerprint) => go({ f: [...state.f.filter((f) => !f.startsWith("traceback:")), filter("traceback", fingerprint)], tab: "records" }),
});

const live = new Live({
  selection: () => selection(state), signedOut: () => signIn(begin),
  take: (entries) => {
    if (!isLive) { list.hold(entries.length); return; }
    list.add(entries, live.last);
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
    showState(isLive || name !== "live" ? text : "paused");
  },
  gap: (skipped) => {
    if (!isLive) { list.hold(skipped); return; }
    list.leftOut(skipped, live.last);
    refresh();
  },
});

let drawing = false;
function drawSoon() {
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(() => { drawing = false; chart.draw(); showCounts(); });
}

/** @param {boolean} is */
function setLive(is) {
  isLive = is;
  byId("live").setAttribute("aria-pressed", String(is));
  /** @type {Element} */ (byId("live").querySelector("span")).textContent = is ? "Live" : "Paused";
}

/** Follow the log behind what is shown; while it is paused what comes is counted. */
function stream() {
  live.start((list.moreAfter ? "" : list.upto) || (view?.upto ?? "0"));
}

function startLive() {
  setLive(true);
  stream();
}

function stopLive() {
  setLive(false);
  // What comes is counted, so that one sees what there is to come back to.
  list.hold(0);
  showState("paused");
}

function toggleLive() {
  isPaused = isLive;
  if (isLive) stopLive();
  else if (state.to) go({ to: "" });
  else if (list.moreAfter) load("", true);
  else startLive();
}

const drop = () => { input.value = ""; go({ q: "" }); };
function empty() {
  return nothing(state, view, { toggle, drop, everywhere: () => go({ from: "", to: "" }) });
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
    else showDifferent(place, await get("compare", chosen(), abort.signal), {
      toggle, hostName, marks: view?.marks ?? [], choose: (from, to) => go({ from: String(Math.floor(from)), to: to ? String(Math.floor(to)) : "" }),
    });
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
    for (const group of answer.groups) tracebackNames.set(group.fingerprint, group.text);
    if (state.f.some((f) => f.startsWith("traceback:"))) showChips();
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
  if (document.hidden || !isLive || !searching || searching.signal.aborted || performance.now() < refreshAt) return;
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
  try { await navigator.clipboard.writeText(text); say(said); } catch { window.prompt("Copy:", text); }
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

// -- keys -------------------------------------------------------------------------------------

const zoomOut = () => { if (view) go(zoomedOut(state, view, settings.first)); };
const shift = (/** @type {number} */ by) => { if (view) go(shifted(state, view, by)); };
const isError = (/** @type {any} */ e) => e.cat === "E" || e.cat === "C";
const isWarning = (/** @type {any} */ e) => e.cat === "W";

/**
 * To the next record in a direction; with categories to the next one of these, wherever that is.
 * @param {number} by @param {(e: any) => boolean} [test] @param {string} [what] @param {string[]} [cats]
 */
async function move(by, test, what = "record", cats = []) {
  if (state.tab !== "records") go({ tab: "records" });
  if (await list.move(by, test)) return;
  const found = cats.length ? await seek(by, cats, what) : null;
  if (!found || (test && !test(found))) { say(`no ${by > 0 ? "later" : "earlier"} ${what}`); return; }
  await list.load(found.at);
  go({ at: found.at }, { replace: state.at !== "" });
}

/** @param {number} by @param {string[]} cats @param {string} what */
async function seek(by, cats, what) {
  const asked = state.f.filter((f) => f.startsWith("cat:")).flatMap((f) => parts(f)[1].split(","));
  const wanted = asked.length ? cats.filter((cat) => asked.includes(cat)) : cats;
  if (!wanted.length) return null;
  const params = chosen();
  params.delete("f");
  for (const f of [...state.f.filter((text) => !text.startsWith("cat:")), ...wanted.map((cat) => `cat:${cat}`)]) params.append("f", f);
  say(`looking for ${by > 0 ? "a later" : "an earlier"} ${what} …`);
  try { return await list.seek(params, by); } catch { return null; }
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
  else say("go to a filter or an item with Tab first");
}

/** @type {Record<string, () => void>} */
const ACTIONS = {
  "/": () => { input.focus(); input.select(); }, j: () => move(1), k: () => move(-1), e: () => move(1, isError, "error", ["E", "C"]), E: () => move(-1, isError, "error", ["E", "C"]),
  w: () => move(1, isWarning, "warning", ["W"]), W: () => move(-1, isWarning, "warning", ["W"]), J: () => moveGroup(1), K: () => moveGroup(-1), c: () => detail.nextScope(),
  f: () => byFocus("f"), x: () => byFocus("x"), l: toggleLive, 1: () => go({ tab: "records" }), 2: () => go({ tab: "tracebacks" }), 3: () => go({ tab: "different" }),
  z: zoomOut, "[": () => shift(-1), "]": () => shift(1), y: () => copyLink(), Y: copyText, s: () => showViews(location.search, (search) => openSearch(search)),
  g: first, G: () => (list.moreAfter ? load("", isLive) : list.toEnd()), t: () => chart.toggleTable(), "?": () => showHelp(ACTIONS, switchTheme), Escape: escape,
};

async function first() {
  const params = chosen();
  params.set("limit", "1");
  params.set("first", "1");
  const abort = searching ?? new AbortController();
  try {
    let page = await get("entries", params, abort.signal);
    while (page.partial && !page.entries.length) {
      params.delete("first");
      params.set("place", page.next);
      page = await get("entries", params, abort.signal);
    }
    if (page.entries.length) await list.load(page.entries[0].at);
  } catch (error) { problem(error, abort); }
}

function escape() {
  const isListing = list.stop();
  if (isListing || !byId("progress").hidden) {
    searching?.abort();
    progress(null, "");
    showState("the search was stopped: the picture is partial");
    return;
  }
  if (byId("facets").classList.contains("open")) { openFacets(false); return; }
  if (state.at) go({ at: "" });
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || /** @type {HTMLDialogElement} */ (byId("dialog")).open) return;
  const target = /** @type {HTMLElement} */ (event.target);
  if (target === input) { box.key(event); return; }
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
byId("help").addEventListener("click", () => showHelp(ACTIONS, switchTheme));
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
