// The views "Tracebacks" and "What is different".

import { sparkline } from "./chart.js";
import { h, replace } from "./dom.js";
import { filter } from "./state.js";
import { count, moment, number, range, shownValue, span } from "./texts.js";

/** @param {any} group */
function novelty(group) {
  return group.new_since ? `new since ${group.new_since.version}, first ${span(group.first - group.new_since.time)} after it` : "";
}

/** "10 users: ann, chen, eve and 7 more". @param {any} group */
function users(group) {
  if (group.users === null) return "";
  const rest = group.users - group.user_names.length;
  return `${count(group.users, "user")}: ${group.user_names.join(", ")}${rest ? ` and ${number(rest)} more` : ""}`;
}

/** @param {any} group */
function when(group) {
  if (group.last === null) return "";
  return group.count === 1 || group.first === group.last ? moment(group.last) : `${moment(group.first)} – ${moment(group.last)}`;
}

/**
 * @param {HTMLElement} place @param {any} answer
 * @param {{allWith: (fingerprint: string) => void, hostName: (host: string) => string, nothing: () => Node}} page
 */
export function showTracebacks(place, answer, page) {
  if (!answer.groups.length) {
    replace(place, page.nothing());
    return;
  }
  replace(place, answer.why_unknown ? h("p", { class: "dim" }, answer.why_unknown) : null,
    answer.searched_back_to ? h("p", { class: "dim" }, `Looked at the newest records, back to ${moment(answer.searched_back_to)}. Choose a shorter time to see what was before.`) : null,
    ...answer.groups.map((/** @type {any} */ group) => h("button", { type: "button", class: "card", "data-fingerprint": group.fingerprint, onclick: () => page.allWith(group.fingerprint) },
      h("span", {}, h("span", { class: "type" }, group.type), group.new_since ? h("span", { class: "badge" }, novelty(group)) : group.is_rising ? h("span", { class: "badge rising" }, "rising") : null,
        h("div", { class: "last" }, group.text),
        h("div", { class: "facts" }, [group.place, group.hosts.map(page.hostName).join(", "), users(group), when(group)].filter(Boolean).join(" · "))),
      (() => { const line = sparkline(group.spark, `${number(group.count)} over the chosen time`); if (!group.new_since) line.classList.add("known"); return line; })(),
      h("span", { class: "count" }, h("b", {}, number(group.count)), h("span", {}, group.count === 1 ? "record" : "records")))));
}

/**
 * The stretches that began with the last deploys, to be chosen.
 * @param {{marks: import("./chart.js").View["marks"], choose: (from: number, to: number | undefined) => void}} page
 */
function deploys({ marks, choose }) {
  const found = marks.map((mark, i) => ({ mark, next: marks[i + 1] })).filter(({ mark }) => mark.kind === "deploy").slice(-3);
  return found.length ? h("div", { class: "ways" }, found.map(({ mark, next }) => h("button", { type: "button", class: "button", onclick: () => choose(mark.time, next?.time) },
    `From ${mark.kind} ${mark.version}${next ? ` to ${next.kind} ${next.version}` : " on"}`))) : null;
}

const percent = (/** @type {number} */ share) => `${share >= 0.1 ? (share * 100).toFixed(0) : (share * 100).toFixed(1)} %`;

/**
 * @param {HTMLElement} place @param {any} answer
 * @param {{toggle: (kind: "f" | "x", filter: string) => void, hostName: (host: string) => string,
 *   marks: import("./chart.js").View["marks"], choose: (from: number, to: number | undefined) => void}} page
 */
export function showDifferent(place, answer, page) {
  const most = Math.max(0.0001, ...answer.rows.flatMap((/** @type {any} */ r) => [r.here, r.before]));
  const bar = (/** @type {number} */ share, /** @type {string} */ kind) => {
    const line = h("i", { class: kind });
    line.style.width = `${Math.max(1, (share / most) * 100).toFixed(1)}%`;
    return line;
  };
  replace(place, h("div", { class: "different" },
    h("h2", {}, `What is different in ${range(answer.from, answer.to, false)}`),
    h("p", {}, `Shares among the ${count(answer.records, "record")} here, beside those of the ${count(answer.base_records, "record")} in the ${span(answer.from - answer.base_from)} before. What was never seen before comes first.`),
    deploys(page),
    answer.partial ? h("p", {}, "The newest of them were counted: there are more.") : null,
    answer.base_records ? null : h("p", {}, `Nothing was kept of the time before ${moment(answer.from)}: choose a later stretch${page.marks.length ? "" : " in the histogram"}.`),
    answer.rows.length ? h("table", {}, answer.rows.map((/** @type {any} */ row) => h("tr", {},
      h("td", {}, row.name),
      h("td", { class: "what" }, h("button", { type: "button", onclick: () => page.toggle("f", filter(row.field, row.value)) }, shownValue(row.field, row.value, page.hostName))),
      h("td", { class: "bars", "aria-hidden": "true" }, bar(row.here, row.before === 0 ? "never" : row.here > row.before ? "more" : "less"), bar(row.before, "")),
      h("td", { class: "shares" }, h("b", {}, percent(row.here)), " here, ", row.before === 0 ? h("span", { class: "never" }, "never before") : `${percent(row.before)} before`)))) :
      answer.base_records ? h("p", {}, "Nothing stands out: the shares are those of the time before.") : null));
}
