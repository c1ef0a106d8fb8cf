// Making or changing a channel: paste the address, and what sort it is shows itself.
import { ask } from "../api.js";
import { given } from "../given.js";
import { t } from "../i18n.js";
import { html, useRef } from "../vendor/htm-preact.js";
import { useAction, useLoaded } from "../work.js";
import { say } from "./announce.js";
import { Loaded, Raw, Refusal } from "./bits.js";
import { Buttons, Dialog } from "./dialog.js";
import { Check, Checks, Input, Select, names, useForm } from "./fields.js";

const KINDS = ["dingtalk", "wecom", "feishu", "lark", "slack", "email", "webhook"];
const SIGNED = ["dingtalk", "feishu", "lark"];
const EVENTS = ["exhausted", "breaker_opened", "breaker_closed"];
const VARIABLES = [
  "taskId",
  "url",
  "createTime",
  "lastModifiedDate",
  "sourceAppName",
  "targetAppName",
  "callCount",
  "limitCallCount",
];

const HOSTS = [
  [/^mailto:/i, "email"],
  [/^https:\/\/oapi\.dingtalk\.com\//i, "dingtalk"],
  [/^https:\/\/qyapi\.weixin\.qq\.com\//i, "wecom"],
  [/^https:\/\/open\.feishu\.cn\//i, "feishu"],
  [/^https:\/\/open\.larksuite\.com\//i, "lark"],
  [/^https:\/\/hooks\.slack\.com\//i, "slack"],
  [/^https?:\/\/(127\.0\.0\.1|localhost|\[::1\])(:\d+)?\/(dingtalk|wecom|feishu|slack)/i, null],
];

/** The sort of robot that an address is of; null when it could be anything. The flaky partner's robots say it by path. */
export function kindOf(url) {
  const found = HOSTS.map(([pattern, kind]) => [url.match(pattern), kind]).find(([match]) => match);
  return found ? (found[1] ?? found[0][3]) : null;
}

function fromChannel(channel) {
  const first = {
    kind: "webhook",
    memo: "",
    template: "",
    events: ["exhausted"],
    gather: 60,
    enabled: true,
    source_apps: [],
    target_apps: [],
    content_type: "",
    ...channel,
  };
  return {
    ...first,
    url: "",
    secret: "",
    gather: String(first.gather),
    source_apps: first.source_apps.join(", "),
    target_apps: first.target_apps.join(", "),
  };
}

/** What is sent. An address or a secret that is left empty stays as it was. */
function toChannel(values) {
  const { kind, memo, template, events, enabled, url, secret, content_type } = values;
  return {
    kind,
    memo,
    template,
    events,
    enabled,
    ...given({ url: url.trim(), secret, content_type }),
    gather: Number(values.gather),
    source_apps: names(values.source_apps),
    target_apps: names(values.target_apps),
  };
}

/** `channel`: the one that is changed; {} for a new one. */
export function ChannelForm({ channel, onDone, onClose }) {
  const id = channel.channel_id;
  const form = useForm(fromChannel(channel));
  const { values, bind } = form;
  const action = useAction(() =>
    ask(id ? "PUT" : "POST", id ? `v1/channels/${id}` : "v1/channels", { body: toChannel(values), has: ["channel_id"] }),
  );
  const submit = async (event) => {
    event.preventDefault();
    if ((await action.run()) === undefined) return;
    say(t("channels.saved"));
    onDone();
    onClose();
  };
  const problem = action.problem;
  return html`<${Dialog} title=${t(id ? "channels.change" : "channels.add")} onClose=${onClose} wide>
    <form onSubmit=${submit}>
      <${Address} form=${form} kept=${channel.url} problem=${problem} />
      ${
        SIGNED.includes(values.kind) &&
        html`<${Input}
        of=${bind("secret")}
        label=${t("channels.secret")}
        hint=${t(channel.has_secret ? "channels.secret.kept" : "channels.secret.hint")}
        autocomplete="off"
        problem=${problem}
      />`
      }
      <${Input} of=${bind("memo")} label=${t("channels.memo")} problem=${problem} />
      <${Checks}
        of=${bind("events")}
        label=${t("channels.events")}
        choices=${EVENTS.map((event) => [event, t(`event.${event}`)])}
      />
      <div class="grid">
        <${Input}
          of=${bind("source_apps")}
          label=${t("channels.source_apps")}
          hint=${t("channels.apps.hint")}
          problem=${problem}
        />
        <${Input}
          of=${bind("target_apps")}
          label=${t("channels.target_apps")}
          hint=${t("channels.apps.hint")}
          problem=${problem}
        />
        <${Input}
          of=${bind("gather")}
          label=${t("channels.gather.label")}
          hint=${t("channels.gather.hint")}
          type="number"
          min="0"
          max="3600"
          problem=${problem}
          required
        />
      </div>
      <${Template} form=${form} problem=${problem} />
      <${Check} of=${bind("enabled")} label=${t("channels.enabled")} />
      <${Refusal} problem=${problem} />
      <${Buttons} yes=${t("save")} busy=${action.busy} onClose=${onClose} />
    </form>
  </${Dialog}>`;
}

function Address({ form, kept, problem }) {
  const { values, bind, set } = form;
  const url = bind("url");
  const found = kindOf(values.url.trim());
  const paste = { ...url, set: (value) => set({ url: value, kind: kindOf(value.trim()) ?? values.kind }) };
  return html`<${Input}
    of=${paste}
    label=${t("channels.url")}
    hint=${kept ? t("channels.url.kept", { url: kept }) : t("channels.url.hint")}
    class="mono"
    required=${!kept}
    autocomplete="off"
    problem=${problem}
  />
    <p class="result good" role="status">${found && t("channels.recognised", { kind: t(`channel.${found}`) })}</p>
    <${Select}
      of=${bind("kind")}
      label=${t("channels.kind")}
      choices=${KINDS.map((kind) => [kind, t(`channel.${kind}`)])}
    />`;
}

/** The editor: a click puts a variable where the cursor stands; what would be said is shown beneath. */
function Template({ form, problem }) {
  const { values, bind, set } = form;
  const box = useRef(null);
  const insert = (name) => {
    const area = box.current.querySelector("textarea");
    area.setRangeText(`\${${name}}`, area.selectionStart, area.selectionEnd, "end");
    set({ template: area.value });
    area.focus();
  };
  return html`<details class="template" open=${values.template !== ""}>
    <summary>${t("channels.template")}</summary>
    <div ref=${box}>
      <${Input}
        of=${bind("template")}
        label=${t("channels.template.label")}
        hint=${t("channels.template.hint")}
        rows="6"
        mono
        problem=${problem}
      />
      <div class="chips" role="group" aria-label=${t("channels.variables")}>
        ${VARIABLES.map(
          (
            name,
          ) => html`<button type="button" class="chip" onClick=${() => insert(name)} title=${t(`variable.${name}`)}>
            ${`\${${name}}`}
          </button>`,
        )}
      </div>
      <${Preview} values=${values} />
    </div>
  </details>`;
}

const PAUSE = 400;

/** What would be sent of a task, as the API fills it in; or what is wrong with the template. */
function Preview({ values: { kind, template, content_type } }) {
  const body = given({ kind, template, content_type });
  const load = async (signal) => {
    await new Promise((resolve) => setTimeout(resolve, PAUSE));
    signal.throwIfAborted();
    return ask("POST", "v1/channels/preview", { body, signal, has: ["text"] });
  };
  const preview = useLoaded(load, [body], 0, { keeps: true });
  return html`<h3>${t("channels.preview")}</h3>
    <${Loaded} from=${preview}>
      ${({ text }) => text && html`<${Raw} text=${text} label=${t("channels.preview")} />`}
    </${Loaded}>`;
}
