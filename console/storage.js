// What this browser remembers: theme and language, and nothing else. The URL is the state of all the rest.

/** @param {"theme" | "language"} name */
export function remembered(name) {
  try {
    return localStorage.getItem(name);
  } catch {
    return null; // storage is forbidden
  }
}

/** @param {"theme" | "language"} name */
export function remember(name, value) {
  try {
    localStorage.setItem(name, value);
  } catch {
    // it will be asked for again
  }
}
