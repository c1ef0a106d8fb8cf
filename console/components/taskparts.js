// The parts of a task's page below its timeline: what was submitted, who was told, what operators did.
import { list, number, speaks, t } from "../i18n.js";
import { isJson } from "../json.js";
import { to } from "../router.js";
import { told } from "../said.js";
import { duration, local } from "../time.js";
import { html } from "../vendor/htm-preact.js";
import { Badge, Foreign, None, Raw, Said, When } from "./bits.js";
import { Table } from "./table.js";

export function Facts({ task }) {
  return html`<dl class="facts wide">
    <dt>${t("task.request")}</dt>
    <dd class="url"><span class="method">${task.method}</span> <${Foreign} text=${task.url} /></dd>
    <dt>${t("task.target")}</dt>
    <dd><a href=${to(["tasks"], { target: task.target })}>${task.target}</a></dd>
    <dt>${t("task.apps")}</dt>
    <dd><${App} name="source_app" value=${task.source_app} /> → <${App} name="target_app" value=${task.target_app} /></dd>
    <dt>${t("task.attempts")}</dt>
    <dd>${t("task.attempts.of", { n: number(task.attempts_made), most: number(task.max_attempts), round: number(task.round) })}</dd>
    <dt>${t("task.accepted")}</dt>
    <dd>${local(task.created_at)} (<${When} time=${task.created_at} />)</dd>
    <dt>${t("task.submitted_by")}</dt>
    <dd><code>${task.submitted_by}</code></dd>
    ${task.next_try_at && html`<dt>${t("task.next")}</dt><dd>${local(task.next_try_at)}</dd>`}
    ${
      task.ordering_key &&
      html`<dt>${t("task.ordering_key")}</dt>
        <dd><code>${task.ordering_key}</code> ${t(`on_exhausted.${task.on_exhausted}`)}</dd>`
    }
    ${Object.entries(task.labels).map(([name, value]) => html`<dt>${t("task.label", { name })}</dt><dd><${Foreign} text=${value} /></dd>`)}
  </dl>`;
}

function App({ name, value }) {
  return value ? html`<a href=${to(["tasks"], { [name]: value })}>${value}</a>` : html`<${None} />`;
}

/** What is sent, and what is expected back. `raw` has bodies as they stand, digit by digit. */
export function Request({ task }) {
  const { raw } = task;
  return html`<section aria-labelledby="request">
    <h2 id="request">${t("task.request")}</h2>
    <div class="split">
      <div>
        <h3>${t("request.headers")}</h3>
        <${Headers} headers=${task.headers} contentType=${task.content_type} />
        ${hasMembers(task.params) && html`<h3>${t("request.params")}</h3><${Raw} text=${raw.params} label=${t("request.params")} />`}
        <h3>${t("request.body")}</h3>
        <${Body} text=${bodyText(task)} />
      </div>
      <div>
        <h3>${t("request.expect")}</h3>
        <ul class="rules">${rules(task.expect, raw).map((rule) => html`<li>${rule}</li>`)}</ul>
        <h3>${t("request.retry")}</h3>
        <${Policy} policy=${task.retry} timeout=${task.timeout} />
      </div>
    </div>
  </section>`;
}

function hasMembers(object) {
  return Object.keys(object ?? {}).length > 0;
}

/** The body as it is sent: a text as it is, anything else as its JSON stands. null: none. */
export function bodyText(task) {
  return typeof task.body === "string" ? task.body : task.body === null ? null : task.raw.body;
}

function Body({ text }) {
  if (text === null) return html`<p class="hint">${t("request.body.none")}</p>`;
  return html`<${Raw} text=${text} label=${t("request.body")} />`;
}

function Headers({ headers, contentType }) {
  const all = [...(contentType ? [["Content-Type", contentType]] : []), ...Object.entries(headers)];
  if (!all.length) return html`<p class="hint">${t("request.headers.none")}</p>`;
  return html`<dl class="facts">
    ${all.map(([name, value]) => html`<dt><code>${name}</code></dt><dd><code><${Foreign} text=${value} /></code></dd>`)}
  </dl>`;
}

function rules(expect, raw) {
  const found = [t("expect.status", { of: list(expect.status) })];
  for (const name of ["contains", "equals", "regex"])
    if (name in expect) found.push(html`${t(`expect.${name}`)} <code>${expect[name]}</code>`);
  if ("json" in expect)
    found.push(html`${t("expect.json")} <code>${isJson(raw.expect) ? JSON.stringify(expect.json) : raw.expect}</code>`);
  return found;
}

function Policy({ policy, timeout }) {
  const rest = ["max_attempts", "factor", "jitter"].filter(
    (name) => name in policy && !(name === "jitter" && !policy.jitter),
  );
  return html`<dl class="facts">
    <dt>${t("retry.backoff")}</dt>
    <dd>${waits(policy)}</dd>
    ${rest.map((name) => html`<dt>${t(`retry.${name}`)}</dt><dd>${number(policy[name])}</dd>`)}
    ${policy.give_up_on.length > 0 && html`<dt>${t("retry.give_up_on")}</dt><dd>${list(policy.give_up_on)}</dd>`}
    <dt>${t("retry.deadline")}</dt>
    <dd>${duration(policy.deadline)}</dd>
    <dt>${t("request.timeout")}</dt>
    <dd>${duration(timeout)}</dd>
  </dl>`;
}

function waits(policy) {
  if (policy.backoff === "schedule") return list(policy.schedule.map(duration));
  if (policy.backoff === "fixed") return t("retry.fixed", { initial: duration(policy.initial) });
  if (policy.backoff === "exponential")
    return t("retry.exponential", { initial: duration(policy.initial), cap: duration(policy.cap) });
  return html`<${None} />`;
}

/** Who was told that it is exhausted, and whether they took it. */
export function Notices({ notices }) {
  if (!notices.length) return null;
  return html`<section aria-labelledby="notices">
    <h2 id="notices">${t("notices.title")}</h2>
    <${Table} rows=${notices} id=${(it) => it.notice_id + it.channel_id} columns=${noticeColumns()} />
  </section>`;
}

function noticeColumns() {
  return [
    [t("notices.status"), (it) => html`<${Badge} of=${it.status} word=${t(`notice.${it.status}`)} />`],
    [t("notices.channel"), (it) => t(`channel.${it.kind}`)],
    [t("notices.tasks"), (it) => (it.tasks === null ? t("notices.gathers") : number(it.tasks)), "number"],
    [t("notices.tries"), (it) => number(it.tries), "number"],
    [t("notices.reason"), (it) => (it.reason ? html`<${Said} text=${it.reason} />` : html`<${None} />`)],
    [t("notices.when"), (it) => html`<${When} time=${it.ended_at ?? it.created_at} />`],
  ];
}

/** What operators did to it. */
export function Trail({ audits }) {
  if (!audits.length) return null;
  return html`<section aria-labelledby="trail">
    <h2 id="trail">${t("audit.title")}</h2>
    <ul class="trail">
      ${audits.map(
        (it) => html`<li>
          <strong>${it.actor}</strong> ${actionWord(it.action)} <${When} time=${it.at} />
          ${" "}<small>${it.address}</small> <${Details} of=${it.detail} />
        </li>`,
      )}
    </ul>
  </section>`;
}

export function actionWord(action) {
  return speaks(`does.${action}`) ? t(`does.${action}`) : html`<code>${action}</code>`;
}

/** What an action changed, from what to what, and the rest as JSON; of one that was refused, why. */
export function Details({ of }) {
  const { changes = {}, ...rest } = of.why ? { ...of, why: told(of.why) } : of;
  const changed = Object.entries(changes).map(
    ([name, it]) => `${name}: ${JSON.stringify(it.from)} → ${JSON.stringify(it.to)}`,
  );
  const lines = [...changed, ...(hasMembers(rest) ? [JSON.stringify(rest)] : [])];
  return lines.map((line) => html`<code class="detail">${line}</code> `);
}
