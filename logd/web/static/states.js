// Words for when there is nothing to show, and what to do about it.

import { ApiError } from "./api.js";
import { h } from "./dom.js";
import { range } from "./texts.js";

/** @param {string} text @param {() => void} does */
const way = (text, does) => h("button", { type: "button", class: "button", onclick: does }, text);

/**
 * The search found nothing.
 * @param {import("./state.js").State} state @param {import("./chart.js").View | null} view
 * @param {{toggle: (kind: "f" | "x", text: string) => void, drop: () => void, everywhere: () => void}} page
 */
export function nothing(state, view, page) {
  const kind = state.x.length ? "x" : "f";
  const last = state[kind].at(-1);
  if (!state.q && !last && !state.from && !state.to) {
    return h("div", { class: "empty" }, h("h2", {}, "Nothing has been logged yet"), h("p", {}, "Records show up here as they come. To send one: logd send hello"));
  }
  const asked = [state.q && `“${state.q}”`, ...state.f, ...state.x.map((x) => `not ${x}`)].filter(Boolean).join(", ");
  return h("div", { class: "empty" }, h("h2", {}, "Nothing found"),
    h("p", {}, `Looked for ${asked || "all records"}${view ? ` in ${range(view.from, view.to, !state.to)}` : ""}.`),
    h("div", { class: "ways" }, last ? way(`Drop ${kind === "x" ? "not " : ""}${last}`, () => page.toggle(kind, last)) : null,
      state.q ? way("Drop the text", page.drop) : null,
      state.from || state.to ? way("Look in all of the log", page.everywhere) : null));
}

/** What was asked for can't be shown. @param {any} error @param {{drop: () => void, again: () => void}} page */
export function broken(error, page) {
  const isOurs = error instanceof ApiError;
  const code = isOurs ? error.code : "";
  const words = code === "no_log" ? "Nothing has been logged yet" : code === "bad_selection" ? "The search can't be understood" : isOurs ? "That can't be shown" : "The server does not answer";
  return h("div", { class: "empty", role: "alert" }, h("h2", {}, words), h("p", {}, isOurs ? error.message : "logd web has ended, or the network is cut."),
    isOurs && error.hint ? h("p", { class: "dim" }, error.hint) : null,
    code === "bad_selection" ? way("Drop the text", page.drop) : way("Try again", page.again));
}
