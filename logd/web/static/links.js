// What can be taken along: a link that means the same tomorrow, a record as text, a command.

import { get } from "./api.js";
import { chosen, here } from "./here.js";
import { say } from "./says.js";
import { seconds, toUrl } from "./state.js";

/** @param {string} at */
function frozen(at) {
  const { state } = here;
  const now = Date.now() / 1000;
  const fix = (/** @type {string} */ text, /** @type {string} */ fallback) => { const s = seconds(text, now); return s === null ? fallback : String(Math.floor(s)); };
  return new URL(toUrl({ ...state, at, from: fix(state.from, state.from), to: fix(state.to, String(Math.ceil(now))) }), location.href).href;
}

/** @param {string} text @param {string} said */
async function copy(text, said) {
  try { await navigator.clipboard.writeText(text); say(said); } catch { window.prompt("Copy:", text); }
}

/** @param {string} at */
export function copyLink(at = here.state.at) {
  copy(frozen(at), at ? "link to this record copied" : "link to this view copied");
}

/** The open record as text, or else what is chosen as a command. @param {{text: string} | null} record */
export async function copyText(record) {
  if (here.state.at && record) { copy(record.text, "record copied as text"); return; }
  const { command } = await get("command", chosen());
  copy(command, "copied as a command for the terminal");
}
