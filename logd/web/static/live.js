// The live stream: one for the page, closed while the tab is hidden (browsers open six connections
// to a server; the seventh tab would wait in silence), continued where it was left.

import { base } from "./api.js";

const RETRY_MS = [500, 1000, 2000, 5000];

export class Live {
  /**
   * @param {{selection: () => URLSearchParams, take: (entries: any[]) => void, state: (name: string, text: string) => void, gap: (skipped: number) => void, signedOut: () => void}} page
   */
  constructor(page) {
    this.page = page;
    /** @type {EventSource | null} */
    this.stream = null;
    this.wanted = false;
    this.last = "";
    this.tries = 0;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
    document.addEventListener("visibilitychange", () => (document.hidden ? this.close() : this.connect()));
  }

  /** Begin at a place in the log. @param {string} place */
  start(place) {
    this.wanted = true;
    this.last = place;
    this.close();
    this.connect();
  }

  stop() {
    this.wanted = false;
    this.close();
    this.page.state("paused", "paused");
  }

  close() {
    clearTimeout(this.timer);
    this.stream?.close();
    this.stream = null;
  }

  connect() {
    if (!this.wanted || document.hidden || this.stream) return;
    const params = this.page.selection();
    params.set("place", this.last);
    const stream = (this.stream = new EventSource(`${base}api/1/live?${params}`));
    stream.addEventListener("open", () => { this.tries = 0; });
    stream.addEventListener("message", (event) => {
      if (event.lastEventId) this.last = event.lastEventId;
      this.page.take(JSON.parse(event.data));
    });
    stream.addEventListener("state", (event) => {
      const { name, text } = JSON.parse(/** @type {MessageEvent} */ (event).data);
      this.page.state(name, text);
    });
    stream.addEventListener("gap", (event) => {
      const message = /** @type {MessageEvent} */ (event);
      if (message.lastEventId) this.last = message.lastEventId;
      this.page.gap(JSON.parse(message.data).skipped);
    });
    stream.addEventListener("error", async () => {
      // The browser would try again with the address of the first time: an old position.
      this.close();
      if (!this.wanted) return;
      // A stream can't say that a server which was restarted knows nobody any more.
      if (await isSignedOut()) {
        if (!this.wanted || this.stream) return;
        this.wanted = false;
        this.page.state("away", "signed out");
        this.page.signedOut();
        return;
      }
      if (!this.wanted || this.stream) return;
      clearTimeout(this.timer);
      this.page.state("away", "the server does not answer; trying again");
      this.timer = setTimeout(() => this.connect(), RETRY_MS[Math.min(this.tries, RETRY_MS.length - 1)]);
      this.tries += 1;
    });
  }
}

/** Whether the server answers, and knows nothing of who asks. */
async function isSignedOut() {
  try {
    const response = await fetch(`${base}session`);
    return response.ok && !(await response.json()).signed_in;
  } catch {
    return false;
  }
}
