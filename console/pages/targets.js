// Targets: pause them, limit them, and see what their breakers say.
import { ask, getAll } from "../api.js";
import { say } from "../components/announce.js";
import { Badge, Countdown, Empty, Loaded, None, Page, Refusal, When } from "../components/bits.js";
import { Buttons, Confirm, Dialog } from "../components/dialog.js";
import { Check, Input, useForm } from "../components/fields.js";
import { Table } from "../components/table.js";
import { number, t } from "../i18n.js";
import { to } from "../router.js";
import { may } from "../session.js";
import { duration } from "../time.js";
import { html, useState } from "../vendor/htm-preact.js";
import { useAction, useLoaded } from "../work.js";

const EVERY = 3;
const COUNTED = 1000;
const BREAKER = { failure_share: 0.5, window: 60, least_attempts: 10, open_seconds: 30 };

function patch(target, changes) {
  return ask("PATCH", "v1/targets", { query: { target }, body: changes, has: ["target"] });
}

export default function Targets() {
  const found = useLoaded((signal) => getAll("v1/targets", "targets", signal), [], EVERY);
  const [adds, setAdds] = useState(false);
  const add =
    may("operate") &&
    html`<button type="button" class="main" onClick=${() => setAdds(true)}>${t("targets.add")}</button>`;
  return html`<${Page} title=${t("targets.title")} aside=${add}>
    <p class="hint">${t("targets.text")}</p>
    <${Loaded} from=${found}>
      ${({ targets }) =>
        html`<${Table}
          rows=${targets}
          id=${(it) => it.target}
          columns=${columns(found.again)}
          empty=${html`<${Empty} kind="well" title=${t("targets.none")}><p>${t("targets.none.text")}</p></${Empty}>`}
        />`}
    </${Loaded}>
    ${adds && html`<${Limits} onDone=${found.again} onClose=${() => setAdds(false)} />`}
  </${Page}>`;
}

function columns(after) {
  return [
    [t("task.target"), ({ target }) => html`<a href=${to(["tasks"], { target })}>${target}</a>`],
    [t("targets.state"), (it) => html`<${State} target=${it} />`],
    [t("targets.held"), (it) => html`<${Held} target=${it} />`, "number"],
    [
      t("targets.running"),
      (it) => unlessNull(it.max_concurrency, (most) => `${number(it.running)} / ${number(most)}`),
      "number",
    ],
    [
      t("targets.rate"),
      (it) => unlessNull(it.rate_per_second, (n) => t("targets.per_second", { n: number(n) })),
      "number",
    ],
    [t("targets.breaker"), (it) => unlessNull(it.breaker, (breaker) => html`<${Breaker} breaker=${breaker} />`)],
    [t("targets.changed"), (it) => html`<${When} time=${it.updated_at} /> <small>${it.updated_by}</small>`],
    ["", (it) => may("operate") && html`<${Does} target=${it} after=${after} />`],
  ];
}

function unlessNull(value, show) {
  return value === null ? html`<${None} />` : show(value);
}

/** How many tasks it holds, as a link to them. */
function Held({ target: { target, held, paused } }) {
  if (!held) return number(0);
  const behind = to(["tasks"], { target, held: paused ? "paused" : "" });
  return html`<a href=${behind}>${number(held)}${held >= COUNTED ? "+" : ""}</a>`;
}

function Does({ target, after }) {
  const [edits, setEdits] = useState(false);
  return html`<div class="buttons">
      <${PauseOrResume} target=${target} after=${after} />
      <button type="button" onClick=${() => setEdits(true)}>${t("targets.limits")}</button>
    </div>
    ${edits && html`<${Limits} target=${target} onDone=${after} onClose=${() => setEdits(false)} />`}`;
}

function State({ target }) {
  const breaker = target.breaker?.state ?? "closed";
  if (target.paused)
    return html`<${Badge} of="held" word=${t("targets.paused")} /> <small><${When} time=${target.paused_at} /></small>`;
  if (breaker !== "closed") return html`<${Badge} of="interrupted" word=${t(`breaker.${breaker}`)} />`;
  return html`<${Badge} of="delivered" word=${t("targets.open")} />`;
}

function Breaker({ breaker }) {
  const { failure_share, window, least_attempts, state, open_until } = breaker;
  const rule = { share: share(failure_share), window: duration(window), least: number(least_attempts) };
  return html`${t("breaker.rule", rule)}
    ${state === "open" && open_until && html` <small>${t("breaker.until")} <${Countdown} until=${open_until} /></small>`}`;
}

function share(part) {
  return `${number(Math.round(part * 100))} %`;
}

/** To pause asks first: it stops deliveries. To resume does not. */
function PauseOrResume({ target, after }) {
  const [asks, setAsks] = useState(false);
  const resume = useAction(() => patch(target.target, { paused: false }));
  const click = async () => {
    if ((await resume.run()) !== undefined) say(t("targets.resumed", target));
    after();
  };
  if (target.paused)
    return html`<button type="button" class="main" disabled=${resume.busy} onClick=${click}>${t("targets.resume")}</button>
      <${Refusal} problem=${resume.problem} />`;
  return html`<button type="button" onClick=${() => setAsks(true)}>${t("targets.pause")}</button>
    ${
      asks &&
      html`<${Confirm}
        title=${t("targets.pause")}
        yes=${t("targets.pause")}
        work=${() => patch(target.target, { paused: true })}
        onDone=${after}
        onClose=${() => setAsks(false)}
      >
      <p>${t("targets.pause.text", target)}</p>
    </${Confirm}>`
    }`;
}

/** What is set of a target; without one, of any that is named. */
function Limits({ target, onDone, onClose }) {
  const { values, bind } = useForm({ target: target?.target ?? "", paused: target?.paused ?? false, ...shown(target) });
  const action = useAction(() => patch(values.target.trim(), wanted(values)));
  const submit = async (event) => {
    event.preventDefault();
    if ((await action.run()) === undefined) return;
    say(t("targets.saved"));
    onDone();
    onClose();
  };
  const field = (name, hint) =>
    html`<${Input}
      of=${bind(name)}
      label=${t(`limits.${name}`)}
      hint=${hint}
      type="number"
      step="any"
      min="0"
      problem=${action.problem}
    />`;
  const breaker = (name) =>
    html`<${Input}
      of=${bind(name)}
      label=${t(`breaker.${name}`)}
      type="number"
      step="any"
      min="0"
      pointer="/breaker/${name}"
      problem=${action.problem}
      required
    />`;
  return html`<${Dialog} title=${t("targets.limits")} onClose=${onClose}>
    <form onSubmit=${submit}>
      <${Input}
        of=${bind("target")}
        label=${t("task.target")}
        placeholder="https://partner.example:443"
        readonly=${Boolean(target)}
        pointer="query:target"
        problem=${action.problem}
        required
      />
      <${Check} of=${bind("paused")} label=${t("targets.paused.label")} />
      ${field("max_concurrency", t("limits.empty"))} ${field("rate_per_second", t("limits.empty"))}
      <${Check} of=${bind("breaks")} label=${t("breaker.on")} />
      ${values.breaks && html`<div class="grid">${Object.keys(BREAKER).map(breaker)}</div>`}
      <${Refusal} problem=${action.problem} />
      <${Buttons} yes=${t("save")} busy=${action.busy} onClose=${onClose} />
    </form>
  </${Dialog}>`;
}

function shown(target) {
  const breaker = { ...BREAKER, ...target?.breaker };
  const numbers = Object.fromEntries(Object.keys(BREAKER).map((name) => [name, String(breaker[name])]));
  return {
    max_concurrency: text(target?.max_concurrency),
    rate_per_second: text(target?.rate_per_second),
    breaks: Boolean(target?.breaker),
    ...numbers,
  };
}

function text(value) {
  return value === null || value === undefined ? "" : String(value);
}

function wanted(values) {
  const breaker = Object.fromEntries(Object.keys(BREAKER).map((name) => [name, Number(values[name])]));
  return {
    paused: values.paused,
    max_concurrency: amount(values.max_concurrency),
    rate_per_second: amount(values.rate_per_second),
    breaker: values.breaks ? breaker : null,
  };
}

function amount(text) {
  return text === "" ? null : Number(text);
}
