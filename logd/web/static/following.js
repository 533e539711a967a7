// Live or paused: what comes is shown, or only counted until somebody wants to see it.

import { byId } from "./dom.js";
import { go, here } from "./here.js";
import { Live } from "./live.js";
import { sayErrors, showState } from "./says.js";
import { selection } from "./state.js";

const REFRESH_MS = 10_000;

export class Following {
  /**
   * @param {import("./list.js").List} list
   * @param {import("./picture.js").Picture} picture
   * @param {{reload: () => void, signedOut: () => void}} page
   */
  constructor(list, picture, page) {
    this.list = list;
    this.picture = picture;
    this.page = page;
    /** Whether records are shown as they come, and whether somebody wanted that to stop. */
    this.isLive = false;
    this.isPaused = false;
    this.live = new Live({
      selection: () => selection(here.state), signedOut: page.signedOut,
      take: (entries) => this.take(entries),
      state: (name, text) => this.showName(name, text),
      gap: (skipped) => {
        if (!this.isLive) { list.hold(skipped); return; }
        list.leftOut(skipped, this.live.last);
        picture.refresh();
      },
    });
    setInterval(() => { if (this.isLive) picture.refresh(); }, REFRESH_MS);
  }

  /** @param {any[]} entries */
  take(entries) {
    if (!this.isLive) { this.list.hold(entries.length); return; }
    this.list.add(entries, this.live.last);
    this.picture.add(entries);
    sayErrors(entries.filter((e) => e.cat === "E" || e.cat === "C").length);
  }

  /** @param {string} name @param {string} text */
  showName(name, text) {
    const button = byId("live");
    button.classList.toggle("behind", name === "behind");
    button.classList.toggle("away", name === "away");
    showState(this.isLive || name !== "live" ? text : "paused");
  }

  /** @param {boolean} is */
  set(is) {
    this.isLive = is;
    byId("live").setAttribute("aria-pressed", String(is));
    /** @type {Element} */ (byId("live").querySelector("span")).textContent = is ? "Live" : "Paused";
  }

  /** What is shown is loaded anew: nothing more comes to what was there. @param {boolean} willFollow */
  rest(willFollow) {
    this.live.stop();
    if (!willFollow) this.set(false);
  }

  /** Follow the log behind what is shown; while it is paused what comes is counted. */
  stream() {
    this.live.start((this.list.moreAfter ? "" : this.list.upto) || (this.picture.view?.upto ?? "0"));
  }

  start() {
    this.set(true);
    this.stream();
  }

  stop() {
    this.set(false);
    // What comes is counted, so that one sees what there is to come back to.
    this.list.hold(0);
    showState("paused");
  }

  toggle() {
    this.isPaused = this.isLive;
    if (this.isLive) this.stop();
    else if (here.state.to) go({ to: "" });
    else if (this.list.moreAfter) this.page.reload();
    else this.start();
  }

  /** The list has reached the end of the log again. @param {string} upto */
  reached(upto) {
    if (this.isLive) this.live.start(upto);
  }
}
