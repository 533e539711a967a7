// Where the page is: one state, all of it in the URL; whatever changes it goes through `go`.

import { filter, fromUrl, selection, toUrl } from "./state.js";

/** @typedef {import("./state.js").State} State */

/** What is shown, and what the server says of the log and of who looks. */
export const here = { state: fromUrl(), settings: /** @type {any} */ ({ host_names: {} }) };

/** @type {(before: State | null) => void} */
let changed = () => {};

/** Who shows what has changed. @param {(before: State | null) => void} show */
export function whenChanged(show) {
  changed = show;
}

/** The selection with its times. */
export function chosen() {
  const params = selection(here.state);
  if (here.state.from) params.set("from", here.state.from);
  if (here.state.to) params.set("to", here.state.to);
  return params;
}

/** Change the state, put it into the URL and show it. @param {Partial<State>} change @param {{replace?: boolean}} [how] */
export function go(change, how = {}) {
  const before = here.state;
  here.state = { ...before, ...change };
  const url = toUrl(here.state);
  if (how.replace) history.replaceState(null, "", url);
  else if (url !== toUrl(before)) history.pushState(null, "", url);
  changed(before);
}

/** Go to what an address has behind its question mark. @param {string} search */
export function goTo(search) {
  go(fromUrl(search));
}

/** Add a condition, or drop it. @param {"f" | "x"} kind @param {string} text */
export function toggle(kind, text) {
  const { state } = here;
  const other = kind === "f" ? "x" : "f";
  const hidden = text.startsWith("traceback:") ? HAS_TRACEBACK : "";
  const list = state[kind].includes(text) ? state[kind].filter((t) => t !== text && t !== hidden) : [...state[kind], text];
  go({ [kind]: list, [other]: state[other].filter((t) => t !== text) });
}

/** Drop the condition that was added last. */
export function dropLast() {
  const kind = here.state.x.length ? "x" : "f", last = here.state[kind].at(-1);
  if (last) toggle(kind, last);
}

/** Goes with the fingerprint of a traceback: else each record would be looked at for it. */
const HAS_TRACEBACK = '"Traceback (most recent call last):"';

/** The records with one cause. @param {string} fingerprint */
export function showCause(fingerprint) {
  const others = here.state.f.filter((f) => !f.startsWith("traceback:") && f !== HAS_TRACEBACK);
  go({ f: [...others, HAS_TRACEBACK, filter("traceback", fingerprint)], tab: "records" });
}

/** The filters that are shown as such. @returns {string[]} */
export function shownFilters() {
  const { f } = here.state;
  return f.some((text) => text.startsWith("traceback:")) ? f.filter((text) => text !== HAS_TRACEBACK) : f;
}

/** What a host is called. @param {string} host */
export const hostName = (host) => (Object.hasOwn(here.settings.host_names, host) ? here.settings.host_names[host] : host === "" || host === "-" ? "here" : host);

addEventListener("popstate", () => {
  const before = here.state;
  here.state = fromUrl();
  changed(before);
});
