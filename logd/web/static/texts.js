// Numbers, times and categories as people read them.

const numbers = new Intl.NumberFormat("en-US");
const dayFormat = new Intl.DateTimeFormat("en-GB", { weekday: "short", day: "numeric", month: "short" });

/** 13691 -> "13,691". @param {number} value */
export const number = (value) => numbers.format(value);

/** @param {number} value @param {string} one @param {string} [many] */
export const count = (value, one, many = `${one}s`) => `${number(value)} ${value === 1 ? one : many}`;

/** @param {number} value @param {number} [width] */
const pad = (value, width = 2) => String(value).padStart(width, "0");

/** "18:46" or "18:46:29". @param {number} seconds @param {boolean} [withSeconds] */
export function clock(seconds, withSeconds = false) {
  const d = new Date(seconds * 1000);
  return `${pad(d.getHours())}:${pad(d.getMinutes())}${withSeconds ? `:${pad(d.getSeconds())}` : ""}`;
}

/** "18:46:29" and ".837". @param {number} seconds @returns {[string, string]} */
export function stamp(seconds) {
  return [clock(seconds, true), `.${pad(Math.floor((seconds * 1000) % 1000), 3)}`];
}

/** "Fri 27 Nov". @param {number} seconds */
export const day = (seconds) => dayFormat.format(new Date(seconds * 1000)).replace(",", "");

/** A time with as much of the date as it needs beside today. @param {number} seconds */
export function moment(seconds) {
  const now = Date.now() / 1000;
  return day(seconds) === day(now) && Math.abs(now - seconds) < 86_400 * 2 ? clock(seconds, true) : `${day(seconds)} ${clock(seconds)}`;
}

/** "54 s", "9 min", "1.9 h", "3 days". @param {number} seconds */
export function span(seconds) {
  if (seconds < 100 && seconds !== 60) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 36 * 3600) return `${Number((seconds / 3600).toFixed(1))} h`;
  return count(Math.round(seconds / 86_400), "day");
}

/** "18:05 – now". @param {number} from @param {number} to @param {boolean} isNow */
export function range(from, to, isNow) {
  const end = isNow ? "now" : clock(to, to - from < 600);
  const start = clock(from, to - from < 600);
  return day(from) === day(to) ? `${to - from > 86_000 ? `${day(from)} ` : ""}${start} – ${end}` : `${day(from)} ${start} – ${isNow ? "now" : `${day(to)} ${end}`}`;
}

/** @param {number} bytes */
export function size(bytes) {
  const units = ["B", "KB", "MB", "GB", "TB"];
  let value = bytes, unit = 0;
  while (value >= 1000 && unit < units.length - 1) { value /= 1000; unit += 1; }
  return `${value < 10 && unit ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

/** Categories that are too many to be told apart. */
export const OTHERS = "*";

const NAMES = /** @type {Record<string, string>} */ ({ E: "errors", C: "critical", W: "warnings", I: "info", D: "debug" });

/** "E" -> "errors". @param {string} cat */
export const categoryName = (cat) => (Object.hasOwn(NAMES, cat) ? NAMES[cat] : cat === "-" || cat === "" ? "no category" : cat === OTHERS ? "others" : cat);

/** A field's value as people know it. @param {string} field @param {string} value @param {(host: string) => string} hostName */
export function shownValue(field, value, hostName) {
  if (field === "host") return hostName(value);
  // The module of an exception is rarely what tells it from others.
  if (field === "exc") return value.slice(value.lastIndexOf(".") + 1);
  const at = value.indexOf("@");
  return field === "pid" && at > 0 ? `${value.slice(0, at)} ${hostName(value.slice(at + 1))}` : value;
}

/** The class that colours a category. @param {string} cat */
export const categoryClass = (cat) => (cat === "C" ? "c-E" : ["E", "W", "I", "D"].includes(cat) ? `c-${cat}` : "c-x");

/** The class of a record's row: a category may be any text, and names none of the page's classes. @param {string} cat */
export const rowClass = (cat) => (cat === "C" ? "E" : ["E", "W", "I", "D"].includes(cat) ? cat : "");

/** Whether a category stands below the axis. @param {string} cat */
export const isBad = (cat) => cat === "E" || cat === "C" || cat === "W";

/** Errors first. @param {string} a @param {string} b */
export function byCategory(a, b) {
  const order = ["C", "E", "W"];
  const last = ["I", "D"];
  const rank = (/** @type {string} */ c) => (order.includes(c) ? order.indexOf(c) : last.includes(c) ? 10 + last.indexOf(c) : 5);
  return rank(a) - rank(b) || (a < b ? -1 : 1);
}
