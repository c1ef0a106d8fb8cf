// To older rows and back to the newest; and what has arrived since.
import { many, t } from "../i18n.js";
import { here } from "../router.js";
import { html } from "../vendor/htm-preact.js";

/** `cursor`: where older rows begin, if there are any. `deep`: whether these are older ones already. */
export function Paging({ cursor, deep = false }) {
  if (!cursor && !deep) return null;
  return html`<nav class="paging" aria-label=${t("paging")}>
    ${deep && html`<a class="button" href=${here({ cursor: "" })}>${t("paging.first")}</a>`}
    ${cursor && html`<a class="button" href=${here({ cursor })}>${t("paging.next")}</a>`}
  </nav>`;
}

/** New tasks wait here: a list that one reads does not move. `live`: from `useLiveTasks`. */
export function Arrived({ live: { arrived, show } }) {
  return html`<div role="status">
    ${arrived > 0 && html`<button type="button" class="arrived" onClick=${show}>${many("tasks.arrived", arrived)}</button>`}
  </div>`;
}
