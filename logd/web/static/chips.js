// The conditions as chips in the search box, each of which can be dropped.

import { base } from "./api.js";
import { byId, h, replace } from "./dom.js";
import { chosen, here, hostName, shownFilters, toggle } from "./here.js";
import { parts } from "./state.js";
import { shownValue } from "./texts.js";

/** @type {Map<string, string>} what tracebacks are called */
const tracebackNames = new Map();

/** @param {{fingerprint: string, text: string}[]} groups */
export function nameTracebacks(groups) {
  for (const group of groups) tracebackNames.set(group.fingerprint, group.text);
  if (here.state.f.some((f) => f.startsWith("traceback:"))) showChips();
}

/** @param {"f" | "x"} kind @param {string} text */
function chip(kind, text) {
  const [field, value] = parts(text);
  const shown = field === "traceback" ? tracebackNames.get(value) ?? value : shownValue(field, value, hostName);
  return h("span", { class: ["chip", kind === "x" && "not"] }, h("b", {}, `${kind === "x" ? "not " : ""}${field}`), h("span", { title: value }, shown),
    h("button", { type: "button", "aria-label": `drop ${kind === "x" ? "not " : ""}${field} ${value}`, onclick: () => toggle(kind, text) }, "×"));
}

/** Show what is chosen: the chips, the text, and the link to have all of it. */
export function showChips() {
  const { state } = here;
  replace(byId("chips"), ...shownFilters().map((f) => chip("f", f)), ...state.x.map((x) => chip("x", x)));
  const download = chosen();
  download.set("as", "text");
  byId("download").setAttribute("href", `${base}api/1/entries?${download}`);
  const input = /** @type {HTMLInputElement} */ (byId("q"));
  if (document.activeElement !== input) input.value = state.q;
}
