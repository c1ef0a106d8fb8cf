// The URL is the state: `#/tasks/some-id?attempt=1.3`. Reload, back and a link in a chat lead to the same view.
import { noteFocus } from "./focus.js";
import { given } from "./given.js";
import { watched } from "./watched.js";

/** @typedef {{parts: string[], query: Record<string, string>}} Place */

/** @returns {Place} */
export function read(hash) {
  const [path, ...search] = hash.replace(/^#?\/?/, "").split("?");
  const parts = path.split("/").filter(Boolean).map(decoded);
  return { parts, query: Object.fromEntries(new URLSearchParams(search.join("?"))) };
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part; // a stray % from somebody's keyboard
  }
}

export const place = watched(read(location.hash));

addEventListener("hashchange", () => {
  noteFocus();
  place.set(read(location.hash));
});

/** The link to a view: `to(["tasks", id], {attempt: "1.3"})`. Empty members of the query are left out. */
export function to(parts, query = {}) {
  const search = new URLSearchParams(given(query)).toString();
  return `#/${parts.map(encodeURIComponent).join("/")}${search && `?${search}`}`;
}

export function go(parts, query) {
  location.hash = to(parts, query);
}

/** Here, with other members in the query; a list begins anew, so its cursor goes. */
export function here(changes) {
  const { parts, query } = place.get();
  return to(parts, { ...query, cursor: "", ...changes });
}

export function change(changes) {
  location.hash = here(changes);
}
