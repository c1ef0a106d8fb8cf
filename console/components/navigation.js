// Where one can go, and who one is. What nobody here may see is not offered.
import { t } from "../i18n.js";
import { to } from "../router.js";
import { expired, isOperator, logOut, may, session } from "../session.js";
import { html, useEffect, useState } from "../vendor/htm-preact.js";
import { place } from "../router.js";
import { useAction } from "../work.js";
import { Refusal } from "./bits.js";
import { Icon } from "./icon.js";
import { Password } from "./password.js";

/** name of the page, and the right that it takes */
const GROUPS = [
  [
    "nav.work",
    [
      ["", "watch"],
      ["tasks", "read"],
      ["failures", "watch"],
      ["waiting", "read"],
      ["resends", "watch"],
      ["submit", "submit"],
    ],
  ],
  [
    "nav.setup",
    [
      ["targets", "watch"],
      ["channels", "watch"],
      ["callers", "watch"],
      ["operators", "admin"],
      ["audit", "watch"],
      ["settings", "watch"],
    ],
  ],
];

export function Navigation({ at }) {
  const [open, setOpen] = useState(false);
  useEffect(() => place.watch(() => setOpen(false)), []);
  return html`<div class="side ${open ? "open" : ""}">
    <a class="brand" href=${to([])}><img src="icon.svg" alt="" width="24" height="24" />kkbida <span lang="zh">必达</span></a>
    <button
      type="button"
      class="quiet menu"
      aria-expanded=${String(open)}
      aria-controls="menu"
      onClick=${() => setOpen(!open)}
    >
      <${Icon} name="menu" />${t("menu")}
    </button>
    <div id="menu">
      <nav aria-label=${t("menu")}>${GROUPS.map(([title, pages]) => html`<${Group} title=${title} pages=${pages} at=${at} />`)}</nav>
      <${Who} />
    </div>
  </div>`;
}

function Group({ title, pages, at }) {
  const shown = pages.filter(([, right]) => may(right));
  return html`<h2>${t(title)}</h2>
    <ul>
      ${shown.map(
        ([name]) => html`<li>
          <a href=${to(name ? [name] : [])} aria-current=${name === at ? "page" : null}>${t(`${name || "overview"}.title`)}</a>
        </li>`,
      )}
    </ul>`;
}

/** Who is here, what they may do, and why they are not offered the rest. */
function Who() {
  const who = session.use();
  const [asked, setAsked] = useState(false);
  const leave = useAction(logOut);
  if (!isOperator()) return html`<p class="who hint">${t("who.open")}</p>`;
  return html`<div class="who">
    <p><strong>${who.name}</strong> · ${t(`role.${who.role}`)}</p>
    <p class="hint">${t(`role.${who.role}.means`)}</p>
    <div class="buttons">
      <button type="button" onClick=${() => setAsked(true)}>${t("password.change")}</button>
      <button type="button" disabled=${leave.busy || expired.get()} onClick=${leave.run}>${t("logout")}</button>
    </div>
    <${Refusal} problem=${leave.problem} />
    ${asked && html`<${Password} onClose=${() => setAsked(false)} />`}
  </div>`;
}
