// Channels: where humans are told. One is made by pasting a robot's address.
import { getAll, post, remove } from "../api.js";
import { say } from "../components/announce.js";
import { Badge, Empty, Loaded, Page, Refusal, Said, When } from "../components/bits.js";
import { ChannelForm } from "../components/channelform.js";
import { Confirm } from "../components/dialog.js";
import { list, t } from "../i18n.js";
import { may } from "../session.js";
import { duration } from "../time.js";
import { html, useState } from "../vendor/htm-preact.js";
import { useAction, useLoaded } from "../work.js";

const EVERY = 15;

export default function Channels() {
  const found = useLoaded((signal) => getAll("v1/channels", "channels", signal), [], EVERY);
  const [edited, setEdited] = useState(null);
  const add =
    may("admin") &&
    html`<button type="button" class="main" onClick=${() => setEdited({})}>${t("channels.add")}</button>`;
  return html`<${Page} title=${t("channels.title")} aside=${add}>
    <p class="hint">${t("channels.text")}</p>
    <${Loaded} from=${found}>
      ${({ channels }) =>
        channels.length
          ? html`<ul class="cards">${channels.map((it) => html`<${Card} key=${it.channel_id} channel=${it} edit=${() => setEdited(it)} after=${found.again} />`)}</ul>`
          : html`<${Empty} kind="new" title=${t("channels.none")}><p>${t("channels.none.text")}</p></${Empty}>`}
    </${Loaded}>
    ${edited && html`<${ChannelForm} channel=${edited} onDone=${found.again} onClose=${() => setEdited(null)} />`}
  </${Page}>`;
}

function Card({ channel, edit, after }) {
  return html`<li class="card" aria-label=${t(`channel.${channel.kind}`)}>
    <h2>${t(`channel.${channel.kind}`)} <${OnOrOff} on=${channel.enabled} /></h2>
    ${channel.memo && html`<p>${channel.memo}</p>`}
    <dl class="facts">
      <dt>${t("channels.url")}</dt>
      <dd><code>${channel.url}</code> ${channel.has_secret && html`<small>${t("channels.signed")}</small>`}</dd>
      <dt>${t("channels.events")}</dt>
      <dd>${list(channel.events.map((event) => t(`event.${event}`)))}</dd>
      <dt>${t("channels.of")}</dt>
      <dd>${apps(channel)}</dd>
      <dt>${t("channels.gather")}</dt>
      <dd>${channel.gather ? t("channels.gather.every", { time: duration(channel.gather) }) : t("channels.gather.each")}</dd>
      <dt>${t("channels.made")}</dt>
      <dd><${When} time=${channel.created_at} /></dd>
    </dl>
    <${Does} channel=${channel} edit=${edit} after=${after} />
  </li>`;
}

function OnOrOff({ on }) {
  return html`<${Badge} of=${on ? "delivered" : "cancelled"} word=${t(on ? "channels.on" : "channels.off")} />`;
}

function apps({ source_apps, target_apps }) {
  const said = [
    source_apps.length && `${t("filter.source_app")}: ${list(source_apps)}`,
    target_apps.length && `${t("filter.target_app")}: ${list(target_apps)}`,
  ].filter(Boolean);
  return said.length ? list(said) : t("channels.of.all");
}

function Does({ channel, edit, after }) {
  const [removes, setRemoves] = useState(false);
  return html`<div class="buttons">
      ${may("operate") && html`<${TestButton} channel=${channel} />`}
      ${
        may("admin") &&
        html`<button type="button" onClick=${edit}>${t("change")}</button>
          <button type="button" class="danger" onClick=${() => setRemoves(true)}>${t("remove")}</button>`
      }
    </div>
    ${
      removes &&
      html`<${Confirm}
        title=${t("channels.remove")}
        yes=${t("remove")}
        danger
        work=${() => remove(`v1/channels/${channel.channel_id}`)}
        onDone=${after}
        onClose=${() => setRemoves(false)}
      >
      <p>${t("channels.remove.text", { kind: t(`channel.${channel.kind}`), url: channel.url })}</p>
    </${Confirm}>`
    }`;
}

function said({ delivered }) {
  return t(delivered ? "channels.test.taken" : "channels.test.refused");
}

/** Sends 测试, and shows what the robot answered. */
function TestButton({ channel }) {
  const test = useAction(() => post(`v1/channels/${channel.channel_id}/test`, {}, ["delivered"]));
  const [result, setResult] = useState(null);
  const click = async () => {
    setResult(null);
    const answer = await test.run();
    setResult(answer ?? null);
    if (answer) say(said(answer));
  };
  const word = t(test.busy ? "channels.test.sends" : "channels.test");
  return html`<button type="button" disabled=${test.busy} onClick=${click}>${word}</button>
    ${result && html`<p class="result ${result.delivered ? "good" : "bad"}">${said(result)} ${result.reason && html`<${Said} text=${result.reason} />`}</p>`}
    <${Refusal} problem=${test.problem} />`;
}
