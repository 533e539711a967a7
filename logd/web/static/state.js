// What the page shows, all of it in the URL: a link is a view, and back goes back.

/**
 * @typedef {object} State
 * @property {string} q text and regular expressions to look for
 * @property {string[]} f filters, "field:value"
 * @property {string[]} x what is excluded, likewise
 * @property {string} from epoch seconds, or "-2h"; "" for the beginning
 * @property {string} to the same; "" for now
 * @property {string} tab "records", "tracebacks" or "different"
 * @property {string} at cursor of the record that is open, "" for none
 */

/** @returns {State} */
export function fromUrl(search = location.search) {
  const p = new URLSearchParams(search);
  const tab = p.get("tab") ?? "";
  return {
    q: p.get("q") ?? "", f: p.getAll("f"), x: p.getAll("x"), from: p.get("from") ?? "", to: p.get("to") ?? "",
    tab: ["tracebacks", "different"].includes(tab) ? tab : "records", at: p.get("at") ?? "",
  };
}

/** The parameters that select records, as the API takes them. @param {State} state */
export function selection(state) {
  const p = new URLSearchParams();
  if (state.q) p.set("q", state.q);
  for (const f of state.f) p.append("f", f);
  for (const x of state.x) p.append("x", x);
  return p;
}

/** @param {State} state */
export function toUrl(state) {
  const p = selection(state);
  if (state.from) p.set("from", state.from);
  if (state.to) p.set("to", state.to);
  if (state.tab !== "records") p.set("tab", state.tab);
  if (state.at) p.set("at", state.at);
  const text = p.toString();
  return text ? `?${text}` : location.pathname;
}

const UNITS = /** @type {Record<string, number>} */ ({ s: 1, min: 60, m: 60, h: 3600, d: 86_400, w: 604_800 });

/** Seconds since the epoch of a time as the URL has it; null for "". @param {string} text */
export function seconds(text, now = Date.now() / 1000) {
  if (!text) return null;
  const relative = /^-(\d+(?:\.\d+)?)(s|min|m|h|d|w)$/.exec(text);
  if (relative) return now - Number(relative[1]) * UNITS[relative[2]];
  return Number.isFinite(Number(text)) ? Number(text) : null;
}

const TOKEN = /(-?)(?:([^\s:"\/]+):(?:"((?:[^"\\]|\\.)*)"|(\S+))|(\/(?:[^\/\\]|\\.)*\/i?)|"((?:[^"\\]|\\.)*)"|(\S+))/g;

/**
 * Divide what was typed: field:value becomes a filter, the rest is text to look for.
 * @param {string} text @returns {{q: string, f: string[], x: string[]}}
 */
export function divide(text) {
  /** @type {string[]} */
  const f = [];
  /** @type {string[]} */
  const x = [];
  const rest = [];
  for (const m of text.matchAll(TOKEN)) {
    const [, minus, field, quoted, plain] = m;
    // 12:30 and http://host are texts.
    const isField = field && /^[^\W\d][\w.]*$/.test(field) && !plain?.startsWith("//");
    if (!isField) rest.push(m[0]);
    else if (quoted !== undefined) (minus ? x : f).push(`${field}:${JSON.stringify(quoted)}`);
    else (minus ? x : f).push(`${field}:${plain}`);
  }
  return { q: rest.join(" "), f, x };
}

/** What is looked for as it stands, in small letters: to be marked in what was found. @param {string} q */
export function plainWords(q) {
  return [...q.matchAll(TOKEN)].filter((m) => !m[1] && !m[5]).map((m) => (m[6] === undefined ? m[0] : m[6].replace(/\\(.)/g, "$1")).toLowerCase()).filter(Boolean);
}

const FIELDS = ["cat", "site", "path", "func", "thread", "tid", "pid", "host", "msgid", "exc", "traceback", "ts", "text"];

/** The field that an item is asked for by. @param {string} key */
export const itemField = (key) => (FIELDS.includes(key) || key.startsWith("item.") ? `item.${key}` : key);

/** A filter on a value, quoted where it has to be. @param {string} field @param {string} value */
export function filter(field, value) {
  return /^[^\s"<>=\/~*-][^\s"*]*$/.test(value) || value === "-" ? `${field}:${value}` : `${field}:"${value.replace(/["\\]/g, "\\$&")}"`;
}

/** A filter's field and value. @param {string} text @returns {[string, string]} */
export function parts(text) {
  const at = text.indexOf(":");
  const value = text.slice(at + 1);
  const quoted = /^"(.*)"$/s.exec(value);
  return [text.slice(0, at), quoted ? quoted[1].replace(/\\(.)/g, "$1") : value];
}

/**
 * The stretch of time that is asked for. The last answer may still be one for the stretch before.
 * @param {State} state @param {{from: number, to: number}} shown
 */
function asked(state, shown) {
  const number = (/** @type {string} */ text, /** @type {number} */ other) => (text && Number.isFinite(Number(text)) ? Number(text) : other);
  return { from: number(state.from, shown.from), to: number(state.to, state.from ? Math.max(shown.to, Date.now() / 1000) : shown.to) };
}

/** @param {number} from @param {number} to */
const stretch = (from, to) => ({ from: String(Math.floor(from)), to: to >= Date.now() / 1000 ? "" : String(Math.ceil(to)) });

/** Twice the time. @param {State} state @param {{from: number, to: number}} shown @param {number | null} first when the log begins */
export function zoomedOut(state, shown, first) {
  const { from, to } = asked(state, shown);
  const more = (to - from) / 2;
  return first && from - more <= first && to + more >= Date.now() / 1000 ? { from: "", to: "" } : stretch(from - more, to + more);
}

/** Half a screen earlier or later. @param {State} state @param {{from: number, to: number}} shown @param {number} by */
export function shifted(state, shown, by) {
  const { from, to } = asked(state, shown);
  const half = (by * (to - from)) / 2;
  return stretch(from + half, to + half);
}
