// The keyboard: what each key does, and the dialog that says so.
import { refresh } from "../api.js";
import { writes } from "../focus.js";
import { t } from "../i18n.js";
import { html, useLayoutEffect } from "../vendor/htm-preact.js";
import { say } from "./announce.js";
import { Dialog } from "./dialog.js";

const KEYS = ["/", "r", "j", "k", "Enter", "x", "?", "Esc"];

const MAX_EARLY = 200;

/** Keys that were pressed before there was a page; null once there is one. */
let early = [];

addEventListener("keydown", keep);

function keep(event) {
  if (isShortcut(event) && early.length < MAX_EARLY) early.push(event.key);
}

/** What was pressed before the page was there, once: from then on the page listens itself. */
export function takeEarlyKeys() {
  removeEventListener("keydown", keep);
  return early.splice(0);
}

function isShortcut(event) {
  return !(event.ctrlKey || event.metaKey || event.altKey || writes(event.target));
}

/** Listen as long as the frame is there. Keys of one who writes, or together with Ctrl, are left alone. */
export function useShortcuts(help) {
  useLayoutEffect(() => {
    const does = { "/": search, r: lookAgain, "?": help, j: () => step(1), k: () => step(-1), x: tick };
    const listen = (event) => {
      if (!isShortcut(event) || document.querySelector("dialog[open]") || !Object.hasOwn(does, event.key)) return;
      event.preventDefault();
      does[event.key]();
    };
    addEventListener("keydown", listen);
    takeEarlyKeys().forEach((key) => (writes(document.activeElement) ? write(key) : does[key]?.()));
    return () => removeEventListener("keydown", listen);
  }, []);
}

/** A key that was meant for the search, which was not there yet. */
function write(key) {
  const field = document.activeElement;
  if (key === "Enter") field.form.requestSubmit();
  else if (key === "Backspace") field.value = field.value.slice(0, -1);
  else if (key.length === 1) field.value += key;
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
