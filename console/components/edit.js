// Edit and resend: only what was changed is sent. Bodies go as they stand, never parsed and printed.
import { ask } from "../api.js";
import { t } from "../i18n.js";
import { isJson, object } from "../json.js";
import { html } from "../vendor/htm-preact.js";
import { useAction } from "../work.js";
import { say } from "./announce.js";
import { Refusal } from "./bits.js";
import { Buttons, Dialog } from "./dialog.js";
import { Input, useForm } from "./fields.js";
import { bodyText } from "./taskparts.js";

const HIDDEN = "***";

export function EditAndResend({ task, onDone, onClose }) {
  const first = {
    url: task.url,
    headers: task.raw.headers,
    body: bodyText(task) ?? "",
    content_type: task.content_type ?? "",
    retry: task.raw.retry,
  };
  const { values, bind } = useForm(first);
  const action = useAction(() =>
    ask("POST", `v1/tasks/${task.task_id}/resend`, { text: object(changes(first, values, task)), has: ["task_id"] }),
  );
  const submit = async (event) => {
    event.preventDefault();
    if ((await action.run()) === undefined) return;
    say(t("action.resend.done"));
    onDone();
    onClose();
  };
  return html`<${Dialog} title=${t("edit")} onClose=${onClose} wide>
    <form onSubmit=${submit}>
      <${Input} of=${bind("url")} label=${t("submit.url")} problem=${action.problem} class="mono" required />
      <${Input} of=${bind("body")} label=${t("request.body")} problem=${action.problem} rows="8" mono />
      <${Input} of=${bind("content_type")} label=${t("submit.content_type")} problem=${action.problem} />
      <${Input}
        of=${bind("headers")}
        label=${t("request.headers")}
        problem=${action.problem}
        rows="3"
        mono
        hint=${task.raw.headers.includes(HIDDEN) ? t("edit.hidden") : t("edit.json")}
      />
      <${Input}
        of=${bind("retry")}
        label=${t("request.retry")}
        problem=${action.problem}
        rows="3"
        mono
        hint=${t("edit.json")}
      />
      <${Refusal} problem=${action.problem} />
      <${Buttons} yes=${t("action.resend")} busy=${action.busy} onClose=${onClose} />
    </form>
  </${Dialog}>`;
}

/** The members that differ, as JSON text. What is no JSON goes as text, and the API says what is wrong with it. */
function changes(first, values, task) {
  const differs = Object.keys(values).filter((name) => values[name] !== first[name]);
  return Object.fromEntries(differs.map((name) => [name, asJson(name, values[name], task)]));
}

function asJson(name, value, task) {
  if (name === "headers" && !value.trim()) return "{}";
  const isText = name === "url" || name === "content_type" || (name === "body" && typeof task.body === "string");
  return !isText && isJson(value) ? value : JSON.stringify(value);
}
