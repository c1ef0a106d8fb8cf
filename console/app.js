// The frame around every page: navigation, search, what is wrong with the connection, and the login.
import { Problem, refresh, refreshed, up } from "./api.js";
import { Announcements } from "./components/announce.js";
import { Guarded, Loading, Page, Refusal } from "./components/bits.js";
import { Help, useShortcuts } from "./components/keys.js";
import { Navigation } from "./components/navigation.js";
import { Search, Tools } from "./components/tools.js";
import { language, t } from "./i18n.js";
import { Login, LoginAgain } from "./pages/login.js";
import { place } from "./router.js";
import { expired, session } from "./session.js";
import { html, useEffect, useState } from "./vendor/htm-preact.js";

const PAGES = [
  "audit",
  "callers",
  "channels",
  "failures",
  "operators",
  "overview",
  "resends",
  "settings",
  "submit",
  "targets",
  "tasks",
  "waiting",
];

/** `ready`: a promise that is kept once it is known who is here. `trouble`: why it is not known yet. */
export function App({ ready, trouble }) {
  language.use();
  const [settled, setSettled] = useState(false);
  useEffect(() => void ready.then(() => setSettled(true)), []);
  const who = session.use();
  const problem = trouble.use();
  if (!settled) return html`<${Down} /><main class="login"><${Refusal} problem=${problem} again=${() => location.reload()} /><${Loading} waiting=${!problem} /></main>`;
  return who ? html`<${Frame} />` : html`<${Down} /><${Login} /><${Announcements} />`;
}

function Frame() {
  const { parts } = place.use();
  const [help, setHelp] = useState(false);
  const over = expired.use();
  useShortcuts(() => setHelp(true));
  return html`
    <a class="skip" href="#main" onClick=${skip}>${t("skip")}</a>
    <div class="frame">
      <${Navigation} at=${parts[0] ?? ""} />
      <div class="column">
        <div class="top"><${Search} /><${Tools} help=${() => setHelp(true)} /></div>
        <${Down} />
        <main id="main"><${Shown} parts=${parts} /></main>
      </div>
    </div>
    <${Announcements} />
    ${help && html`<${Help} onClose=${() => setHelp(false)} />`}
    ${over && html`<${LoginAgain} />`}
  `;
}

/** The page of a place. A task of its own is another page than the list. */
function Shown({ parts }) {
  const name = pageOf(parts);
  const { component: Found, again } = usePage(name);
  if (!Found) return html`<${Loading} waiting=${!again} />${again && html`<${Missing} name=${name} again=${again} />`}`;
  const key = parts.join("/");
  return html`<${Guarded} key=${key} of=${key} again=${refresh}>${() => html`<${Found} id=${parts[1]} />`}</${Guarded}>`;
}

/** A page whose file did not come, or is none. */
function Missing({ name, again }) {
  return html`<${Page} title=${t(`${name}.title`)}>
    <${Refusal} problem=${new Problem({ code: "no_page" })} again=${again} />
  </${Page}>`;
}

export function pageOf([name = "overview", id, ...rest]) {
  if (rest.length || (id && name !== "tasks") || !PAGES.includes(name)) return "unknown";
  return id ? "task" : name;
}

/** The module of a page; the browser keeps it, and of one that failed it keeps that: another try has another address. */
export function fetchPage(name, tries = 0) {
  return import(`./pages/${name}.js${tries ? `?${tries}` : ""}`);
}

const fetched = {};
let tries = 0;

/** The component of a page, which is fetched when somebody goes there first; null until it has come. `again`: if it did not. */
function usePage(name) {
  const [failed, setFailed] = useState(null);
  const [, draw] = useState(0);
  const pulse = refreshed.use();
  useEffect(() => {
    const came = async () => {
      try {
        fetched[name] ??= (await fetchPage(name, tries)).default;
        draw((count) => count + 1);
      } catch {
        tries += 1;
        setFailed(name);
      }
    };
    came();
  }, [name, pulse]);
  return { component: fetched[name] ?? null, again: failed === name ? refresh : null };
}

function skip(event) {
  event.preventDefault(); // the hash is the page's
  document.querySelector("main h1")?.focus();
}

const AGAIN = 3;

/** Says that the API does not answer, and asks until it does; then everything is looked at anew. */
function Down() {
  const answers = up.use();
  useEffect(() => {
    const timer = !answers && setInterval(knock, AGAIN * 1000);
    return () => clearInterval(timer);
  }, [answers]);
  return html`<div role="alert">${!answers && html`<p class="down">${t("down", { n: AGAIN })}</p>`}</div>`;
}

let knocks = false;

async function knock() {
  if (knocks) return;
  knocks = true;
  const reply = await fetch("v1/health", { cache: "no-store", redirect: "manual" }).catch(() => null);
  knocks = false;
  if (!reply?.headers.get("Content-Type")?.includes("json")) return;
  up.set(true);
  refresh();
}
