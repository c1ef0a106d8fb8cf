// The one door to the API. What it refuses comes back as a Problem, to be shown where it happened.
import { given } from "./given.js";
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
 * A refusal as RFC 9457 has it, or our own word for what is none, with status 0: `offline` (no answer at all), `late` (no
 * answer in time), `unintelligible` (an answer that is not kkbida's). A detail that says no more than the title is left out.
 */
export class Problem extends Error {
  constructor({ status = 0, code = "offline", title = "", detail = "", errors = [], retryAfter = null, came = null } = {}) {
    super(`${code}: ${detail || title}`);
    Object.assign(this, { status, code, title, detail: detail === title ? "" : detail, errors, retryAfter, came });
  }

  /** What the code means, in the language that is shown. */
  get meaning() {
    return speaks(`problem.${this.code}`) ? t(`problem.${this.code}`) : this.title;
  }

  /** Of an answer that is not kkbida's: its status, and the beginning of its text. "" for any other problem. */
  get received() {
    if (!this.came) return "";
    return t(`problem.came.${this.came.status ? (this.came.text ? "text" : "empty") : "redirect"}`, this.came);
  }

  /** The fault at a JSON pointer such as `/url`, if there is one. */
  faultAt(pointer) {
    return this.errors.find((fault) => fault.pointer === pointer)?.detail ?? null;
  }
}

/** Who knows the token, and listens when it or the session is not taken: `session.js`, which this module does not know. */
export const guard = { token: () => null, turnedAway: (_code) => {} };

const TURNED_AWAY = ["unauthorized", "session_over", "csrf"];

/** Seconds until an answer is given up. API Gateway gives up after 29. */
export const MAX_WAIT_SECONDS = 40;

/**
 * @typedef {object} Asked
 * @property {Record<string, any>} [query] members without a value are left out
 * @property {any} [body] sent as JSON
 * @property {string} [text] sent as it is, for JSON that must not be parsed and printed
 * @property {Record<string, string>} [headers]
 * @property {AbortSignal} [signal]
 * @property {string[] | null} [has] members that the answer must have, those that are lists as `tasks[]`; null: it must be empty.
 *   An answer of something in between has not, whatever its status.
 */

/**
 * Ask the API. Raises a Problem.
 * @param {Asked} asked
 * @returns {Promise<any>} what it answers; null for nothing
 */
export async function ask(method, path, asked = {}) {
  return (await exchange(method, path, asked)).value;
}

/** The same, as the text that came. */
export async function askForText(method, path, asked = {}) {
  return (await exchange(method, path, asked)).answer;
}

export const get = (path, query, signal, has = []) => ask("GET", path, { query, signal, has });
/** A list that comes in parts where it is too large for one answer, whole. */
export async function getAll(path, name, signal) {
  const found = [];
  let page = {};
  do {
    page = await get(path, { cursor: page.cursor }, signal, [`${name}[]`]);
    found.push(...page[name]);
  } while (page.cursor);
  return { ...page, [name]: found };
}

export const post = (path, body = {}, has = undefined) => ask("POST", path, { body, has });
export const remove = (path) => ask("DELETE", path, { has: null });

async function exchange(method, path, { query = {}, body, text, headers = {}, signal, has }) {
  const sent = text ?? (body === undefined ? undefined : JSON.stringify(body));
  const token = guard.token();
  const request = { method, headers: headersFor(method, sent, headers, token), body: sent };
  const { reply, answer } = await send(address(path, query), request, signal);
  const value = parsed(answer);
  if (reply.ok && isExpected(reply, answer, value, has)) {
    noteClock(reply);
    return { answer, value: value ?? null };
  }
  const problem = isProblem(reply, value) ? refusal(reply, value) : stranger(reply, answer);
  if (TURNED_AWAY.includes(problem.code) && token === guard.token()) guard.turnedAway(problem.code); // else of a session before
  throw problem;
}

function address(path, query) {
  const members = given(query);
  return Object.keys(members).length ? `${path}?${new URLSearchParams(members)}` : path;
}

function headersFor(method, sent, more, token) {
  return {
    ...more,
    ...(sent === undefined ? {} : { "Content-Type": "application/json" }),
    ...(method !== "GET" && token ? { "X-CSRF-Token": token } : {}),
  };
}

/** The reply and its whole text. It is aborted by `signal`, and when it takes too long. */
async function send(url, request, signal) {
  const control = new AbortController();
  const timer = setTimeout(() => control.abort(new Problem({ code: "late" })), MAX_WAIT_SECONDS * 1000);
  const abort = () => control.abort(signal.reason);
  signal?.addEventListener("abort", abort);
  if (signal?.aborted) abort();
  try {
    const options = { credentials: "same-origin", cache: "no-store", redirect: "manual", signal: control.signal };
    const reply = await fetch(url, { ...request, ...options });
    return { reply, answer: await reply.text() };
  } catch {
    if (control.signal.aborted) throw control.signal.reason;
    up.set(false);
    throw new Problem();
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
  }
}

/** Whether an answer of success is the API's: the JSON object that was asked for, or nothing where nothing is due. */
function isExpected(reply, answer, value, has) {
  if (reply.status === 204) return answer === "" && !has?.length;
  if (has === null || !isObject(value)) return false;
  return (has ?? []).every((name) => (name.endsWith("[]") ? Array.isArray(value[name.slice(0, -2)]) : name in value));
}

function isProblem(reply, value) {
  const isOurs = reply.headers.get("Content-Type")?.includes("problem+json") && isObject(value);
  return isOurs && typeof value.code === "string" && typeof value.title === "string";
}

function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

const WORTH_A_THOUGHT = 3000;

function noteClock(reply) {
  const sent = Date.parse(reply.headers.get("Date") ?? "") + 500; // it has whole seconds
  const difference = sent - Date.now();
  ahead = Math.abs(difference) > WORTH_A_THOUGHT ? difference : 0;
}

function refusal(reply, { code, title, detail, errors }) {
  noteClock(reply);
  const faults = Array.isArray(errors) ? errors : [];
  return new Problem({
    status: reply.status,
    code,
    title,
    detail: typeof detail === "string" ? detail : "",
    errors: faults.filter((it) => typeof it?.pointer === "string" && typeof it.detail === "string"),
    retryAfter: Number(reply.headers.get("Retry-After")) || null,
  });
}

/** The problem that something in between has answered. From 500 on without JSON it says that the API is not there. */
function stranger(reply, answer) {
  if (reply.status >= 500 && !reply.headers.get("Content-Type")?.includes("json")) up.set(false);
  return new Problem({ code: "unintelligible", came: { status: reply.status, text: excerpt(answer) } });
}

const MAX_READ = 4000;
const MAX_EXCERPT = 200;

/** The beginning of a text on one line; of a page, what it says without its tags, scripts and styles. */
function excerpt(text) {
  const plain = text.slice(0, MAX_READ).replace(/<(script|style)\b[^]*?<\/\1>|<[^>]*>/gi, " ");
  return plain.replace(/\s+/g, " ").trim().slice(0, MAX_EXCERPT);
}

function parsed(answer) {
  try {
    return JSON.parse(answer);
  } catch {
    return undefined;
  }
}
