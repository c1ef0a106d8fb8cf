// One task: where it stands in one sentence, what can be done now, and everything that has happened to it.
import { askForText } from "../api.js";
import { ActionButton, isFinal, legal } from "../components/actions.js";
import { Copy, Foreign, Loaded, Page, Refusal, Status } from "../components/bits.js";
import { useAttempts } from "../components/earlier.js";
import { EditAndResend } from "../components/edit.js";
import { AttemptDetail } from "../components/attempt.js";
import { Facts, Notices, Request, Trail } from "../components/taskparts.js";
import { Timeline, nameOf } from "../components/timeline.js";
import { sentence } from "../components/sentence.js";
import { t } from "../i18n.js";
import { members } from "../json.js";
import { place, to } from "../router.js";
import { useNow } from "../time.js";
import { html, useState } from "../vendor/htm-preact.js";
import { useLoaded } from "../work.js";

const EVERY = 2;

/** The task as parsed; `raw`: its members as the text that came, which is what is shown of bodies. */
async function load(id, signal) {
  const text = await askForText("GET", `v1/tasks/${encodeURIComponent(id)}`, { signal, has: ["task_id", "attempts[]"] });
  return { ...JSON.parse(text), raw: members(text) };
}

export default function Task({ id }) {
  const found = useLoaded((signal) => load(id, signal), [id], EVERY);
  return html`<${Page} title=${t("task.title")} aside=${html`<code>${id}</code><${Copy} text=${id} />`}>
    <${Loaded} from=${found}>${(task) => html`<${Whole} task=${task} after=${found.again} />`}</${Loaded}>
  </${Page}>`;
}

function Whole({ task: shown, after }) {
  const { query } = place.use();
  const earlier = useAttempts(shown);
  const task = { ...shown, attempts: earlier.attempts };
  const newest = task.attempts.at(-1);
  const chosen = task.attempts.find((attempt) => nameOf(attempt) === query.attempt) ?? newest;
  return html`
    <${Standing} task=${task} />
    <${Actions} task=${task} after=${after} />
    <${Facts} task=${task} />
    <div class="split">
      <section aria-labelledby="timeline">
        <h2 id="timeline">${t("task.timeline")}</h2>
        <${Timeline} task=${task} chosen=${chosen} earlier=${earlier} />
      </section>
      <section aria-labelledby="attempt">
        <h2 id="attempt">${chosen ? t("attempt.title", { n: chosen.number }) : t("attempt.none")}</h2>
        ${chosen ? html`<${AttemptDetail} attempt=${chosen} key=${nameOf(chosen)} />` : html`<p class="hint">${t("attempt.none.text")}</p>`}
      </section>
    </div>
    <${Request} task=${task} />
    <${Notices} notices=${task.notices} />
    ${task.notices_left_out > 0 && html`<p class="hint">${t("task.notices_left_out", { n: task.notices_left_out })}</p>`}
    <${Trail} audits=${task.audit} />
    ${task.audit_left_out > 0 && html`<p class="hint">${t("task.audit_left_out", { n: task.audit_left_out })}</p>`}
  `;
}

function Standing({ task }) {
  const present = useNow();
  return html`<div class="standing ${task.status}">
    <${Status} task=${task} />
    <p class="lead"><${Foreign} text=${sentence(task, present)} /></p>
  </div>`;
}

function Actions({ task, after }) {
  const [problem, setProblem] = useState(null);
  const [edits, setEdits] = useState(false);
  const actions = legal(task);
  return html`<div class="actions">
    <div class="buttons">
      ${task.held && html`<a class="button main" href=${to(["targets"])}>${t("held.target")}</a>`}
      ${actions.map(
        (action, index) => html`<${ActionButton}
        key=${action}
        task=${task}
        action=${action}
        main=${index === 0 && action !== "cancel"}
        after=${after}
        refused=${setProblem}
      />`,
      )}
      ${actions.length > 0 && isFinal(task) && html`<button type="button" onClick=${() => setEdits(true)}>${t("edit")}</button>`}
    </div>
    <${Refusal} problem=${problem} />
    ${edits && html`<${EditAndResend} task=${task} onDone=${after} onClose=${() => setEdits(false)} />`}
  </div>`;
}
