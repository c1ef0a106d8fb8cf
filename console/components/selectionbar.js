// What can be done to the ticked rows: resending by one call, the rest row by row; and, when the whole page is ticked, to all that match.
import { Problem } from "../api.js";
import { many, number, t } from "../i18n.js";
import { may } from "../session.js";
import { place, to } from "../router.js";
import { html, useEffect, useState } from "../vendor/htm-preact.js";
import { act, legal } from "./actions.js";
import { say } from "./announce.js";
import { Detail } from "./bits.js";
import { isSievable, ResendMany } from "./bulk.js";

const AT_ONCE = 4;

export function SelectionBar({ selection, rows, after, more, all }) {
  const [outcome, setOutcome] = useState(null);
  const [named, setNamed] = useState(null);
  const ticked = rows.filter((row) => selection.ids.has(row.task_id) && !row.gone);
  useEffect(() => void (ticked.length && setOutcome(null)), [ticked.length > 0]);
  const finish = (refused = []) => {
    selection.only(refused.map(([task]) => task.task_id)); // those can be tried again
    after();
  };
  const run = async (action, tasks) => {
    const result = await onEach(tasks, action, (ended) => setOutcome({ action, ended, of: tasks.length }));
    setOutcome({ action, ...result });
    say(many(`select.${action}.done`, result.done));
    finish(result.refused);
  };
  const begin = (action, tasks) =>
    action === "resend" ? setNamed(tasks.map((task) => task.task_id)) : run(action, tasks);
  const bar =
    (ticked.length > 0 || outcome) &&
    html`<section class="selection" aria-label=${t("select.title")}>
      ${
        ticked.length > 0 &&
        html`<p><strong>${many("select.count", ticked.length)}</strong></p>
        <div class="buttons">
          ${["resend", "deliver-now", "cancel"].map(
            (action) => html`<${ForSome} tasks=${ticked} action=${action} begin=${begin} busy=${outcome?.of} />`,
          )}
          ${selection.whole && may("operate") && html`<${AllThatMatch} all=${all} more=${more} />`}
        </div>`
      }
      <${Outcome} of=${outcome} close=${() => setOutcome(null)} />
    </section>`;
  return html`${bar}
    ${named && html`<${ResendMany} which=${{ task_ids: named }} begun=${() => finish()} onClose=${() => setNamed(null)} />`}`;
}

/** An action for those of the ticked tasks that it is legal for. */
function ForSome({ tasks, action, begin, busy }) {
  const those = tasks.filter((task) => legal(task).includes(action));
  return (
    those.length > 0 &&
    html`<button type="button" disabled=${Boolean(busy)} onClick=${() => begin(action, those)}>
      ${many(`select.${action}`, those.length)}
    </button>`
  );
}

function AllThatMatch({ all, more }) {
  const { query } = place.use();
  if (!isSievable(query)) return html`<p class="hint">${t("bulk.not_by_this")}</p>`;
  return html`<button type="button" class="main" onClick=${all}>${t(more ? "bulk.all" : "bulk.all_rate")}</button>`;
}

/** How far it is; and in the end what was done, and which tasks refused it, and why. */
function Outcome({ of, close }) {
  if (!of) return null;
  if (of.of)
    return html`<p class="lead">
      <progress max=${of.of} value=${of.ended} aria-label=${t("bulk.progress")}></progress>
      ${" "}${t("select.progress", { n: number(of.ended), of: number(of.of) })}
    </p>`;
  return html`<div role="status">
    <p>
      ${many(`select.${of.action}.done`, of.done)}
      <button type="button" class="quiet" onClick=${close}>${t("close")}</button>
    </p>
    ${of.refused.length > 0 && html`<${Refused} refused=${of.refused} />`}
  </div>`;
}

function Refused({ refused }) {
  return html`<p>${many("select.refused", refused.length)}</p>
    <ul class="refusals">
      ${refused.map(
        ([task, problem]) => html`<li key=${task.task_id}>
          <a href=${to(["tasks", task.task_id])}><code>${task.task_id}</code></a> ${problem.meaning}
          <${Detail} of=${problem} />
        </li>`,
      )}
    </ul>`;
}

/** Act on each, a few at a time. Those that are refused are no matter of the others. */
async function onEach(tasks, action, progress) {
  const left = [...tasks];
  const refused = [];
  let done = 0;
  const worker = async () => {
    for (let task = left.shift(); task; task = left.shift()) {
      const problem = await refusalOf(task, action);
      if (problem) refused.push([task, problem]);
      else done += 1;
      progress(done + refused.length);
    }
  };
  progress(0);
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return { done, refused };
}

async function refusalOf(task, action) {
  try {
    await act(task.task_id, action);
    return null;
  } catch (problem) {
    if (problem instanceof Problem) return problem;
    throw problem;
  }
}
