// Submitting a task by hand, with the commands that would do the same.
import { ask } from "../api.js";
import { say } from "../components/announce.js";
import { Page, Raw, Refusal } from "../components/bits.js";
import { Buttons } from "../components/dialog.js";
import { Input, Select, names, useForm } from "../components/fields.js";
import { curlOf, pythonOf } from "../components/samples.js";
import { given } from "../given.js";
import { t } from "../i18n.js";
import { isJson, object } from "../json.js";
import { go, place } from "../router.js";
import { html, useMemo } from "../vendor/htm-preact.js";
import { useAction } from "../work.js";

const METHODS = ["POST", "GET", "PUT", "PATCH", "DELETE", "HEAD"];
const PRESETS = ["kkbida", "alipay", "wechatpay", "standard-webhooks", "svix"];
const FIRST = {
  url: "",
  method: "POST",
  body: "",
  status: "",
  contains: "",
  preset: "",
  max_attempts: "",
  delay: "",
  source_app: "",
  target_app: "",
  ordering_key: "",
  headers: "",
};

/** Everything a form of text can say, as JSON text by member. The body goes as it stands. */
export function taskOf(values) {
  const texts = Object.fromEntries(
    ["url", "method", "source_app", "target_app", "ordering_key"]
      .filter((name) => values[name])
      .map((name) => [name, JSON.stringify(values[name])]),
  );
  if (values.method === "POST") delete texts.method;
  return {
    ...texts,
    ...(values.headers && { headers: asJson(values.headers) }),
    ...(values.body && { body: asJson(values.body) }),
    ...(values.delay && { delay: asJson(values.delay) }),
    ...part("expect", {
      status: names(values.status).length ? JSON.stringify(names(values.status)) : "",
      contains: values.contains && JSON.stringify(values.contains),
    }),
    ...part("retry", { preset: values.preset && JSON.stringify(values.preset), max_attempts: values.max_attempts }),
  };
}

function asJson(text) {
  return isJson(text) ? text : JSON.stringify(text);
}

function part(name, texts) {
  const parts = given(texts);
  return Object.keys(parts).length ? { [name]: object(parts) } : {};
}

export default function Submit() {
  const { values, bind } = useForm(FIRST);
  const task = object(taskOf(values));
  const key = useMemo(() => crypto.randomUUID(), [task]); // the same task, clicked twice or sent anew, is one task
  const action = useAction(() => ask("POST", "v1/tasks", { text: task, headers: { "Idempotency-Key": key }, has: ["task_id"] }));
  const submit = async (event) => {
    event.preventDefault();
    const made = await action.run();
    if (!made) return;
    say(t("submit.done"));
    if (place.get().parts[0] === "submit") go(["tasks", made.task_id]); // else the reader has gone elsewhere meanwhile
  };
  return html`<${Page} title=${t("submit.title")}>
    <p class="hint">${t("submit.text")}</p>
    <div class="split">
      <form onSubmit=${submit}>
        <${Fields} bind=${bind} problem=${action.problem} />
        <${Refusal} problem=${action.problem} />
        <${Buttons} yes=${t("submit")} busy=${action.busy} />
      </form>
      <section aria-labelledby="same">
        <h2 id="same">${t("submit.same")}</h2>
        <h3>curl</h3>
        <p class="hint">${t("submit.curl.hint")}</p>
        <${Raw} text=${curlOf(task)} label="curl" />
        <h3>Python</h3>
        <p class="hint">${t("submit.python.hint")}</p>
        <${Raw} text=${pythonOf(taskOf(values))} label="Python" />
      </section>
    </div>
  </${Page}>`;
}

function Fields({ bind, problem }) {
  const field = (name, more = {}) =>
    html`<${Input} of=${bind(name)} label=${t(`submit.${name}`)} problem=${problem} ...${more} />`;
  return html`
    ${field("url", { required: true, class: "mono", placeholder: "https://partner.example/callback" })}
    <${Select} of=${bind("method")} label=${t("submit.method")} choices=${METHODS.map((it) => [it, it])} />
    ${field("body", { rows: 6, mono: true, hint: t("submit.body.hint") })}
    <div class="grid">
      ${field("contains", { hint: t("submit.contains.hint"), pointer: "/expect/contains" })}
      ${field("status", { placeholder: "2xx, !204", hint: t("submit.status.hint"), pointer: "/expect/status" })}
      <${Select}
        of=${bind("preset")}
        label=${t("submit.preset")}
        choices=${[["", t("submit.preset.none")], ...PRESETS.map((it) => [it, it])]}
      />
      ${field("max_attempts", { type: "number", min: 1, max: 100, pointer: "/retry/max_attempts" })}
      ${field("source_app")} ${field("target_app")}
    </div>
    <details>
      <summary>${t("submit.more")}</summary>
      ${field("delay", { type: "number", min: 0, hint: t("submit.delay.hint") })}
      ${field("ordering_key", { hint: t("submit.ordering_key.hint") })}
      ${field("headers", { rows: 3, mono: true, hint: t("edit.json") })}
    </details>`;
}
