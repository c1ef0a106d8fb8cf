// Resending all that match, or those that are ticked: counted first, then at a rate, with its progress, and a way to stop it.
import { ask, get, post } from "../api.js";
import { many, number, t } from "../i18n.js";
import { to } from "../router.js";
import { html, useState } from "../vendor/htm-preact.js";
import { useAction, useLoaded } from "../work.js";
import { Loaded, Refusal, Why } from "./bits.js";
import { Buttons, Dialog } from "./dialog.js";
import { Input, useForm } from "./fields.js";

/** What a bulk resend can filter by. */
export const SIEVE = ["status", "source_app", "target_app", "target", "since", "until", "q", "error"];

const FINAL = ["delivered", "exhausted", "cancelled"];
const NOT_FILTERS = ["cursor", "limit"];

/** Whether a bulk resend can be asked for just what the list shows: tasks that are over, by filters that it knows. */
export function isSievable(query) {
  const asked = Object.keys(query).filter((name) => query[name] && !NOT_FILTERS.includes(name));
  return FINAL.includes(query.status) && asked.every((name) => SIEVE.includes(name));
}

/** `which`: `{filter}` or `{task_ids}`, as the API takes them. `begun` is called once it is under way. */
export function ResendMany({ which, begun = () => {}, onClose }) {
  const [resend, setResend] = useState(null);
  const title = t(which.filter ? "bulk.title" : "bulk.title.named");
  const begin = (started) => {
    setResend(started);
    begun();
  };
  if (resend) return html`<${Progress} title=${title} id=${resend.resend_id} onClose=${onClose} />`;
  return html`<${Dialog} title=${title} onClose=${onClose}>
    <${Ask} which=${which} begin=${begin} onClose=${onClose} />
  </${Dialog}>`;
}

function Ask({ which, begin, onClose }) {
  const count = useLoaded((signal) => ask("POST", "v1/resends", { body: { ...which, dry_run: true }, signal, has: ["count"] }), []);
  const { values, bind } = useForm({ rate: "10" });
  const action = useAction(() => post("v1/resends", { ...which, rate: Number(values.rate) }, ["resend_id"]));
  const submit = async (event) => {
    event.preventDefault();
    const begun = await action.run();
    if (begun) begin(begun);
  };
  return html`<form onSubmit=${submit}>
    ${which.filter && html`<${Sieve} filter=${which.filter} />`}
    <${Loaded} from=${count}>
      ${(
        size,
      ) => html`<p class="lead" role="status">${many(size.exact ? "bulk.count" : "bulk.count_least", size.count)}</p>
        <${Input}
          of=${bind("rate")}
          label=${t("bulk.rate")}
          hint=${t("bulk.rate.hint")}
          type="number"
          min="0.01"
          max="1000"
          step="any"
          problem=${action.problem}
          required
        />
        <${Refusal} problem=${action.problem} />
        <${Buttons} yes=${t("bulk.begin")} busy=${action.busy || size.count === 0} onClose=${onClose} />`}
    </${Loaded}>
  </form>`;
}

/** Which tasks, in words. */
export function Sieve({ filter }) {
  const shown = Object.entries({ status: "exhausted", ...filter });
  return html`<dl class="facts">
    ${shown.map(([name, value]) => html`<dt>${t(`filter.${name}`)}</dt><dd>${wordOf(name, value)}</dd>`)}
  </dl>`;
}

/** What a filter asks for, in words. */
export function wordOf(name, value) {
  if (name === "status") return t(`status.${value}`);
  return name === "error" ? html`<${Why} error=${value} />` : value;
}

/** How far it is. To close the dialog does not stop it. */
function Progress({ title, id, onClose }) {
  const found = useLoaded((signal) => get(`v1/resends/${id}`, {}, signal, ["resend_id"]), [], 1);
  const stop = useAction(() => ask("DELETE", `v1/resends/${id}`, { has: ["resend_id"] }));
  const halt = async () => {
    await stop.run();
    found.again();
  };
  return html`<${Dialog} title=${title} onClose=${onClose}>
    <${Loaded} from=${found}>
      ${(it) => html`<${Figures} it=${it} />
        <${Refusal} problem=${stop.problem} />
        <div class="buttons">
          ${it.status === "running" && html`<button type="button" class="danger" disabled=${stop.busy} onClick=${halt}>${t("bulk.stop")}</button>`}
          <button type="button" onClick=${onClose}>${t("close")}</button>
          <a href=${to(["resends"])}>${t("resends.title")}</a>
        </div>
        ${it.status === "running" && html`<p class="hint">${t("bulk.goes_on")}</p>`}`}
    </${Loaded}>
  </${Dialog}>`;
}

export function Figures({ it }) {
  return html`<div role="status">
    <p class="lead">${t(`resend.${it.status}`)}</p>
    <dl class="facts">
      ${["matched", "resent", "passed_over", "failed"].map((name) => html`<dt>${t(`resends.${name}`)}</dt><dd>${number(it[name])}</dd>`)}
    </dl>
  </div>`;
}
