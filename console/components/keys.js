// The keyboard: what each key does, and the dialog that says so.
import { refresh } from "../api.js";
import { t } from "../i18n.js";
import { html, useEffect } from "../vendor/htm-preact.js";
import { say } from "./announce.js";
import { Dialog } from "./dialog.js";

const KEYS = ["/", "r", "j", "k", "Enter", "x", "?", "Esc"];

/** Listen as long as the frame is there. Keys of one who writes, or together with Ctrl, are left alone. */
export function useShortcuts(help) {
  useEffect(() => {
    const does = { "/": search, r: lookAgain, "?": help, j: () => step(1), k: () => step(-1), x: tick };
    const listen = (event) => {
      if (
        event.ctrlKey ||
        event.metaKey ||
        event.altKey ||
        writes(event.target) ||
        document.querySelector("dialog[open]")
      )
        return;
      if (!Object.hasOwn(does, event.key)) return;
      event.preventDefault();
      does[event.key]();
    };
    addEventListener("keydown", listen);
    return () => removeEventListener("keydown", listen);
  }, []);
}

function writes(element) {
  return element.matches("input:not([type=checkbox]), textarea, select");
}

function search() {
  document.querySelector("#search").focus();
}

function lookAgain() {
  refresh();
  say(t("refreshed"));
}

/** To the next row of a list, or the one before. */
function step(by) {
  const links = [...document.querySelectorAll("main [data-row] a.open")];
  const at = links.findIndex((link) => link.closest("[data-row]").contains(document.activeElement));
  links[at < 0 ? 0 : Math.min(links.length - 1, Math.max(0, at + by))]?.focus();
}

function tick() {
  document.activeElement.closest("[data-row]")?.querySelector("input[type=checkbox]")?.click();
}

export function Help({ onClose }) {
  return html`<${Dialog} title=${t("help.title")} onClose=${onClose}>
    <dl class="keys">
      ${KEYS.map((key) => html`<div><dt><kbd>${key}</kbd></dt><dd>${t(`help.${key}`)}</dd></div>`)}
    </dl>
    <p class="hint">${t("help.words")}</p>
  </${Dialog}>`;
}
