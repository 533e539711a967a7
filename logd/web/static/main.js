// The page: puts its parts together, loads what the URL asks for, and does what keys say.

import { ApiError, base, get } from "./api.js";
import { showChips } from "./chips.js";
import { Detail } from "./detail.js";
import { showHelp, showViews, signIn, takeToken } from "./dialogs.js";
import { byId, replace } from "./dom.js";
import { Following } from "./following.js";
import { chosen, dropLast, go, goTo, here, hostName, showCause, toggle, whenChanged } from "./here.js";
import { copyLink, copyText } from "./links.js";
import { List } from "./list.js";
import { move, toFirst } from "./moving.js";
import { Picture } from "./picture.js";
import { say, showState } from "./says.js";
import { SearchBox } from "./searchbox.js";
import { plainWords, shifted, zoomedOut } from "./state.js";
import { broken, nothing } from "./states.js";
import { loadTab, moveGroup, nextTab, showTabs } from "./tabs.js";

const NO_LOG_MS = 2000;

/** What is being loaded. */
let searching = new AbortController();

const input = /** @type {HTMLInputElement} */ (byId("q"));

// -- parts of the page ------------------------------------------------------------------------

const picture = new Picture();

const list = new List(byId("list"), {
  selection: chosen, hostName, words: () => plainWords(here.state.q),
  empty: () => nothing(here.state, picture.view, { toggle, drop, everywhere: () => go({ from: "", to: "" }) }),
  open: (entry) => go({ at: entry.at }, { replace: here.state.at !== "" }),
  ended: (upto) => following.reached(upto), stop: () => escape(),
  begins: () => (here.state.from ? "The time that you chose begins here." : "The log, as far as it was kept, begins here."),
});

const following = new Following(list, picture, { reload: () => load("", true), signedOut: () => signIn(begin) });

const detail = new Detail(byId("detail"), {
  close: () => go({ at: "" }), open: (at) => go({ at }), toggle, hostName, link: copyLink, allWith: showCause,
  sourceLink: () => here.settings.source_link ?? null,
});

const box = new SearchBox(input, {
  search: ({ q, f, x }) => {
    const add = (/** @type {string[]} */ old, /** @type {string[]} */ more) => [...old, ...more.filter((t) => !old.includes(t))];
    go({ q, f: add(here.state.f, f), x: add(here.state.x, x), at: "" });
  },
  dropLast, hostNames: () => here.settings.host_names,
});

function drop() {
  input.value = "";
  go({ q: "" });
}

// -- loading ----------------------------------------------------------------------------------

/** @param {import("./state.js").State | null} before */
function show(before) {
  const { state } = here;
  const same = (/** @type {(s: typeof state) => unknown} */ of) => before !== null && JSON.stringify(of(before)) === JSON.stringify(of(state));
  showChips();
  showTabs();
  if (!same((s) => [s.q, s.f, s.x, s.from, s.to])) load(before === null ? state.at : "", !state.to && !following.isPaused);
  else if (!same((s) => s.tab)) loadTab(searching, marks);
  if (!same((s) => s.at)) showDetail();
}

const marks = () => picture.view?.marks ?? [];

/** @param {string} around @param {boolean} follows */
async function load(around, follows) {
  searching.abort();
  const abort = (searching = new AbortController());
  following.rest(follows);
  const listed = list.load(around).catch((error) => problem(error, abort));
  loadTab(abort, marks);
  try {
    await picture.load(abort);
  } catch (error) {
    problem(error, abort);
    return;
  }
  await listed;
  if (abort.signal.aborted) return;
  if (follows) following.start();
  else if (!here.state.to) following.stream();
}

/** @param {any} error @param {AbortController} abort */
function problem(error, abort) {
  if (abort.signal.aborted) return;
  picture.progress(null, "");
  if (error instanceof ApiError && error.status === 401) {
    showState("signed out");
    signIn(begin);
    return;
  }
  if (error instanceof ApiError && error.status === 410 && here.state.at) {
    // The record of the link is gone: say so, and show what there is.
    list.load().catch((e) => problem(e, abort));
    return;
  }
  const code = error instanceof ApiError ? error.code : "";
  const again = () => load("", !here.state.to);
  byId("list").setAttribute("role", "region");
  replace(byId("list"), broken(error, { drop, again }));
  byId("list").classList.remove("stale");
  // What is not there yet comes by itself.
  if (code === "no_log") setTimeout(() => { if (!abort.signal.aborted) again(); }, NO_LOG_MS);
}

function showDetail() {
  const { at } = here.state;
  document.querySelector(".main")?.classList.toggle("with-detail", Boolean(at));
  if (at) detail.show(at, list.choose(at, false)); else detail.hide();
}

// -- keys -------------------------------------------------------------------------------------

const zoomOut = () => { if (picture.view) go(zoomedOut(here.state, picture.view, here.settings.first)); };
const shift = (/** @type {number} */ by) => { if (picture.view) go(shifted(here.state, picture.view, by)); };
const toEnd = () => { if (list.moreAfter) load("", following.isLive); else list.toEnd(); };
const views = () => showViews(location.search, goTo);
const help = () => showHelp(ACTIONS, switchTheme);
const error = (/** @type {number} */ by) => move(list, by, "error", ["E", "C"]);
const warning = (/** @type {number} */ by) => move(list, by, "warning", ["W"]);

/** @param {"f" | "x"} kind */
function byFocus(kind) {
  const text = document.activeElement instanceof HTMLElement ? document.activeElement.dataset.filter : undefined;
  if (text) toggle(kind, text);
  else say("go to a filter or an item with Tab first");
}

/** @type {Record<string, () => void>} */
const ACTIONS = {
  "/": () => { input.focus(); input.select(); }, j: () => move(list, 1), k: () => move(list, -1), e: () => error(1), E: () => error(-1),
  w: () => warning(1), W: () => warning(-1), J: () => moveGroup(1), K: () => moveGroup(-1), c: () => detail.nextScope(),
  f: () => byFocus("f"), x: () => byFocus("x"), l: () => following.toggle(),
  1: () => go({ tab: "records" }), 2: () => go({ tab: "tracebacks" }), 3: () => go({ tab: "different" }),
  z: zoomOut, "[": () => shift(-1), "]": () => shift(1), y: () => copyLink(), Y: () => copyText(detail.entry), s: views,
  g: first, G: toEnd, t: () => picture.chart.toggleTable(), "?": help, Escape: escape,
};

function first() {
  const abort = searching;
  toFirst(list, abort.signal).catch((reason) => problem(reason, abort));
}

function escape() {
  const isListing = list.stop();
  if (isListing || picture.isLoading) {
    searching.abort();
    picture.progress(null, "");
    showState("the search was stopped: the picture is partial");
    return;
  }
  if (byId("facets").classList.contains("open")) { openFacets(false); return; }
  if (here.state.at) go({ at: "" });
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
  if (target.id === "list" && (event.key === "ArrowDown" || event.key === "ArrowUp")) { event.preventDefault(); move(list, event.key === "ArrowDown" ? 1 : -1); return; }
  const action = ACTIONS[event.key];
  if (action) { event.preventDefault(); action(); }
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
  picture.chart.draw();
}

byId("live").addEventListener("click", () => following.toggle());
byId("help").addEventListener("click", help);
byId("views").addEventListener("click", views);
byId("range").addEventListener("click", () => go({ from: "", to: "", at: "" }));
byId("stop").addEventListener("click", escape);
byId("zoom-out").addEventListener("click", zoomOut);
byId("new").addEventListener("click", toEnd);
byId("open-facets").addEventListener("click", () => openFacets(!byId("facets").classList.contains("open")));
// What is being typed is of the state that one came from.
addEventListener("popstate", () => { input.value = here.state.q; });
for (const button of document.querySelectorAll("[data-span]")) button.addEventListener("click", () => go({ from: `-${/** @type {HTMLElement} */ (button).dataset.span}s`, to: "", at: "" }));

// -- begin ------------------------------------------------------------------------------------

async function begin() {
  const view = /^#v=(.+)$/.exec(location.hash);
  try {
    here.settings = await get("about");
    if (view) { location.replace(`${base}v/${view[1]}`); return; }
  } catch (reason) {
    problem(reason, new AbortController());
    return;
  }
  show(null);
}

const theme = localStorage.getItem("theme");
if (theme) document.documentElement.dataset.theme = theme;
whenChanged(show);
await takeToken();
if (base) await begin();
