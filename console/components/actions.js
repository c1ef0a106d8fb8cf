// What can be done to a task, which of it is legal now, and doing it.
import { post } from "../api.js";
import { t } from "../i18n.js";
import { may } from "../session.js";
import { html } from "../vendor/htm-preact.js";
import { useAction } from "../work.js";
import { say } from "./announce.js";

/** @typedef {"resend" | "deliver-now" | "cancel"} Action */

const FINAL = ["delivered", "exhausted", "cancelled"];

export function isFinal(task) {
  return FINAL.includes(task.status);
}

/** The actions that the API would take now, the likeliest first. @returns {Action[]} */
export function legal(task) {
  if (task.gone || !may("resend")) return [];
  if (isFinal(task)) return ["resend"];
  return task.held || task.waits_in_line ? ["cancel"] : ["deliver-now", "cancel"];
}

/** @param {Action} action */
export function act(task_id, action) {
  return post(`v1/tasks/${encodeURIComponent(task_id)}/${action}`, {}, ["task_id"]);
}

/** A button for one action. `refused` is told why it was not done. */
export function ActionButton({ task, action, main = false, after, refused }) {
  const doing = useAction(async () => {
    try {
      return await act(task.task_id, action);
    } catch (problem) {
      refused(problem);
      throw problem;
    }
  });
  const click = async () => {
    refused(null);
    if ((await doing.run()) !== undefined) say(t(`action.${action}.done`));
    after();
  };
  return html`<button type="button" class=${main ? "main" : ""} disabled=${doing.busy} onClick=${click}>${t(`action.${action}`)}</button>`;
}
