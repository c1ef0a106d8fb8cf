// The top of every page: search, refresh, language, theme, help.
import { refresh } from "../api.js";
import { LANGUAGES, chooseLanguage, language, t } from "../i18n.js";
import { go } from "../router.js";
import { switchTheme, theme } from "../theme.js";
import { html } from "../vendor/htm-preact.js";
import { say } from "./announce.js";
import { Icon } from "./icon.js";

const TASK_ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** An id leads to its task; anything else is looked for in the URLs of all. */
export function Search() {
  const submit = (event) => {
    event.preventDefault();
    const field = event.target.elements.search;
    const text = field.value.trim();
    if (TASK_ID.test(text)) go(["tasks", text.toLowerCase()]);
    else go(["tasks"], { q: text });
    field.value = "";
    field.blur();
  };
  return html`<form class="search" role="search" onSubmit=${submit}>
    <${Icon} name="search" />
    <label for="search" class="hidden">${t("search")}</label>
    <input
      id="search"
      name="search"
      type="search"
      autocomplete="off"
      placeholder=${t("search")}
      aria-keyshortcuts="/"
    />
    <kbd aria-hidden="true">/</kbd>
  </form>`;
}

export function Tools({ help }) {
  return html`<div class="tools">
    <${Tool} name=${t("refresh")} icon="refresh" keys="r" onClick=${refresh} />
    <${ChooseLanguage} />
    <${ChooseTheme} />
    <${HelpButton} help=${help} />
  </div>`;
}

function Tool({ name, icon, keys, onClick }) {
  return html`<button type="button" class="quiet" onClick=${onClick} title=${name} aria-keyshortcuts=${keys}>
    <${Icon} name=${icon} /><span class="hidden">${name}</span>
  </button>`;
}

function HelpButton({ help }) {
  if (!help) return null;
  return html`<button type="button" class="quiet keyboard" onClick=${help} title=${t("help.title")} aria-keyshortcuts="?">
    <span aria-hidden="true">?</span><span class="hidden">${t("help.title")}</span>
  </button>`;
}

/** The other language, in its own word, so that who cannot read this one finds it. */
export function ChooseLanguage() {
  const other = Object.keys(LANGUAGES).find((name) => name !== language.get());
  const choose = () => chooseLanguage(other).catch(() => say(t("language.failed")));
  return html`<button type="button" class="quiet" lang=${other} onClick=${choose}>${LANGUAGES[other]}</button>`;
}

export function ChooseTheme() {
  const now = theme.use();
  const other = now === "dark" ? "light" : "dark";
  return html`<${Tool} name=${t(`theme.${other}`)} icon=${other} onClick=${switchTheme} />`;
}
