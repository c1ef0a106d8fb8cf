// Runs before the first paint, so that a dark page does not flash white. No module, since those wait for the page.
"use strict";

document.documentElement.dataset.theme =
  chosen() ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");

function chosen() {
  try {
    return localStorage.getItem("theme");
  } catch {
    return null; // storage is forbidden
  }
}

// Until the console is drawn, a file that did not come, or is none, would leave the page blank.
addEventListener("error", showBroken, true);
addEventListener("unhandledrejection", showBroken);

function showBroken() {
  document.getElementById("broken")?.removeAttribute("hidden");
}
