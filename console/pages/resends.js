// Bulk resends: those that run and those that ran.
import { ask, getAll } from "../api.js";
import { Badge, Empty, Loaded, Page, Refusal, When } from "../components/bits.js";
import { wordOf } from "../components/bulk.js";
import { Table } from "../components/table.js";
import { number, t } from "../i18n.js";
import { to } from "../router.js";
import { may } from "../session.js";
import { html } from "../vendor/htm-preact.js";
import { useAction, useLoaded } from "../work.js";

const EVERY = 2;
const COUNTS = ["matched", "resent", "passed_over", "failed"];
const ICONS = { running: "running", stopping: "held", stopped: "cancelled", done: "delivered" };

export default function Resends() {
  const found = useLoaded((signal) => getAll("v1/resends", "resends", signal), [], EVERY);
  return html`<${Page} title=${t("resends.title")}>
    <p class="hint">${t("resends.text")}</p>
    <${Loaded} from=${found}>
      ${({ resends }) =>
        html`<${Table}
          rows=${resends}
          id=${(it) => it.resend_id}
          columns=${columns(found.again)}
          empty=${html`<${Nothing} />`}
        />`}
    </${Loaded}>
  </${Page}>`;
}

function Nothing() {
  return html`<${Empty} kind="none" title=${t("resends.none")}>
    <p><a class="button" href=${to(["tasks"], { status: "exhausted" })}>${t("resends.none.link")}</a></p>
  </${Empty}>`;
}

function columns(after) {
  return [
    [t("task.status"), (it) => html`<${Badge} of=${ICONS[it.status]} word=${t(`resend.${it.status}`)} />`],
    [t("resends.filter"), (it) => words(it.filter)],
    ...COUNTS.map((name) => [t(`resends.${name}`), (it) => number(it[name]), "number"]),
    [t("resends.rate"), (it) => number(it.rate), "number"],
    [t("resends.begun"), (it) => html`<${When} time=${it.started_at} /> <small>${it.actor}</small>`],
    ["", (it) => it.status === "running" && may("operate") && html`<${Stop} id=${it.resend_id} after=${after} />`],
  ];
}

function Stop({ id, after }) {
  const stop = useAction(() => ask("DELETE", `v1/resends/${id}`, { has: ["resend_id"] }));
  const halt = async () => {
    await stop.run();
    after();
  };
  return html`<button type="button" class="danger" disabled=${stop.busy} onClick=${halt}>${t("bulk.stop")}</button>
    <${Refusal} problem=${stop.problem} />`;
}

/** A filter in words; it says nothing where the tasks were named one by one. */
function words(filter) {
  const given = Object.entries(filter).filter(([, value]) => value);
  return given.length
    ? given.map(
        ([name, value]) => html`<span class="chip">${t(`filter.${name}`)}: ${wordOf(name, value)}</span> `,
      )
    : t("resends.named");
}
