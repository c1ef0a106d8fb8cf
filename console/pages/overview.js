// The first page: what needs a human now, how it has been going, and whether the books balance.
import { get, getAll } from "../api.js";
import { Bars, Figures, Legend } from "../components/bars.js";
import { Empty, Loaded, Page, Tabs, When } from "../components/bits.js";
import { Icon } from "../components/icon.js";
import { Curl } from "../components/samples.js";
import { list, many, number, t } from "../i18n.js";
import { here, place, to } from "../router.js";
import { may } from "../session.js";
import { brief, local } from "../time.js";
import { html } from "../vendor/htm-preact.js";
import { useLoaded } from "../work.js";

const EVERY = 5;
const EVERY_CHECK = 30;
const SECONDS = { hour: 3600, day: 86_400 };
const STANDINGS = ["pending", "retrying", "delivered", "exhausted", "cancelled"];

export default function Overview() {
  const { query } = place.use();
  const unit = query.unit === "day" ? "day" : "hour";
  const stats = useLoaded((signal) => get("v1/stats", { unit }, signal, ["totals", "series[]"]), [unit], EVERY, { keeps: true });
  const ledger = useLoaded((signal) => get("v1/ledger", {}, signal, ["balanced"]), [], EVERY_CHECK);
  const rest = useLoaded(needs, [], EVERY);
  return html`<${Page} title=${t("overview.title")}>
    <${Loaded} from=${stats}>
      ${(found) =>
        found.totals.accepted === 0
          ? html`<${Nothing} />`
          : html`<${Needs} totals=${found.totals} rest=${rest} ledger=${ledger.data} />
              <${Totals} totals=${found.totals} />
              <${Chart} stats=${found} unit=${found.unit} />`}
    </${Loaded}>
    <${Ledger} ledger=${ledger} />
  </${Page}>`;
}

/** What else may want a human: targets that hold tasks, and nobody who is told. */
async function needs(signal) {
  const [targets, channels, resends] = await Promise.all(
    ["targets", "channels", "resends"].map((name) => getAll(`v1/${name}`, name, signal)),
  );
  return { ...targets, ...channels, ...resends };
}

function Nothing() {
  return html`<${Empty} kind="new" title=${t("tasks.none")}>
    <p>${t("tasks.none.text")}</p>
    <${Curl} />
    ${may("submit") && html`<p><a class="button main" href=${to(["submit"])}>${t("submit.title")}</a></p>`}
  </${Empty}>`;
}

/** One line for each thing that a human should look at, the gravest first. */
function lines(totals, rest, ledger) {
  const { targets, channels, resends } = rest;
  const paused = targets.filter((it) => it.paused);
  const open = targets.filter((it) => it.breaker && it.breaker.state !== "closed");
  const running = resends.filter((it) => it.status === "running");
  return [
    ledger?.balanced === false && ["exhausted", t("needs.ledger"), to([])],
    totals.exhausted > 0 && [
      "exhausted",
      many("needs.exhausted", totals.exhausted),
      to(["failures"], { period: "month" }), // of all that are kept, unless somebody keeps them for longer
    ],
    open.length > 0 && ["interrupted", naming("needs.breakers", open), to(["targets"])],
    paused.length > 0 && ["held", naming("needs.paused", paused), to(["targets"])],
    !channels.some((it) => it.enabled) && ["exhausted", t("needs.channels"), to(["channels"])],
    running.length > 0 && ["running", many("needs.resends", running.length), to(["resends"])],
  ].filter(Boolean);
}

const MOST_NAMED = 3;

/** How many targets there are; and which, if they are few. */
function naming(key, targets) {
  const names = targets.length > MOST_NAMED ? "" : ` (${list(targets.map((it) => it.target))})`;
  return many(key, targets.length) + names;
}

function Needs({ totals, rest, ledger }) {
  return html`<section aria-labelledby="needs">
    <h2 id="needs">${t("needs.title")}</h2>
    <${Loaded} from=${rest}>${(known) => html`<${Lines} found=${lines(totals, known, ledger)} />`}</${Loaded}>
  </section>`;
}

function Lines({ found }) {
  if (!found.length) return html`<${Empty} kind="well" title=${t("needs.well")} />`;
  return html`<ul class="needs">
    ${found.map(([icon, text, href]) => html`<${Need} key=${text} icon=${icon} text=${text} href=${href} />`)}
  </ul>`;
}

function Need({ icon, text, href }) {
  return html`<li>
    <a href=${href}><span class="badge ${icon}"><${Icon} name=${icon} /></span>${text}</a>
  </li>`;
}

function Totals({ totals }) {
  return html`<section aria-labelledby="totals">
    <h2 id="totals">${t("totals.title")}</h2>
    <ul class="totals">
      <li><a href=${to(["tasks"])}><span>${t("totals.accepted")}</span><strong>${number(totals.accepted)}</strong></a></li>
      ${STANDINGS.map(
        (status) => html`<li class=${totals[status] ? status : "zero"} key=${status}>
          <a href=${to(["tasks"], { status })}>
            <span><${Icon} name=${status} />${t(`status.${status}`)}</span><strong>${number(totals[status])}</strong>
          </a>
        </li>`,
      )}
    </ul>
  </section>`;
}

const SERIES = ["delivered", "failed_attempts", "exhausted"];

function Chart({ stats, unit }) {
  const series = SERIES.map((kind) => ({ kind, word: t(`series.${kind}`) }));
  const rows = stats.series.map((row) => ({
    name: brief(row.at, unit),
    href: to(["tasks"], { since: row.at, until: new Date(Date.parse(row.at) + SECONDS[unit] * 1000).toISOString() }),
    counts: SERIES.map((name) => row[name]),
  }));
  const most = Math.max(...rows.map((row) => row.counts.reduce((all, count) => all + count)));
  return html`<section aria-labelledby="chart">
    <div class="heading">
      <h2 id="chart">${t(`chart.${unit}`)}</h2>
      <${Tabs}
        label=${t("chart.unit")}
        chosen=${unit}
        choices=${["hour", "day"].map((it) => [it, t(`chart.unit.${it}`), here({ unit: it })])}
      />
    </div>
    <div class="chart">
      <span class="most" aria-hidden="true">${number(most)}</span>
      <${Bars} label=${t(`chart.${unit}`)} rows=${rows} series=${series} />
      <div class="axis" aria-hidden="true">${rows.map((row, index) => html`<${Tick} name=${row.name} nth=${index / step(rows)} />`)}</div>
    </div>
    <${Legend} series=${series} />
    <${Figures} rows=${rows} series=${series} first=${t(`chart.unit.${unit}`)} />
  </section>`;
}

/** The name of a bar, of those that have one: each whole `nth`. In a narrow chart every other of them is left out. */
function Tick({ name, nth }) {
  return html`<span class=${nth % 2 ? "other" : ""}>${Number.isInteger(nth) ? name : ""}</span>`;
}

/** Every how many bars one is named. */
function step(rows) {
  return Math.ceil(rows.length / 8);
}

function Ledger({ ledger }) {
  return html`<section aria-labelledby="ledger">
    <h2 id="ledger">${t("ledger.title")}</h2>
    <${Loaded} from=${ledger}>
      ${(it) => html`<div class="ledger ${state(it)}">
        <p><strong><${Icon} name=${it.balanced === false ? "exhausted" : "well"} />${t(`ledger.${state(it)}`)}</strong>
          ${it.checked_at && html` <span class="hint">${t("ledger.checked")} <${When} time=${it.checked_at} /></span>`}</p>
        ${it.checked_at && html`<p class="sum">${equation(it)}</p>`}
        ${it.balanced === false && html`<p>${it.balanced_at ? t("ledger.last", { time: local(it.balanced_at) }) : t("ledger.never")}</p>`}
      </div>`}
    </${Loaded}>
  </section>`;
}

function state(ledger) {
  return ledger.balanced === null ? "unchecked" : ledger.balanced ? "balanced" : "unbalanced";
}

function equation(ledger) {
  const part = (name, word) => t("ledger.part", { n: number(ledger[name]), word });
  const parts = STANDINGS.map((status) => part(status, t(`status.${status}`)));
  return `${part("accepted", t("totals.accepted"))} = ${parts.join(" + ")}`;
}
