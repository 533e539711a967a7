// What the page says in its last line, and to screen readers.

import { announce, byId } from "./dom.js";
import { count } from "./texts.js";

const SAID_MS = 4000;
const ERRORS_SAID_EVERY_MS = 10_000;

let lasting = "";
/** @type {ReturnType<typeof setTimeout> | undefined} */
let saying;

/** What holds until something else does. @param {string} text */
export function showState(text) {
  lasting = text;
  clearTimeout(saying);
  byId("state").textContent = text;
}

/** Something that passes. @param {string} text */
export function say(text) {
  byId("state").textContent = text;
  announce(text);
  clearTimeout(saying);
  saying = setTimeout(() => { byId("state").textContent = lasting; }, SAID_MS);
}

let unsaid = 0, saidAt = 0;
/** Errors that came live. @param {number} errors */
export function sayErrors(errors) {
  unsaid += errors;
  if (!unsaid || performance.now() - saidAt < ERRORS_SAID_EVERY_MS) return;
  announce(count(unsaid, "new error"));
  unsaid = 0;
  saidAt = performance.now();
}
