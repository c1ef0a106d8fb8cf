// Who is at the keyboard, and what they may do. The cookie is the server's: no script can read it.
import { Problem, ask, get, guard, post, refresh } from "./api.js";
import { watched } from "./watched.js";

/** @typedef {"submit" | "read" | "resend" | "watch" | "operate" | "admin"} Right */
/** @typedef {{kind: string, name: string, role: string | null, rights: Right[], csrf_token: string | null}} Session */

const ALL_RIGHTS = ["submit", "read", "resend", "watch", "operate", "admin"];
const ANYONE = { kind: "anyone", name: "", role: null, rights: ALL_RIGHTS, csrf_token: null };

/** @type {ReturnType<typeof watched<Session | null>>} null: nobody has logged in */
export const session = watched(null);

/** Whether a session was there and has ended: the page stays, and a login lies over it. */
export const expired = watched(false);

guard.token = () => session.get()?.csrf_token ?? null;
guard.turnedAway = (code) => (code === "csrf" ? whoAmI() : expired.set(session.get() !== null));

/** Find out who is here. An API that is older than logins needs none. */
export async function whoAmI() {
  try {
    const who = await get("v1/me");
    session.set({ ...who, name: who.name.replace(/^operator:/, "") });
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    if (problem.status === 404) session.set(ANYONE);
    if (problem.code === "offline") throw problem;
  }
}

export async function logIn(name, password) {
  await post("v1/login", { name, password });
  await whoAmI();
  expired.set(false);
  refresh();
}

export async function logOut() {
  await ask("POST", "v1/logout");
  session.set(null);
}

/** All other sessions end with it; this one goes on, with another token. */
export async function changePassword(passwords) {
  await post("v1/me/password", passwords);
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
