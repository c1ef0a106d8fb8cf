// What waits: for its time, for its next try, for its target. With what is left, counting down.
import { Empty, Loaded, Page, Tabs } from "../components/bits.js";
import { useLiveTasks } from "../components/live.js";
import { Arrived, Paging } from "../components/paging.js";
import { useSelection } from "../components/selection.js";
import { SelectionBar } from "../components/selectionbar.js";
import { TaskTable } from "../components/tasktable.js";
import { t } from "../i18n.js";
import { here, place } from "../router.js";
import { html } from "../vendor/htm-preact.js";

const HELD = ["paused", "breaker", "concurrency", "rate"];
const VIEWS = {
  scheduled: { status: "scheduled" },
  retrying: { status: "retrying" },
  ...Object.fromEntries(HELD.map((held) => [held, { held }])),
};

export default function Waiting() {
  const { query } = place.use();
  const show = Object.hasOwn(VIEWS, query.show) ? query.show : "scheduled";
  const asked = { ...VIEWS[show], cursor: query.cursor ?? "" };
  const live = useLiveTasks(asked);
  const selection = useSelection(live.rows, JSON.stringify(asked));
  return html`<${Page} title=${t("waiting.title")}>
    <${Tabs} label=${t("waiting.for")} chosen=${show} choices=${Object.keys(VIEWS).map(tab)} />
    <p class="hint">${t(`waiting.${show}.text`)}</p>
    <${Arrived} live=${live} />
    <${SelectionBar} selection=${selection} rows=${live.rows} after=${live.again} />
    <${Loaded} from=${live}>
      ${() =>
        live.rows.length
          ? html`<${TaskTable} rows=${live.rows} selection=${selection} after=${live.again} />`
          : html`<${Empty} kind="well" title=${t(`waiting.${show}.none`)} />`}
    </${Loaded}>
    <${Paging} cursor=${live.cursor} />
  </${Page}>`;
}

function tab(name) {
  return [name, t(`waiting.${name}`), here({ show: name })];
}
