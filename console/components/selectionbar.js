// What can be done to the ticked rows; and, when the whole page is ticked, to all that match.
import { Problem } from "../api.js";
import { many, t } from "../i18n.js";
import { may } from "../session.js";
import { place } from "../router.js";
import { html, useEffect, useState } from "../vendor/htm-preact.js";
import { act, legal } from "./actions.js";
import { say } from "./announce.js";
import { Said } from "./bits.js";
import { isSievable } from "./bulk.js";

const AT_ONCE = 4;

export function SelectionBar({ selection, rows, after, more, all }) {
  const [outcome, setOutcome] = useState(null);
  const ticked = rows.filter((row) => selection.ids.has(row.task_id) && !row.gone);
  useEffect(() => void (ticked.length && setOutcome(null)), [ticked.length > 0]);
  const run = async (action) => {
    const result = await onEach(ticked, action, (done) => setOutcome({ action, done, of: ticked.length }));
    setOutcome({ action, ...result });
    say(many("select.done", result.done, { action: t(`action.${action}`) }));
    selection.all(false);
    after();
  };
  if (!ticked.length && !outcome) return null;
  return html`<section class="selection" aria-label=${t("select.title")}>
    ${
      ticked.length > 0 &&
      html`<p><strong>${many("select.count", ticked.length)}</strong></p>
      <div class="buttons">
        ${["resend", "deliver-now", "cancel"].map(
          (action) => html`<${ForSome}
          tasks=${ticked}
          action=${action}
          run=${run}
          busy=${outcome?.of}
        />`,
        )}
        ${selection.whole && may("operate") && html`<${AllThatMatch} all=${all} more=${more} />`}
      </div>`
    }
    <${Outcome} of=${outcome} close=${() => setOutcome(null)} />
  </section>`;
}

/** An action for those of the ticked tasks that it is legal for. */
function ForSome({ tasks, action, run, busy }) {
  const count = tasks.filter((task) => legal(task).includes(action)).length;
  return (
    count > 0 &&
    html`<button type="button" disabled=${Boolean(busy)} onClick=${() => run(action)}>
      ${t("select.action", { action: t(`action.${action}`), n: count })}
    </button>`
  );
}

function AllThatMatch({ all, more }) {
  const { query } = place.use();
  if (!isSievable(query)) return html`<p class="hint">${t("bulk.not_by_this")}</p>`;
  return html`<button type="button" class="main" onClick=${all}>${t(more ? "bulk.all" : "bulk.all_rate")}</button>`;
}

function Outcome({ of, close }) {
  if (!of) return null;
  if (of.of) return html`<progress max=${of.of} value=${of.done} aria-label=${t("bulk.progress")}></progress>`;
  return html`<div role="status">
    <p>
      ${many("select.done", of.done, { action: t(`action.${of.action}`) })}
      <button type="button" class="quiet" onClick=${close}>${t("close")}</button>
    </p>
    ${
      of.refused.length > 0 &&
      html`<ul class="refusals">
        ${of.refused.map(([task, problem]) => html`<li><code>${task.task_id}</code> ${problem.detail ? html`<${Said} text=${problem.detail} />` : problem.meaning}</li>`)}
      </ul>`
    }
  </div>`;
}

/** Act on each, a few at a time. Those that are refused are no matter of the others. */
async function onEach(tasks, action, progress) {
  const left = tasks.filter((task) => legal(task).includes(action));
  const refused = [];
  let done = 0;
  const worker = async () => {
    for (let task = left.shift(); task; task = left.shift()) {
      const problem = await refusalOf(task, action);
      if (problem) refused.push([task, problem]);
      else done += 1;
      progress(done);
    }
  };
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
