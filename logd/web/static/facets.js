// Facets: what there is in the chosen records, with counts. A click filters, "minus" excludes.

import { h, replace } from "./dom.js";
import { filter } from "./state.js";
import { categoryClass, number, shownValue } from "./texts.js";

/**
 * @param {HTMLElement} place
 * @param {import("./chart.js").View} view
 * @param {import("./state.js").State} state
 * @param {number} most values of a facet that are shown
 * @param {{toggle: (kind: "f" | "x", filter: string) => void, more: (field: string) => void, hostName: (host: string) => string}} page
 */
export function showFacets(place, view, state, most, page) {
  const focused = document.activeElement instanceof HTMLElement && place.contains(document.activeElement) ? document.activeElement.dataset.key : "";
  const top = place.scrollTop;
  replace(place, ...view.facets.filter((facet) => facet.values.length).map((facet) => {
    const values = facet.values.slice(0, most);
    const names = namesOf(facet.field, values, page.hostName);
    const largest = Math.max(1, ...values.map(([, n]) => n));
    const rest = facet.distinct > values.length;
    return h("section", { "aria-label": facet.name },
      h("h2", {}, facet.name, rest ? h("span", {}, `${values.length} of ${number(facet.distinct)}`) : null),
      facet.note ? h("p", {}, facet.note) : null,
      values.map(([value, n], i) => one(facet.field, value, names[i], n, largest, state, page)),
      rest ? h("button", { type: "button", class: "link more", onclick: () => page.more(facet.field) }, "more") : null);
  }));
  place.scrollTop = top;
  if (focused) /** @type {HTMLElement | null} */ (place.querySelector(`[data-key="${CSS.escape(focused)}"]`))?.focus();
}

/**
 * What values are called; the whole value if two would be called the same.
 * @param {string} field @param {[string, number][]} values @param {(host: string) => string} hostName
 */
function namesOf(field, values, hostName) {
  const names = values.map(([value]) => (value === "-" && field !== "host" ? "none" : shownValue(field, value, hostName)));
  return names.map((name, i) => (names.indexOf(name) === names.lastIndexOf(name) ? name : values[i][0]));
}

/** @param {string} field @param {string} value @param {string} shown @param {number} n @param {number} largest @param {import("./state.js").State} state @param {any} page */
function one(field, value, shown, n, largest, state, page) {
  const text = filter(field, value);
  const isOn = state.f.includes(text);
  const bar = h("i", { class: "bar", "aria-hidden": "true" });
  bar.style.width = `${((n / largest) * 78).toFixed(1)}%`;
  return h("div", { class: ["facet", isOn && "on"] },
    h("button", { type: "button", class: "pick", "aria-pressed": String(isOn), "data-key": text, "data-filter": text, title: value, onclick: () => page.toggle("f", text) },
      field === "cat" ? h("i", { class: ["sw", categoryClass(value)], "aria-hidden": "true" }) : null,
      h("span", { class: "name" }, shown), h("span", { class: "n" }, number(n))),
    h("button", { type: "button", class: "not", "data-filter": text, "aria-label": `exclude ${shown}`, title: `exclude ${shown}`, onclick: () => page.toggle("x", text) }, "−"),
    bar);
}
