// One attempt: how it was judged, why, how long it took, and the reply as it was received.
import { number, t } from "../i18n.js";
import { duration, local, size } from "../time.js";
import { html } from "../vendor/htm-preact.js";
import { None, Raw, Said, When } from "./bits.js";
import { Phases } from "./phases.js";
import { Verdict } from "./timeline.js";

export function AttemptDetail({ attempt }) {
  return html`<dl class="facts">
      <dt>${t("attempt.verdict")}</dt>
      <dd><${Verdict} attempt=${attempt} /></dd>
      ${attempt.reason && html`<dt>${t("attempt.reason")}</dt><dd><${Said} text=${attempt.reason} /></dd>`}
      ${
        attempt.kind &&
        attempt.kind !== "reply" &&
        html`<dt>${t("attempt.kind")}</dt>
          <dd>${t(`kind.${attempt.kind}`)} <code>${attempt.kind}</code></dd>`
      }
      <dt>${t("attempt.status_code")}</dt>
      <dd>${attempt.status_code ?? html`<${None} />`}</dd>
      <dt>${t("attempt.started")}</dt>
      <dd><${Began} at=${attempt.started_at} /></dd>
      <dt>${t("attempt.duration")}</dt>
      <dd>${attempt.duration_ms === null ? html`<${None} />` : duration(attempt.duration_ms / 1000)}</dd>
      ${attempt.phases && html`<dt>${t("attempt.phases")}</dt><dd><${Phases} attempt=${attempt} /></dd>`}
      ${attempt.wait !== null && html`<dt>${t("attempt.wait")}</dt><dd>${duration(attempt.wait)}</dd>`}
    </dl>
    <h3>${t("attempt.reply")}</h3>
    <${Reply} attempt=${attempt} />`;
}

function Began({ at }) {
  return at ? html`${local(at)} (<${When} time=${at} />)` : t("attempt.started.unknown");
}

function Reply({ attempt: { reply, reply_bytes, reply_truncated } }) {
  if (reply === null) return html`<p class="hint">${t("reply.none")}</p>`;
  if (reply === "" && !reply_truncated) return html`<p class="hint">${t("reply.empty")}</p>`;
  return html`${reply_truncated && html`<p class="notice">${t("reply.truncated", { shown: number(reply.length), bytes: cut(reply_bytes) })}</p>`}
    <${Raw} text=${reply} label=${t("attempt.reply")} />`;
}

function cut(bytes) {
  return bytes === null ? "" : t("reply.of", { size: size(bytes) });
}
