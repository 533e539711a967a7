// The search box: what was typed becomes chips and a text; earlier searches come back with Up.

import { byId } from "./dom.js";
import { divide, filter, parts } from "./state.js";

const KEPT = 50;

export class SearchBox {
  /**
   * @param {HTMLInputElement} input
   * @param {{search: (typed: {q: string, f: string[], x: string[]}) => void, dropLast: () => void, hostNames: () => Record<string, string>}} page
   */
  constructor(input, page) {
    this.input = input;
    this.page = page;
    /** @type {string[]} the newest first */
    this.earlier = JSON.parse(sessionStorage.getItem("searches") ?? "[]");
    this.at = -1;
    byId("search").addEventListener("submit", (event) => { event.preventDefault(); this.submit(); });
  }

  submit() {
    const text = this.input.value.trim();
    this.at = -1;
    if (text && this.earlier[0] !== text) {
      this.earlier.unshift(text);
      sessionStorage.setItem("searches", JSON.stringify(this.earlier.slice(0, KEPT)));
    }
    const typed = divide(text);
    this.input.value = typed.q;
    const byAddress = (/** @type {string} */ one) => this.byAddress(one);
    this.page.search({ q: typed.q, f: typed.f.map(byAddress), x: typed.x.map(byAddress) });
  }

  /** host:web-2 with the address that the log has for it. @param {string} text */
  byAddress(text) {
    const [field, value] = parts(text);
    const known = field === "host" && Object.entries(this.page.hostNames()).find(([, name]) => name === value);
    return known ? filter("host", known[0]) : text;
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    if (event.key === "Escape") { this.input.blur(); byId("list").focus(); }
    else if (event.key === "Backspace" && !this.input.value) this.page.dropLast();
    else if (event.key === "ArrowUp" && this.earlier.length) {
      this.at = Math.min(this.at + 1, this.earlier.length - 1);
      this.input.value = this.earlier[this.at];
      event.preventDefault();
    }
  }
}
