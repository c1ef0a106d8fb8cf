import { Empty, Page } from "../components/bits.js";
import { t } from "../i18n.js";
import { to } from "../router.js";
import { html } from "../vendor/htm-preact.js";

/** There is no such page. */
export default function Unknown() {
  return html`<${Page} title=${t("unknown.title")}>
    <${Empty} kind="none" title=${t("unknown.text")}><p><a href=${to([])}>${t("overview.title")}</a></p></${Empty}>
  </${Page}>`;
}
