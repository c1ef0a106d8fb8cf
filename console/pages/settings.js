// The settings as this kkbida has them, and what each means. They are changed where it is deployed, not here.
import { get } from "../api.js";
import { Loaded, None, Page, Said } from "../components/bits.js";
import { Table } from "../components/table.js";
import { t } from "../i18n.js";
import { html } from "../vendor/htm-preact.js";
import { useLoaded } from "../work.js";

export default function Settings() {
  const found = useLoaded((signal) => get("v1/settings", {}, signal, ["settings[]"]), []);
  return html`<${Page} title=${t("settings.title")}>
    <p class="hint">${t("settings.text")}</p>
    <${Loaded} from=${found}>
      ${({ settings }) =>
        html`<${Table}
          rows=${settings}
          id=${(it) => it.variable}
          columns=${columns()}
          kind=${(it) => (isSet(it) ? "changed" : "")}
        />`}
    </${Loaded}>
  </${Page}>`;
}

function columns() {
  return [
    [t("settings.variable"), (it) => html`<code>${it.variable}</code>`, "name"],
    [
      t("settings.value"),
      (it) => html`<${Value} of=${it.value} />${isSet(it) && html`<small>${t("settings.changed")}</small>`}`,
    ],
    [t("settings.default"), (it) => html`<${Value} of=${it.default} />`],
    [t("settings.means"), (it) => html`<${Said} text=${it.help} />`],
  ];
}

function isSet(setting) {
  return setting.value !== setting.default;
}

function Value({ of }) {
  return of === "" ? html`<${None} />` : html`<code>${of}</code>`;
}
