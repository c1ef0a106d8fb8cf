// Callers: machines that submit tasks. And the secrets by which receivers know that a delivery is ours.
import { getAll, post, remove } from "../api.js";
import { Empty, Loaded, None, Page, Refusal, When } from "../components/bits.js";
import { Buttons, Confirm, Dialog, Secret } from "../components/dialog.js";
import { Checks, Input, names, useForm } from "../components/fields.js";
import { Table } from "../components/table.js";
import { given } from "../given.js";
import { list, t } from "../i18n.js";
import { to } from "../router.js";
import { may } from "../session.js";
import { html, useState } from "../vendor/htm-preact.js";
import { useAction, useLoaded } from "../work.js";

const SCOPES = ["submit", "read", "resend"];

export default function Callers() {
  return html`<${Page} title=${t("callers.title")}>
    <${Keys} />
    <${SigningSecrets} />
  </${Page}>`;
}

function Keys() {
  return html`<${Made}
    name="keys"
    words=${{
      title: t("callers.keys"),
      text: t("callers.text"),
      add: t("callers.add"),
      none: t("callers.none"),
      made: t("callers.made"),
    }}
    load=${async (signal) => (await getAll("v1/callers", "callers", signal)).callers}
    id=${(it) => it.key_id}
    columns=${columns}
    New=${NewCaller}
    secrets=${({ key_id, secret }) => ({ key_id, secret })}
    main
  />`;
}

function SigningSecrets() {
  return html`<${Made}
    name="signing"
    words=${{
      title: t("signing.title"),
      text: t("signing.text"),
      add: t("signing.add"),
      none: t("signing.none"),
      made: t("signing.made"),
    }}
    load=${async (signal) => (await getAll("v1/signing-secrets", "signing_secrets", signal)).signing_secrets}
    id=${(it) => it.secret_id}
    columns=${secretColumns}
    New=${NewSecret}
    secrets=${({ source_app, secret }) => ({ [source_app]: secret })}
  />`;
}

/** What is made here, each with a secret that is shown once: the list of them, and the dialogs that make one and show it. */
function Made({ name, words, load, id, columns, New, secrets, main = false }) {
  const found = useLoaded(load, []);
  const [adds, setAdds] = useState(false);
  const [made, setMade] = useState(null);
  const done = (one) => {
    setMade(one);
    found.again();
  };
  return html`<section aria-labelledby=${name}>
    <div class="heading">
      <h2 id=${name}>${words.title}</h2>
      ${may("admin") && html`<button type="button" class=${main ? "main" : null} onClick=${() => setAdds(true)}>${words.add}</button>`}
    </div>
    <p class="hint">${words.text}</p>
    <${Loaded} from=${found}>
      ${(rows) =>
        html`<${Table}
          rows=${rows}
          id=${id}
          columns=${columns(found.again)}
          empty=${html`<${Empty} kind="new" title=${words.none} />`}
        />`}
    </${Loaded}>
    ${adds && html`<${New} onDone=${done} onClose=${() => setAdds(false)} />`}
    ${
      made &&
      html`<${Secret}
        title=${words.made}
        note=${t("secret.once")}
        values=${secrets(made)}
        onClose=${() => setMade(null)}
      />`
    }
  </section>`;
}

function columns(after) {
  return [
    [
      t("filter.source_app"),
      (it) => html`<a href=${to(["tasks"], { source_app: it.source_app })}>${it.source_app}</a>`,
    ],
    [t("callers.key_id"), (it) => html`<${Key} of=${it} />`],
    [t("callers.scopes"), (it) => list(it.scopes.map((scope) => t(`scope.${scope}`)))],
    [
      t("callers.networks"),
      (it) => (it.networks.length ? html`<code>${it.networks.join(", ")}</code>` : t("callers.everywhere")),
    ],
    [t("memo"), (it) => it.memo || html`<${None} />`],
    [t("made"), (it) => html`<${When} time=${it.created_at} /> <small>${it.created_by}</small>`],
    [
      "",
      (it) =>
        html`<${Remove}
          title=${t("callers.remove")}
          text=${t("callers.remove.text", it)}
          path=${`v1/callers/${it.key_id}`}
          after=${after}
        />`,
    ],
  ];
}

/** By what it is known: a client of the predecessor by its user name, any other by its key. */
function Key({ of: { key_id, user_name, fingerprint } }) {
  return html`<code>${key_id}</code>
    ${
      user_name
        ? html`<small>${t("callers.user_name")}: ${user_name}</small>`
        : html`<small title=${t("fingerprint")}>${fingerprint}</small>`
    }`;
}

function Remove({ title, text, path, after }) {
  const [asks, setAsks] = useState(false);
  if (!may("admin")) return null;
  return html`<button type="button" class="danger" onClick=${() => setAsks(true)}>${t("remove")}</button>
    ${
      asks &&
      html`<${Confirm}
        title=${title}
        yes=${t("remove")}
        danger
        work=${() => remove(path)}
        onDone=${after}
        onClose=${() => setAsks(false)}
      >
        <p>${text}</p>
      </${Confirm}>`
    }`;
}

/** What is sent: of a client of the predecessor its user name and password, of no other. */
function wanted({ user_name, password, networks, ...values }) {
  return { ...values, networks: names(networks), ...given({ user_name, password }) };
}

function NewCaller({ onDone, onClose }) {
  const { values, bind } = useForm({
    source_app: "",
    scopes: SCOPES,
    networks: "",
    memo: "",
    user_name: "",
    password: "",
  });
  const action = useAction(() => post("v1/callers", wanted(values), ["secret"]));
  const submit = async (event) => {
    event.preventDefault();
    const caller = await action.run();
    if (!caller) return;
    onClose();
    onDone(caller);
  };
  return html`<${Dialog} title=${t("callers.add")} onClose=${onClose}>
    <form onSubmit=${submit}>
      <${Input}
        of=${bind("source_app")}
        label=${t("filter.source_app")}
        hint=${t("callers.source_app.hint")}
        problem=${action.problem}
        required
      />
      <${Checks}
        of=${bind("scopes")}
        label=${t("callers.scopes")}
        choices=${SCOPES.map((scope) => [scope, t(`scope.${scope}`)])}
      />
      <${Input}
        of=${bind("networks")}
        label=${t("callers.networks")}
        hint=${t("callers.networks.hint")}
        problem=${action.problem}
      />
      <${Input} of=${bind("memo")} label=${t("memo")} problem=${action.problem} />
      <details>
        <summary>${t("callers.predecessor")}</summary>
        <p class="hint">${t("callers.predecessor.text")}</p>
        <${Input}
          of=${bind("user_name")}
          label=${t("callers.user_name")}
          autocomplete="off"
          problem=${action.problem}
        />
        <${Input}
          of=${bind("password")}
          label=${t("login.password")}
          type="password"
          autocomplete="new-password"
          problem=${action.problem}
        />
      </details>
      <${Refusal} problem=${action.problem} />
      <${Buttons} yes=${t("callers.add")} busy=${action.busy} onClose=${onClose} />
    </form>
  </${Dialog}>`;
}

function secretColumns(after) {
  return [
    [t("filter.source_app"), (it) => it.source_app],
    [t("fingerprint"), (it) => html`<code>${it.fingerprint}</code>`],
    [t("made"), (it) => html`<${When} time=${it.created_at} />`],
    [
      "",
      (it) =>
        html`<${Remove}
          title=${t("signing.remove")}
          text=${t("signing.remove.text", it)}
          path=${`v1/signing-secrets/${it.secret_id}`}
          after=${after}
        />`,
    ],
  ];
}

function NewSecret({ onDone, onClose }) {
  const { values, bind } = useForm({ source_app: "" });
  const action = useAction(() => post("v1/signing-secrets", values, ["secret"]));
  const submit = async (event) => {
    event.preventDefault();
    const secret = await action.run();
    if (!secret) return;
    onClose();
    onDone(secret);
  };
  return html`<${Dialog} title=${t("signing.add")} onClose=${onClose}>
    <form onSubmit=${submit}>
      <${Input}
        of=${bind("source_app")}
        label=${t("filter.source_app")}
        hint=${t("signing.hint")}
        problem=${action.problem}
        required
      />
      <${Refusal} problem=${action.problem} />
      <${Buttons} yes=${t("signing.add")} busy=${action.busy} onClose=${onClose} />
    </form>
  </${Dialog}>`;
}
