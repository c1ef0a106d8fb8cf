// The audit trail: who did what, on what, from where, when, with what result.
import { get } from "../api.js";
import { Badge, Empty, Loaded, None, Page, When } from "../components/bits.js";
import { Input, useUrlForm } from "../components/fields.js";
import { Paging } from "../components/paging.js";
import { Period, periodOf, usePeriod } from "../components/period.js";
import { Table } from "../components/table.js";
import { Details, actionWord } from "../components/taskparts.js";
import { speaks, t } from "../i18n.js";
import { change, here, place, to } from "../router.js";
import { html } from "../vendor/htm-preact.js";
import { useLoaded } from "../work.js";

const FILTERS = ["actor", "subject", "since", "until"];
const ON_TASKS = ["resend", "cancel", "deliver-now"];

export default function Audit() {
  const { query } = place.use();
  const asked = Object.fromEntries([...FILTERS, "cursor"].map((name) => [name, query[name] ?? ""]));
  const found = useLoaded((signal) => get("v1/audit", { ...asked, limit: 50 }, signal, ["audits[]"]), [JSON.stringify(asked)]);
  return html`<${Page} title=${t("audit.title")}>
    <p class="hint">${t("audit.text")}</p>
    <${Filters} query=${query} problem=${found.problem} />
    <${Loaded} from=${found}>
      ${({
        audits,
        cursor,
      }) => html`${audits.length ? html`<${Table} rows=${audits} id=${idOf} columns=${columns()} />` : html`<${Nothing} query=${query} />`}
        <${Paging} cursor=${cursor} />`}
    </${Loaded}>
  </${Page}>`;
}

function shown(query) {
  return { actor: query.actor ?? "", subject: query.subject ?? "", ...periodOf(query) };
}

function Filters({ query, problem }) {
  const { values, bind } = useUrlForm(shown(query));
  const period = usePeriod(query);
  const submit = (event) => {
    event.preventDefault();
    const ends = period.read(event.target);
    if (ends) change({ ...values, ...ends });
  };
  return html`<form class="filters" onSubmit=${submit} novalidate>
    <${Input} of=${bind("actor")} label=${t("audit.actor")} />
    <${Input} of=${bind("subject")} label=${t("audit.subject")} />
    <${Period}
      bind=${bind}
      faults=${period.faults}
      words=${{ since: t("audit.since"), until: t("audit.until") }}
      problem=${problem}
    />
    <div class="buttons"><button type="submit" class="main">${t("filter.apply")}</button></div>
  </form>`;
}

function Nothing({ query }) {
  if (!FILTERS.some((name) => query[name])) return html`<${Empty} kind="new" title=${t("audit.none")} />`;
  return html`<${Empty} kind="none" title=${t("audit.no_match")}>
    <p><a class="button" href=${to(["audit"])}>${t("filter.clear")}</a></p>
  </${Empty}>`;
}

function columns() {
  return [
    [t("audit.at"), (it) => html`<${When} time=${it.at} />`, "time"],
    [t("audit.actor"), (it) => html`<a href=${here({ actor: it.actor })}>${it.actor}</a>`, "actor"],
    [t("audit.action"), (it) => actionWord(it.action)],
    [t("audit.subject"), (it) => html`<${Subject} of=${it.subject} action=${it.action} />`],
    [t("audit.result"), (it) => html`<${Result} of=${it.result} />`],
    [t("audit.address"), (it) => html`<code>${it.address}</code>`, "address"],
    [t("audit.detail"), (it) => html`<${Details} of=${it.detail} />`],
  ];
}

/** No two entries are the same thing done at the same moment. */
function idOf(audit) {
  return [audit.at, audit.actor, audit.action, audit.subject].join(" ");
}

function Subject({ of, action }) {
  if (!of) return html`<${None} />`;
  return html`<a href=${here({ subject: of })}><code>${of}</code></a>
    ${ON_TASKS.includes(action) && html`<small><a href=${to(["tasks", of])}>${t("audit.open")}</a></small>`}`;
}

/** Done, or the code that it was refused with, in words. */
function Result({ of }) {
  if (of === "done") return html`<${Badge} of="delivered" word=${t("audit.done")} />`;
  const word = speaks(`problem.${of}`) ? t(`problem.${of}`) : of;
  return html`<${Badge} of="failed" word=${word} means=${of} />`;
}
