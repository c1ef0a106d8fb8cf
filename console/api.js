// The one door to the API. What it refuses comes back as a Problem, to be shown where it happened.
import { speaks, t } from "./i18n.js";
import { watched } from "./watched.js";

/** Whether the API answers. Once it did not, only `app.js` says that it does again: then all is looked at anew. */
export const up = watched(true);

/** Counts each time somebody or something asks for everything to be looked at anew. */
export const refreshed = watched(0);

export function refresh() {
  refreshed.set(refreshed.get() + 1);
}

/** Milliseconds by which the server's clock is ahead of this one, where that is worth a thought. */
let ahead = 0;

/** Now, by the clock that wrote all the times which are shown. */
export function now() {
  return Date.now() + ahead;
}

/**
 * A refusal as RFC 9457 has it, or our own word for no answer at all: status 0, code `offline`. A detail that says no more
 * than the title is left out.
 */
export class Problem extends Error {
  constructor({ status = 0, code = "offline", title = "", detail = "", errors = [] } = {}, retryAfter = null) {
    super(`${code}: ${detail || title}`);
    Object.assign(this, { status, code, title, detail: detail === title ? "" : detail, errors, retryAfter });
  }

  /** What the code means, in the language that is shown. */
  get meaning() {
    return speaks(`problem.${this.code}`) ? t(`problem.${this.code}`) : this.title;
  }

  /** The fault at a JSON pointer such as `/url`, if there is one. */
  faultAt(pointer) {
    return this.errors.find((fault) => fault.pointer === pointer)?.detail ?? null;
  }
}

/** Who knows the token, and listens when it or the session is not taken: `session.js`, which this module does not know. */
export const guard = { token: () => null, turnedAway: (_code) => {} };

const TURNED_AWAY = ["unauthorized", "session_over", "csrf"];

/**
 * Ask the API. `body` is sent as JSON; `text` as it is, for JSON that must not be parsed and printed.
 * @returns {Promise<any>} what it answers; null for nothing
 */
export async function ask(method, path, options = {}) {
  const text = await askForText(method, path, options);
  return text ? JSON.parse(text) : null;
}

/** The same, as the text that came. */
export async function askForText(method, path, { query = {}, body, text, headers = {}, signal } = {}) {
  const sent = text ?? (body === undefined ? undefined : JSON.stringify(body));
  const reply = await send(address(path, query), {
    method,
    headers: headersFor(method, sent, headers),
    body: sent,
    signal,
  });
  const answer = await reply.text();
  if (reply.ok) return answer;
  throw refusal(reply, answer);
}

export const get = (path, query, signal) => ask("GET", path, { query, signal });
export const post = (path, body = {}) => ask("POST", path, { body });

function address(path, query) {
  const given = Object.entries(query).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  return given.length ? `${path}?${new URLSearchParams(given)}` : path;
}

function headersFor(method, sent, more) {
  const token = method === "GET" ? null : guard.token();
  return {
    ...more,
    ...(sent === undefined ? {} : { "Content-Type": "application/json" }),
    ...(token ? { "X-CSRF-Token": token } : {}),
  };
}

async function send(url, request) {
  try {
    const reply = await fetch(url, { credentials: "same-origin", cache: "no-store", ...request });
    noteClock(reply);
    return reply;
  } catch (error) {
    if (request.signal?.aborted) throw error;
    up.set(false);
    throw new Problem();
  }
}

/** Whether something in between says that the API is not there; the API's own refusals are problem+json. */
function isGone(reply) {
  return reply.status >= 500 && !reply.headers.get("Content-Type")?.includes("json");
}

const WORTH_A_THOUGHT = 3000;

function noteClock(reply) {
  const sent = Date.parse(reply.headers.get("Date") ?? "") + 500; // it has whole seconds
  const difference = sent - Date.now();
  ahead = Math.abs(difference) > WORTH_A_THOUGHT ? difference : 0;
}

function refusal(reply, answer) {
  if (isGone(reply)) {
    up.set(false);
    return new Problem();
  }
  const problem = new Problem(
    { status: reply.status, ...parsed(answer) },
    Number(reply.headers.get("Retry-After")) || null,
  );
  if (TURNED_AWAY.includes(problem.code)) guard.turnedAway(problem.code);
  return problem;
}

function parsed(answer) {
  try {
    return JSON.parse(answer);
  } catch {
    return { code: "unintelligible", detail: answer.slice(0, 200) };
  }
}
