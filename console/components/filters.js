// The filters of the task list: what is chosen goes to the URL, which asks for the list.
import { t } from "../i18n.js";
import { change, here, place } from "../router.js";
import { fromInput, secondsAgo, toInput } from "../time.js";
import { html, useEffect } from "../vendor/htm-preact.js";
import { Input, Select, useForm } from "./fields.js";

const TEXTS = ["q", "source_app", "target_app", "target", "error"];
const HELD = ["", "paused", "breaker", "concurrency", "rate"];
const PERIODS = [
  ["hour", 3600],
  ["day", 86_400],
  ["week", 604_800],
];

function fromQuery(query) {
  const texts = Object.fromEntries(TEXTS.map((name) => [name, query[name] ?? ""]));
  return { ...texts, held: query.held ?? "", since: toInput(query.since), until: toInput(query.until) };
}

export function Filters() {
  const { query } = place.use();
  const { values, set, bind } = useForm(fromQuery(query));
  useEffect(() => set(fromQuery(query)), [JSON.stringify(query)]);
  const submit = (event) => {
    event.preventDefault();
    change({ ...values, since: moment(values.since, query.since), until: moment(values.until, query.until) });
  };
  const given = [...TEXTS, "held", "since", "until"].filter((name) => query[name]);
  return html`<details class="filters" open=${given.length > 0}>
    <summary>${t("filter.title")}${given.length > 0 && html` <span class="count">${given.length}</span>`}</summary>
    <form onSubmit=${submit}>
      ${TEXTS.map((name) => html`<${Input} of=${bind(name)} label=${t(`filter.${name}`)} key=${name} />`)}
      <${Select}
        of=${bind("held")}
        label=${t("filter.held")}
        choices=${HELD.map((value) => [value, t(value ? `held.${value}` : "any")])}
      />
      <${Input} of=${bind("since")} label=${t("filter.since")} type="datetime-local" />
      <${Input} of=${bind("until")} label=${t("filter.until")} type="datetime-local" />
      <div class="buttons">
        <button type="submit" class="main">${t("filter.apply")}</button>
        ${PERIODS.map(([name, seconds]) => html`<${Period} key=${name} name=${name} seconds=${seconds} />`)}
        ${given.length > 0 && html`<a class="button" href=${without(given)}>${t("filter.clear")}</a>`}
      </div>
    </form>
  </details>`;
}

function Period({ name, seconds }) {
  return html`<a class="button" href=${here({ since: secondsAgo(seconds), until: "" })}>${t(`period.${name}`)}</a>`;
}

function without(names) {
  return here(Object.fromEntries(names.map((name) => [name, ""])));
}

/** What the field means; a moment in the URL that nobody has touched keeps its seconds. */
function moment(shown, before) {
  return shown === toInput(before) ? before : fromInput(shown);
}
