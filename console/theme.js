// Light or dark: as the system has it, until somebody chooses. `before.js` has set it before the first paint.
import { remember, remembered } from "./storage.js";
import { watched } from "./watched.js";

/** "light" or "dark" */
export const theme = watched(document.documentElement.dataset.theme);

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", ({ matches }) => {
  if (!remembered("theme")) show(matches ? "dark" : "light");
});

function show(wanted) {
  document.documentElement.dataset.theme = wanted;
  theme.set(wanted);
}

export function switchTheme() {
  const other = theme.get() === "dark" ? "light" : "dark";
  remember("theme", other);
  show(other);
}
