// What opens over the page: the keys, saved views, signing in.

import { ApiError, base, get, send } from "./api.js";
import { byId, h, replace } from "./dom.js";

/** @type {[string, string][]} */
export const KEYS = [
  ["/", "search"], ["j k", "next, previous record"], ["e E", "next, previous error"], ["w W", "next, previous warning"],
  ["J K", "next, previous traceback"], ["Enter", "open the record"], ["c", "context of request, thread, process, all"],
  ["f x", "filter by what has the focus, exclude it"], ["l", "live or paused"], ["1 2 3", "records, tracebacks, what is different"],
  ["z", "zoom out"], ["[ ]", "earlier, later"], ["g G", "first, last record"], ["y", "copy a link"], ["Y", "copy as text or as a command"],
  ["s", "saved views"], ["t", "histogram as a table"], ["Esc", "close; stop a search"],
];

/** @returns {HTMLDialogElement} */
const dialog = () => /** @type {HTMLDialogElement} */ (byId("dialog"));

/** @param {string} title @param {...(Node | string)} content */
function open(title, ...content) {
  const box = dialog();
  replace(box, h("h2", { id: "dialog-title" }, title), ...content);
  box.setAttribute("aria-labelledby", "dialog-title");
  if (!box.open) box.showModal();
  return box;
}

/** Keys that are of use only where the focus is. */
const NOT_HERE = ["Enter", "f", "x", "Esc"];

const closer = (text = "Close") => h("button", { type: "button", class: "button", onclick: () => dialog().close() }, text);

/** The keys, each of which can be clicked, too. @param {Record<string, () => void>} actions @param {() => void} switchTheme */
export function showHelp(actions, switchTheme) {
  const key = (/** @type {string} */ k, /** @type {string} */ text) => (NOT_HERE.includes(k) ? h("kbd", {}, k)
    : h("button", { type: "button", class: "key", "aria-label": `${k}: ${text}`, onclick: () => { dialog().close(); actions[k](); } }, h("kbd", {}, k)));
  open("Keys", h("div", { class: "keys" }, KEYS.flatMap(([keys, text]) => [
    h("span", {}, keys.split(" ").map((k) => key(k, text))), h("span", {}, text)])),
  h("p", { class: "dim" }, "Search: text, \"a phrase\", /regex/, field:value, -field:value, ms:>500, has:traceback. Fields: cat, site, path, func, thread, pid, host, logger, exc, traceback, and any item."),
  h("div", { class: "foot" }, closer(), h("button", { type: "button", class: "button", onclick: switchTheme }, "Switch to dark or light")));
}

/** @param {string} current the page's search part of the URL @param {(search: string) => void} go */
export async function showViews(current, go) {
  const box = open("Saved views", h("p", { class: "dim" }, "…"), closer());
  try {
    const { views, may_edit: mayEdit } = await get("views");
    const name = /** @type {HTMLInputElement} */ (h("input", { name: "name", placeholder: "a name: checkout-errors", pattern: "[A-Za-z0-9._\\-]{1,64}", required: true, "aria-label": "Name of the view" }));
    const status = h("span", { class: "dim", role: "status" });
    const save = async (/** @type {Event} */ event) => {
      event.preventDefault();
      try {
        await send("PUT", `views/${encodeURIComponent(name.value)}`, { search: current });
        showViews(current, go);
      } catch (error) { status.textContent = /** @type {Error} */ (error).message; }
    };
    const remove = async (/** @type {string} */ view) => { await send("DELETE", `views/${encodeURIComponent(view)}`); showViews(current, go); };
    replace(box, h("h2", { id: "dialog-title" }, "Saved views"),
      views.length ? h("ul", { class: "views" }, views.map((/** @type {any} */ view) => h("li", {},
        h("button", { type: "button", class: "link", onclick: () => { box.close(); go(view.search); } }, view.name),
        h("span", { class: "dim" }, view.description), h("span", { class: "grow" }),
        mayEdit && view.writable ? h("button", { type: "button", class: "link", "aria-label": `delete ${view.name}`, onclick: () => remove(view.name) }, "delete") : null)))
        : h("p", { class: "dim" }, "None yet. A saved view is also a word for the terminal: logd query --view NAME."),
      h("div", { class: "foot" }, mayEdit ? h("form", { class: "foot", onsubmit: save }, name, h("button", { class: "button" }, "Save this view"), status) : h("span", { class: "dim" }, "You may look, not save."), closer()));
    name.focus();
  } catch (error) {
    replace(box, h("h2", { id: "dialog-title" }, "Saved views"), h("p", {}, /** @type {Error} */ (error).message), closer());
  }
}

/** Ask for what this server wants: a token's link, or a name and a password. @param {() => void} done */
export async function signIn(done) {
  const how = await (await fetch(`${base}session`)).json().catch(() => ({ kind: "token" }));
  const status = h("p", { role: "alert" });
  const post = async (/** @type {Record<string, string>} */ body) => {
    const response = await fetch(`${base}session`, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
    if (response.ok) { dialog().close(); done(); return; }
    const answer = await response.json().catch(() => ({ error: { text: "the server refused" } }));
    status.textContent = answer.error.text;
  };
  const field = (/** @type {string} */ name, /** @type {string} */ type, /** @type {string} */ label, /** @type {string} */ auto) =>
    h("label", {}, `${label} `, h("input", { name, type, autocomplete: auto, required: true }));
  if (how.kind === "site") {
    open("You are signed out", h("p", {}, "The site around this page signs people in: sign in there, then come back."),
      h("div", { class: "foot" }, h("button", { type: "button", class: "button", onclick: () => location.reload() }, "Try again")));
    return;
  }
  const isToken = how.kind === "token";
  const box = open("You are signed out", h("p", { class: "dim" }, isToken
    ? "Open the link that logd web prints when it starts, or paste its token here." : "Sign in with the name and password that you got for this log."),
  h("form", { class: "foot", onsubmit: (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    post(Object.fromEntries(/** @type {any} */ (new FormData(/** @type {HTMLFormElement} */ (event.target)))));
  } }, isToken ? [field("token", "password", "Token", "off")] : [field("user", "text", "Name", "username"), field("password", "password", "Password", "current-password")],
  h("button", { class: "button" }, "Sign in")), status);
  box.addEventListener("cancel", (event) => event.preventDefault(), { once: true });
}

/** The token of a link's fragment for a session; true if there was one that was taken. */
export async function takeToken() {
  const token = /^#t=(.+)$/.exec(location.hash)?.[1];
  if (!token) return false;
  history.replaceState(null, "", location.pathname + location.search);
  const response = await fetch(`${base}session`, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ token: decodeURIComponent(token) }) });
  return response.ok;
}

export { ApiError };
