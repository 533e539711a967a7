// The three views of what was found: records, tracebacks, what is different.

import { get } from "./api.js";
import { nameTracebacks } from "./chips.js";
import { byId, h, replace } from "./dom.js";
import { showDifferent, showTracebacks } from "./groups.js";
import { chosen, go, here, hostName, showCause, toggle } from "./here.js";
import { number } from "./texts.js";

const KNOW_MS = 1500;
const NAMES = ["records", "tracebacks", "different"];

/** @returns {HTMLElement[]} */
const buttons = () => NAMES.map((name) => byId(`tab-${name}`));

export function showTabs() {
  for (const tab of buttons()) {
    const name = tab.dataset.tab ?? "";
    const isOn = name === here.state.tab;
    tab.setAttribute("aria-selected", String(isOn));
    tab.setAttribute("tabindex", isOn ? "0" : "-1");
    byId(name).hidden = !isOn;
  }
}

/** Load what the open view shows. @param {AbortController} abort @param {() => import("./chart.js").View["marks"]} marks */
export async function loadTab(abort, marks) {
  const { tab } = here.state;
  const place = byId(tab);
  if (tab === "records") { loadGroups(abort, false); return; }
  place.classList.add("stale");
  try {
    if (tab === "tracebacks") await loadGroups(abort, true);
    else showDifferent(place, await get("compare", chosen(), abort.signal), {
      toggle, hostName, marks: marks(), choose: (from, to) => go({ from: String(Math.floor(from)), to: to ? String(Math.floor(to)) : "" }),
    });
  } catch (error) {
    if (!abort.signal.aborted) replace(place, h("div", { class: "empty", role: "alert" }, h("h2", {}, "That can't be shown"), h("p", {}, /** @type {Error} */ (error).message)));
  } finally {
    place.classList.remove("stale");
  }
}

/** Tracebacks; their number stands in the tab whichever is open. @param {AbortController} abort @param {boolean} isLoud */
async function loadGroups(abort, isLoud) {
  try {
    const answer = await get("tracebacks", chosen(), abort.signal);
    if (answer.pending) setTimeout(() => { if (!abort.signal.aborted) loadGroups(abort, false); }, KNOW_MS);
    const tab = byId("tab-tracebacks");
    /** @type {Element} */ (tab.querySelector(".n")).textContent = answer.groups.length ? number(answer.groups.length) : "";
    const badge = /** @type {HTMLElement} */ (tab.querySelector(".badge"));
    const fresh = answer.groups.filter((/** @type {any} */ g) => g.new_since).length;
    badge.hidden = !fresh;
    badge.textContent = `${fresh} new`;
    nameTracebacks(answer.groups);
    showTracebacks(byId("tracebacks"), answer, { hostName, allWith: showCause,
      nothing: () => h("div", { class: "empty" }, h("h2", {}, "No tracebacks"), h("p", {}, "No record of this selection has one.")) });
  } catch (error) {
    if (isLoud) throw error;
  }
}

/** Open the view beside this one. @param {number} by */
export function nextTab(by) {
  const name = NAMES[(NAMES.indexOf(here.state.tab) + by + NAMES.length) % NAMES.length];
  go({ tab: name });
  byId(`tab-${name}`).focus();
}

/** Focus the next traceback. @param {number} by */
export function moveGroup(by) {
  if (here.state.tab !== "tracebacks") { go({ tab: "tracebacks" }); return; }
  const cards = [.../** @type {NodeListOf<HTMLElement>} */ (byId("tracebacks").querySelectorAll(".card"))];
  const at = cards.indexOf(/** @type {HTMLElement} */ (document.activeElement));
  cards[Math.min(cards.length - 1, Math.max(0, at + by))]?.focus();
}

for (const tab of buttons()) tab.addEventListener("click", () => go({ tab: tab.dataset.tab ?? "records" }));
