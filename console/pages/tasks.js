// All tasks: filtered by the URL, looked at anew all the while without moving, and acted on one by one or all at once.
import { Empty, Loaded, Page, Refusal, Tabs } from "../components/bits.js";
import { ResendMany, SIEVE } from "../components/bulk.js";
import { Filters } from "../components/filters.js";
import { useLiveTasks } from "../components/live.js";
import { Curl } from "../components/samples.js";
import { Arrived, Paging } from "../components/paging.js";
import { useSelection } from "../components/selection.js";
import { SelectionBar } from "../components/selectionbar.js";
import { TaskTable } from "../components/tasktable.js";
import { given } from "../given.js";
import { t } from "../i18n.js";
import { change, here, place, to } from "../router.js";
import { may } from "../session.js";
import { html, useState } from "../vendor/htm-preact.js";

const STANDINGS = ["", "pending", "scheduled", "retrying", "delivered", "exhausted", "cancelled"];

export default function Tasks() {
  const { query } = place.use();
  const live = useLiveTasks(query);
  const selection = useSelection(live.rows, JSON.stringify(query));
  const [all, setAll] = useState(false);
  return html`<${Page} title=${t("tasks.title")} aside=${html`<${Aside} />`}>
    <${Tabs} label=${t("task.status")} chosen=${query.status ?? ""} choices=${STANDINGS.map(standing)} />
    <${Filters} problem=${live.problem} />
    <${Arrived} live=${live} />
    <${SelectionBar}
      selection=${selection}
      rows=${live.rows}
      after=${live.again}
      more=${Boolean(live.cursor || query.cursor)}
      all=${() => setAll(true)}
    />
    <${Loaded} from=${live}>
      ${() =>
        live.rows.length
          ? html`<${TaskTable} rows=${live.rows} selection=${selection} after=${live.again} />`
          : html`<${Nothing} query=${query} more=${live.cursor} />`}
    </${Loaded}>
    <${Paging} cursor=${live.cursor} deep=${Boolean(query.cursor)} />
    ${all && html`<${ResendMany} which=${{ filter: sieve(query) }} onClose=${() => setAll(false)} />`}
  </${Page}>`;
}

function standing(value) {
  return [value, t(value ? `status.${value}` : "all"), here({ status: value })];
}

function Aside() {
  return may("submit") && html`<a class="button" href=${to(["submit"])}>${t("submit.title")}</a>`;
}

/** The filter of this list, as a bulk resend takes it. */
export function sieve(query) {
  return given(Object.fromEntries(SIEVE.map((name) => [name, query[name]])));
}

/** Why there is nothing: nothing yet, no match, or all is well. */
function Nothing({ query, more }) {
  const { limit, cursor, ...filters } = query;
  const asked = Object.keys(filters).filter((name) => filters[name]);
  if (more) return html`<${Empty} kind="none" title=${t("tasks.further")} />`;
  if (!asked.length && !cursor)
    return html`<${Empty} kind="new" title=${t("tasks.none")}><p>${t("tasks.none.text")}</p><${Curl} /></${Empty}>`;
  if (asked.length === 1 && filters.status === "exhausted")
    return html`<${Empty} kind="well" title=${t("tasks.well")}><p>${t("tasks.well.text")}</p></${Empty}>`;
  return html`<${Empty} kind="none" title=${t("tasks.no_match")}>
    <p><a class="button" href=${to(["tasks"])}>${t("filter.clear")}</a></p>
  </${Empty}>`;
}
