// What fails, grouped by target and error, over time. Every number leads to the tasks behind it.
import { get, now } from "../api.js";
import { Bars } from "../components/bars.js";
import { Empty, Foreign, Loaded, Page, Tabs, Why } from "../components/bits.js";
import { ResendMany } from "../components/bulk.js";
import { Table } from "../components/table.js";
import { number, t } from "../i18n.js";
import { here, place, to } from "../router.js";
import { may } from "../session.js";
import { brief, secondsAgo } from "../time.js";
import { html, useState } from "../vendor/htm-preact.js";
import { useLoaded } from "../work.js";

const EVERY = 10;
const PERIODS = { hour: 3600, day: 86_400, week: 604_800, month: 2_592_000 };
const UNITS = { hour: 3600, day: 86_400 };

/** What the URL asks for: how far back, and of which app. */
function filterOf({ period = "day", source_app = "" }) {
  return { since: secondsAgo(PERIODS[period] ?? PERIODS.day), source_app };
}

function load(query, signal) {
  const unit = ["week", "month"].includes(query.period) ? "day" : "hour";
  return get("v1/failures", { unit, ...filterOf(query) }, signal);
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
      ${(failures) => html`<${Groups} failures=${failures} filter=${filterOf(query)} />`}
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

function Groups({ failures, filter }) {
  if (!failures.groups.length) return html`<${Well} />`;
  return html`${!failures.exact && html`<p class="notice">${t("failures.inexact", { n: number(failures.counted) })}</p>`}
    <${Table}
      rows=${failures.groups}
      id=${(it) => `${it.target} ${it.error}`}
      columns=${columns(filter, failures.unit)}
    />`;
}

function Well() {
  return html`<${Empty} kind="well" title=${t("failures.well")}><p>${t("failures.well.text")}</p></${Empty}>`;
}

function columns(filter, unit) {
  const behind = ({ target, error }) => ({ ...filter, target, error });
  const tasks = (query) => to(["tasks"], query);
  return [
    [
      t("task.target"),
      ({ target }) => html`<a href=${tasks({ ...filter, target })}><${Foreign} text=${target} /></a>`,
      "target",
    ],
    [t("failures.error"), (it) => html`<a href=${tasks(behind(it))}><${Why} error=${it.error} /></a>`],
    [t("failures.count"), (it) => html`<a href=${tasks(behind(it))}>${number(it.count)}</a>`, "number"],
    [t("failures.over_time"), (it) => html`<${Spark} group=${it} behind=${behind(it)} unit=${unit} />`],
    [t("failures.newest"), (it) => it.first.map((id) => html`<${Short} id=${id} key=${id} />`), "newest"],
    ["", (it) => may("operate") && html`<${Again} filter=${{ status: "exhausted", ...behind(it) }} />`],
  ];
}

function Short({ id }) {
  return html`<a class="id" href=${to(["tasks", id])} title=${id}>${id.slice(0, 8)}</a> `;
}

/** Resend those of a group that are out of tries. */
function Again({ filter }) {
  const [asked, setAsked] = useState(false);
  return html`<button type="button" onClick=${() => setAsked(true)}>${t("failures.resend")}</button>
    ${asked && html`<${ResendMany} filter=${filter} onClose=${() => setAsked(false)} />`}`;
}

function Spark({ group, behind, unit }) {
  const rows = filled(group.series, Date.parse(behind.since), UNITS[unit] * 1000).map(({ at, count }) => ({
    name: unit === "day" ? brief(at, "day") : `${brief(at, "day")} ${brief(at, "hour")}`,
    href: to(["tasks"], { ...behind, since: at, until: new Date(Date.parse(at) + UNITS[unit] * 1000).toISOString() }),
    counts: [count],
  }));
  return html`<${Bars}
    small
    label=${t("failures.over_time")}
    rows=${rows}
    series=${[{ kind: "exhausted", word: t("failures.count") }]}
  />`;
}

/** A row for each hour or day from `since` (milliseconds) on; the API leaves out those in which there was nothing. */
function filled(series, since, step) {
  const counts = new Map(series.map((row) => [Date.parse(row.at), row.count]));
  const rows = [];
  for (let at = since - (since % step); at <= now(); at += step)
    rows.push({ at: new Date(at).toISOString(), count: counts.get(at) ?? 0 });
  return rows;
}
