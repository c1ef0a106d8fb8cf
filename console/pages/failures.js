// What fails, grouped by target and error, over time. Every number leads to the tasks behind it.
import { get, now } from "../api.js";
import { Bars, Legend } from "../components/bars.js";
import { Empty, Foreign, Loaded, None, Page, Tabs, Why } from "../components/bits.js";
import { ResendMany } from "../components/bulk.js";
import { Table } from "../components/table.js";
import { given } from "../given.js";
import { many, number, t } from "../i18n.js";
import { here, place, to } from "../router.js";
import { may } from "../session.js";
import { brief, secondsAgo } from "../time.js";
import { html, useState } from "../vendor/htm-preact.js";
import { useLoaded } from "../work.js";

const EVERY = 10;
const MOST_IDS = 3;
const PERIODS = { hour: 3600, day: 86_400, week: 604_800, month: 2_592_000 };
const UNITS = { hour: 3600, day: 86_400 };

/** What the URL asks for: how far back, and of which app, if of one. A link and a bulk resend take it as it is. */
function filterOf({ period = "day", source_app }) {
  return given({ since: secondsAgo(PERIODS[period] ?? PERIODS.day), source_app });
}

/** The groups, and the filter that they were asked for with: links must not ask for another moment. */
async function load(query, signal) {
  const unit = ["week", "month"].includes(query.period) ? "day" : "hour";
  const filter = filterOf(query);
  return { filter, ...(await get("v1/failures", { unit, ...filter }, signal, ["groups[]"])) };
}

export default function Failures() {
  const { query } = place.use();
  const found = useLoaded((signal) => load(query, signal), [query.period, query.source_app], EVERY);
  return html`<${Page} title=${t("failures.title")}>
    <p class="hint">${t("failures.text")}</p>
    <${Tabs}
      label=${t("failures.period")}
      chosen=${query.period ?? "day"}
      choices=${Object.keys(PERIODS).map((name) => [name, t(`period.${name}`), here({ period: name })])}
    />
    <${OfApp} app=${query.source_app} />
    <${Loaded} from=${found}>
      ${(failures) => html`<${Groups} failures=${failures} />`}
    </${Loaded}>
  </${Page}>`;
}

function OfApp({ app }) {
  if (!app) return null;
  return html`<p>
    ${t("filter.source_app")}: <strong>${app}</strong>
    ${" "}<a class="button" href=${here({ source_app: "" })}>${t("filter.clear")}</a>
  </p>`;
}

function Groups({ failures }) {
  if (!failures.groups.length) return html`<${Well} />`;
  return html`${!failures.exact && html`<p class="notice">${t("failures.inexact", { n: number(failures.counted) })}</p>`}
    <${Legend} series=${series()} />
    <${Table} rows=${failures.groups} id=${(it) => `${it.target} ${it.error}`} columns=${columns(failures)} />`;
}

const FAILING = ["exhausted", "retrying"];

function series() {
  return FAILING.map((kind) => ({ kind, word: t(`status.${kind}`) }));
}

function Well() {
  return html`<${Empty} kind="well" title=${t("failures.well")}><p>${t("failures.well.text")}</p></${Empty}>`;
}

function columns({ filter, unit, exact }) {
  const behind = ({ target, error }) => ({ ...filter, target, error });
  const tasks = (query) => to(["tasks"], query);
  return [
    [
      t("task.target"),
      ({ target }) => html`<a href=${tasks({ ...filter, target })}><${Foreign} text=${target} /></a>`,
      "target",
    ],
    [t("failures.error"), (it) => html`<a href=${tasks(behind(it))}><${Why} error=${it.error} /></a>`, "why"],
    ...FAILING.map((status) => [
      t(`status.${status}`),
      (it) => html`<${Count} of=${it[status]} href=${tasks({ status, ...behind(it) })} />`,
      "number",
    ]),
    [t("failures.over_time"), (it) => html`<${Spark} group=${it} behind=${behind(it)} unit=${unit} />`],
    [t("failures.newest"), (it) => it.first.slice(0, MOST_IDS).map((id) => html`<${Short} id=${id} key=${id} />`), "newest"],
    ["", (it) => it.exhausted > 0 && may("operate") && html`<${Again} group=${it} filter=${behind(it)} exact=${exact} />`],
  ];
}

function Count({ of, href }) {
  return of ? html`<a href=${href}>${number(of)}</a>` : html`<${None} />`;
}

function Short({ id }) {
  return html`<a class="id" href=${to(["tasks", id])} title=${id}>${id.slice(0, 8)}</a> `;
}

/** Resend those of a group that are exhausted; those that are retrying go on by themselves. */
function Again({ group, filter, exact }) {
  const [asked, setAsked] = useState(false);
  const which = { filter: { status: "exhausted", ...filter } };
  const word = exact ? many("failures.resend", group.exhausted) : t("failures.resend_all");
  return html`<button type="button" onClick=${() => setAsked(true)}>${word}</button>
    ${asked && html`<${ResendMany} which=${which} onClose=${() => setAsked(false)} />`}`;
}

function Spark({ group, behind, unit }) {
  const step = UNITS[unit] * 1000;
  const rows = filled(group.series, Date.parse(behind.since), step).map((row) => ({
    name: unit === "day" ? brief(row.at, "day") : `${brief(row.at, "day")} ${brief(row.at, "hour")}`,
    hrefs: FAILING.map((status) => to(["tasks"], { status, ...behind, ...during(row.at, step, behind.since) })),
    counts: FAILING.map((status) => row[status]),
  }));
  return html`<${Bars} small label=${t("failures.over_time")} rows=${rows} series=${series()} />`;
}

/** The hour or day that begins then; the first one is seen from `since` on only. */
function during(at, step, since) {
  const begins = Math.max(Date.parse(at), Date.parse(since));
  return { since: new Date(begins).toISOString(), until: new Date(Date.parse(at) + step).toISOString() };
}

/** A row for each hour or day from `since` (milliseconds) on; the API leaves out those in which there was nothing. */
function filled(series, since, step) {
  const known = new Map(series.map((row) => [Date.parse(row.at), row]));
  const rows = [];
  for (let at = since - (since % step); at <= now(); at += step)
    rows.push(known.get(at) ?? { at: new Date(at).toISOString(), exhausted: 0, retrying: 0 });
  return rows;
}
