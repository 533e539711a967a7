// The page's own HTTP API; `logd/web/README.md` describes it.

const AGAIN_MS = 300;
const MAX_TRIES = 4;

export class ApiError extends Error {
  /** @param {number} status @param {string} code @param {string} text @param {string} hint */
  constructor(status, code, text, hint) {
    super(text);
    this.status = status;
    this.code = code;
    this.hint = hint;
  }
}

/** Where the page is mounted. */
export const base = new URL(".", document.baseURI).pathname.replace(/\/(r|v)\/$/, "/");

/**
 * @param {string} path @param {URLSearchParams} [params] @param {AbortSignal} [signal]
 * @returns {Promise<any>}
 */
export async function get(path, params, signal) {
  const query = params && params.size ? `?${params}` : "";
  const ask = () => fetch(`${base}api/1/${path}${query}`, { signal, headers: { accept: "application/json" } });
  let response = await ask();
  // What was given up a moment ago still counts for a moment.
  for (let tries = 1; response.status === 429 && tries <= MAX_TRIES; tries += 1) {
    await new Promise((resolve) => { setTimeout(resolve, AGAIN_MS * tries); });
    response = await ask();
  }
  return answer(response);
}

/** @param {string} method @param {string} path @param {unknown} [body] */
export async function send(method, path, body) {
  return answer(await fetch(`${base}api/1/${path}`, {
    method, headers: { "content-type": "application/json" }, body: body === undefined ? undefined : JSON.stringify(body),
  }));
}

/** @param {Response} response */
async function answer(response) {
  if (response.ok) return response.status === 204 ? null : response.json();
  let error = { code: "unknown", text: `the server answered ${response.status}`, hint: "" };
  try { error = (await response.json()).error ?? error; } catch { /* not JSON: a proxy's page */ }
  throw new ApiError(response.status, error.code, error.text, error.hint ?? "");
}
