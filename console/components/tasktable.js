// Tasks as a table; on a phone each row is a card.
import { number, t } from "../i18n.js";
import { to } from "../router.js";
import { told } from "../said.js";
import { html, useState } from "../vendor/htm-preact.js";
import { ActionButton, legal } from "./actions.js";
import { Countdown, Foreign, None, Refusal, Said, Status, When } from "./bits.js";

/** `selection`: from `useSelection`; none where nothing can be ticked. */
export function TaskTable({ rows, selection, after }) {
  return html`<table class="list tasks">
    <thead>
      <tr>
        ${selection && html`<th scope="col" class="tick"><${TickAll} selection=${selection} /></th>`}
        <th scope="col">${t("task.status")}</th>
        <th scope="col">${t("task")}</th>
        <th scope="col">${t("task.apps")}</th>
        <th scope="col" class="number">${t("task.attempts")}</th>
        <th scope="col">${t("task.outlook")}</th>
        <th scope="col">${t("task.accepted")}</th>
        <th scope="col"><span class="hidden">${t("actions")}</span></th>
      </tr>
    </thead>
    <tbody>
      ${rows.map((task) => html`<${Row} key=${task.task_id} task=${task} selection=${selection} after=${after} />`)}
    </tbody>
  </table>`;
}

function TickAll({ selection }) {
  return html`<input
    type="checkbox"
    aria-label=${t("select.page")}
    checked=${selection.whole}
    onChange=${(event) => selection.all(event.target.checked)}
  />`;
}

function Row({ task, selection, after }) {
  const [problem, setProblem] = useState(null);
  const first = likely(task);
  return html`<tr data-row class=${task.gone ? "gone" : ""}>
      ${selection && html`<td class="tick"><${Tick} task=${task} selection=${selection} /></td>`}
      <td data-label=${t("task.status")}><${Status} task=${task} />${task.gone && html`<small>${t("task.gone")}</small>`}</td>
      <td class="what">
        <a class="open" href=${to(["tasks", task.task_id])}><span class="method">${task.method}</span> <${Foreign} text=${task.url} /></a>
        <small class="id" title=${task.task_id}>${task.task_id.slice(0, 8)}</small>
      </td>
      <td data-label=${t("task.apps")}><${Apps} task=${task} /></td>
      <td data-label=${t("task.attempts")} class="number"><${Attempts} task=${task} /></td>
      <td data-label=${t("task.outlook")}><${Next} task=${task} /></td>
      <td data-label=${t("task.accepted")} class="time"><${When} time=${task.created_at} /></td>
      <td class="does">${first && html`<${ActionButton} task=${task} action=${first} after=${after} refused=${setProblem} />`}</td>
    </tr>
    ${problem && html`<tr class="refused"><td colspan=${selection ? 8 : 7}><${Refusal} problem=${problem} /></td></tr>`}`;
}

/** What one would want to do with it in a list, if anything. Cancelling is never at a finger's slip. */
function likely(task) {
  if (task.status === "delivered" || task.status === "cancelled") return null;
  return legal(task).find((action) => action !== "cancel");
}

function Tick({ task, selection }) {
  return html`<input
    type="checkbox"
    aria-label=${t("select.row", { url: task.url })}
    disabled=${task.gone}
    checked=${selection.ids.has(task.task_id)}
    onChange=${(event) => selection.toggle(task.task_id, event.target.checked)}
  />`;
}

function Apps({ task }) {
  if (!task.source_app && !task.target_app) return html`<${None} />`;
  return html`<span class="apps">${task.source_app || "–"} → ${task.target_app || "–"}</span>`;
}

export function Attempts({ task }) {
  const round = task.round > 1 ? html`<small>${t("task.round", { n: number(task.round) })}</small>` : null;
  return html`<span>${number(task.attempts_made)} / ${number(task.max_attempts)}</span>${round}`;
}

/** What comes next, or why nothing does. */
function Next({ task }) {
  if (task.status === "delivered" || task.status === "cancelled") return html`<${None} />`;
  return html`<div class="next">
    ${task.next_try_at && !task.gone && html`<${Countdown} until=${task.next_try_at} />`}
    ${task.held && html`<span>${t(`held.${task.held}`)}</span>`}
    ${task.waits_in_line && html`<span>${t("task.in_line")}</span>`}
    ${task.last_reason && html`<small class="reason" title=${told(task.last_reason)}><${Said} text=${task.last_reason} /></small>`}
  </div>`;
}
