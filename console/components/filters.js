// The filters of the task list: what is chosen goes to the URL, which asks for the list.
import { t } from "../i18n.js";
import { change, here, place } from "../router.js";
import { secondsAgo } from "../time.js";
import { html } from "../vendor/htm-preact.js";
import { Input, Select, useUrlForm } from "./fields.js";
import { Period, periodOf, usePeriod } from "./period.js";

const TEXTS = ["q", "source_app", "target_app", "target", "error"];
const HELD = ["", "paused", "breaker", "concurrency", "rate"];
const PERIODS = [
  ["hour", 3600],
  ["day", 86_400],
  ["week", 604_800],
];

function fromQuery(query) {
  const texts = Object.fromEntries(TEXTS.map((name) => [name, query[name] ?? ""]));
  return { ...texts, held: query.held ?? "", ...periodOf(query) };
}

/** `problem`: why the list was refused, if it was. */
export function Filters({ problem }) {
  const { query } = place.use();
  const { values, set, bind } = useUrlForm(fromQuery(query));
  const period = usePeriod(query);
  const submit = (event) => {
    event.preventDefault();
    const ends = period.read(event.target);
    if (ends) change({ ...values, ...ends });
  };
  const given = [...TEXTS, "held", "since", "until"].filter((name) => query[name]);
  return html`<details class="filters" open=${given.length > 0}>
    <summary>${t("filter.title")}${given.length > 0 && html` <span class="count">${given.length}</span>`}</summary>
    <form onSubmit=${submit} novalidate>
      ${TEXTS.map((name) => html`<${Input} of=${bind(name)} label=${t(`filter.${name}`)} key=${name} />`)}
      <${Select}
        of=${bind("held")}
        label=${t("filter.held")}
        choices=${HELD.map((value) => [value, t(value ? `held.${value}` : "any")])}
      />
      <${Period}
        bind=${bind}
        faults=${period.faults}
        words=${{ since: t("filter.since"), until: t("filter.until") }}
        problem=${problem}
      />
      <div class="buttons">
        <button type="submit" class="main">${t("filter.apply")}</button>
        ${PERIODS.map(([name, seconds]) => html`<${Ago} key=${name} name=${name} seconds=${seconds} />`)}
        ${given.length > 0 && html`<a class="button" href=${without(given)} onClick=${() => set(fromQuery({}))}>${t("filter.clear")}</a>`}
      </div>
    </form>
  </details>`;
}

function Ago({ name, seconds }) {
  return html`<a class="button" href=${here({ since: secondsAgo(seconds), until: "" })}>${t(`period.${name}`)}</a>`;
}

function without(names) {
  return here(Object.fromEntries(names.map((name) => [name, ""])));
}
