// Who is at the keyboard, and what they may do. The cookie is the server's: no script can read it.
import { Problem, ask, get, guard, post, refresh } from "./api.js";
import { watched } from "./watched.js";

/** @typedef {"submit" | "read" | "resend" | "watch" | "operate" | "admin"} Right */
/** @typedef {{kind: string, name: string, role: string | null, rights: Right[], csrf_token: string | null}} Session */

/** @type {ReturnType<typeof watched<Session | null>>} null: nobody has logged in */
export const session = watched(null);

/** Whether a session was there and has ended: the page stays, and a login lies over it. */
export const expired = watched(false);

guard.token = () => session.get()?.csrf_token ?? null;
guard.turnedAway = (code) => (code === "csrf" ? whoAmI().catch(() => {}) : expired.set(session.get() !== null));

/** Counts the questions of who is here: the answer to an older one says nothing. */
let asked = 0;

function begin(who) {
  asked += 1;
  session.set(who);
}

/** Find out who is here. Raises a Problem, with status 401 when nobody has logged in. */
export async function whoAmI() {
  const mine = (asked += 1);
  const who = await get("v1/me", {}, undefined, ["name", "rights[]"]);
  if (mine === asked) begin({ ...who, name: String(who.name).replace(/^operator:/, "") });
}

/** Whether a problem says that nobody has logged in. */
export function isNobody(problem) {
  return problem instanceof Problem && ["unauthorized", "session_over"].includes(problem.code);
}

export async function logIn(name, password) {
  await post("v1/login", { name, password }, ["csrf_token"]);
  await whoAmI();
  expired.set(false);
  refresh();
}

export async function logOut() {
  await ask("POST", "v1/logout", { has: null });
  begin(null);
}

/** All other sessions end with it; this one goes on, with another token. */
export async function changePassword(passwords) {
  await post("v1/me/password", passwords, null);
  await whoAmI();
}

/** Whether somebody has logged in; else the API is open, and nobody needs to. */
export function isOperator() {
  return session.get()?.kind === "operator";
}

/** Whether who is here may do that: what they may not do is not offered. */
export function may(right) {
  return session.get()?.rights.includes(right) ?? false;
}
