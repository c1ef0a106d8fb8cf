// Operators: humans with a login, and what each may do.
import { ask, get, post, remove } from "../api.js";
import { say } from "../components/announce.js";
import { Badge, Empty, Loaded, Page, Refusal, When } from "../components/bits.js";
import { Buttons, Confirm, Dialog } from "../components/dialog.js";
import { Check, Input, Select, useForm } from "../components/fields.js";
import { Table } from "../components/table.js";
import { given } from "../given.js";
import { t } from "../i18n.js";
import { may, session } from "../session.js";
import { html, useState } from "../vendor/htm-preact.js";
import { useAction, useLoaded } from "../work.js";

const ROLES = ["viewer", "operator", "admin"];

function at(name) {
  return `v1/operators/${encodeURIComponent(name)}`;
}

export default function Operators() {
  const found = useLoaded((signal) => get("v1/operators", {}, signal, ["operators[]"]), []);
  const [edited, setEdited] = useState(null);
  const add =
    may("admin") &&
    html`<button type="button" class="main" onClick=${() => setEdited({})}>${t("operators.add")}</button>`;
  return html`<${Page} title=${t("operators.title")} aside=${add}>
    <dl class="facts">${ROLES.map((role) => html`<dt>${t(`role.${role}`)}</dt><dd>${t(`role.${role}.may`)}</dd>`)}</dl>
    <${Loaded} from=${found}>
      ${({ operators }) =>
        html`<${Table}
          rows=${operators}
          id=${(it) => it.name}
          columns=${columns(setEdited, found.again)}
          empty=${html`<${Empty} kind="new" title=${t("operators.none")} />`}
        />`}
    </${Loaded}>
    ${edited && html`<${OperatorForm} operator=${edited} onDone=${found.again} onClose=${() => setEdited(null)} />`}
  </${Page}>`;
}

function columns(edit, after) {
  return [
    [
      t("operators.name"),
      (it) => html`${it.name} ${it.name === session.get().name && html`<small>${t("operators.you")}</small>`}`,
    ],
    [t("operators.role"), (it) => t(`role.${it.role}`)],
    [t("operators.state"), (it) => html`<${State} operator=${it} />`],
    [t("made"), (it) => html`<${When} time=${it.created_at} /> <small>${it.created_by}</small>`],
    ["", (it) => may("admin") && html`<${Does} operator=${it} edit=${edit} after=${after} />`],
  ];
}

function State({ operator: { disabled } }) {
  return disabled
    ? html`<${Badge} of="cancelled" word=${t("operators.disabled")} />`
    : html`<${Badge} of="delivered" word=${t("operators.active")} />`;
}

function Does({ operator, edit, after }) {
  return html`<div class="buttons">
    <button type="button" onClick=${() => edit(operator)}>${t("change")}</button>
    <${Remove} operator=${operator} after=${after} />
  </div>`;
}

function Remove({ operator, after }) {
  const [asks, setAsks] = useState(false);
  return html`<button type="button" class="danger" onClick=${() => setAsks(true)}>${t("remove")}</button>
    ${
      asks &&
      html`<${Confirm}
        title=${t("operators.remove")}
        yes=${t("remove")}
        danger
        work=${() => remove(at(operator.name))}
        onDone=${after}
        onClose=${() => setAsks(false)}
      >
        <p>${t("operators.remove.text", operator)}</p>
      </${Confirm}>`
    }`;
}

/** `operator`: the one that is changed; {} for a new one. */
function OperatorForm({ operator, onDone, onClose }) {
  const { values, bind } = useForm({
    name: operator.name ?? "",
    role: operator.role ?? "operator",
    disabled: operator.disabled ?? false,
    password: "",
  });
  const { name, role, disabled, password } = values;
  const change = () => ask("PATCH", at(name), { body: { role, disabled, ...given({ password }) }, has: ["name"] });
  const action = useAction(() => (operator.name ? change() : post("v1/operators", { name, role, password }, ["name"])));
  const submit = async (event) => {
    event.preventDefault();
    if ((await action.run()) === undefined) return;
    say(t("operators.saved"));
    onDone();
    onClose();
  };
  return html`<${Dialog} title=${t(operator.name ? "operators.change" : "operators.add")} onClose=${onClose}>
    <form onSubmit=${submit}>
      <${Input}
        of=${bind("name")}
        label=${t("operators.name")}
        autocomplete="off"
        readonly=${Boolean(operator.name)}
        problem=${action.problem}
        required
      />
      <${Select}
        of=${bind("role")}
        label=${t("operators.role")}
        choices=${ROLES.map((it) => [it, t(`role.${it}`)])}
        hint=${t(`role.${role}.may`)}
      />
      <${Input}
        of=${bind("password")}
        label=${t("password.new")}
        type="password"
        autocomplete="new-password"
        hint=${operator.name ? t("operators.password.kept") : ""}
        problem=${action.problem}
        required=${!operator.name}
      />
      ${operator.name && html`<${Check} of=${bind("disabled")} label=${t("operators.disable")} />`}
      <${Refusal} problem=${action.problem} />
      <${Buttons} yes=${t("save")} busy=${action.busy} onClose=${onClose} />
    </form>
  </${Dialog}>`;
}
