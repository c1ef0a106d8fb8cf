// All attempts of a task, the newest first, with the waits between them and the rounds that they belong to.
import { number, t } from "../i18n.js";
import { here } from "../router.js";
import { duration } from "../time.js";
import { html } from "../vendor/htm-preact.js";
import { Badge, Countdown, Refusal, Said, When } from "./bits.js";
import { isFinal } from "./actions.js";
import { PhaseBar } from "./phases.js";

/** How the URL names an attempt: round and number. */
export function nameOf(attempt) {
  return `${attempt.round}.${attempt.number}`;
}

export function Timeline({ task, chosen, earlier }) {
  const attempts = [...task.attempts].reverse();
  return html`<ol class="timeline">
    <${Coming} task=${task} />
    ${attempts.map(
      (attempt, index) => html`<${Event}
      key=${nameOf(attempt)}
      attempt=${attempt}
      before=${attempts[index + 1]}
      chosen=${attempt === chosen}
    />`,
    )}
    ${earlier.fetch && html`<li class="mark"><${Earlier} earlier=${earlier} /></li>`}
    <li class="mark"><span>${t("timeline.accepted")}</span> <${When} time=${task.created_at} /></li>
  </ol>`;
}

function Earlier({ earlier }) {
  return html`<button type="button" disabled=${earlier.busy} onClick=${() => earlier.fetch()}>${t("timeline.earlier")}</button>
    <${Refusal} problem=${earlier.problem} />`;
}

/** What is still to come. */
function Coming({ task }) {
  if (isFinal(task) || !task.next_try_at || task.attempts.some((attempt) => !attempt.verdict)) return null;
  return html`<li class="mark coming">${t("timeline.next")} <${Countdown} until=${task.next_try_at} /></li>`;
}

function Event({ attempt, before, chosen }) {
  const opens = attempt.round > 1 && before?.round !== attempt.round;
  return html`<li>
      <a
        class="event ${attempt.verdict ?? "running"}"
        href=${here({ attempt: nameOf(attempt) })}
        aria-current=${chosen ? "true" : null}
      >
        <span class="head">
          <strong>${number(attempt.number)}</strong> <${Verdict} attempt=${attempt} />
          ${attempt.status_code && html`<code>${attempt.status_code}</code>`}
        </span>
        <span class="body">${attempt.verdict !== "delivered" && attempt.reason && html`<${Said} text=${attempt.reason} />`}</span>
        <small>
          ${attempt.started_at && html`<${When} time=${attempt.started_at} />`}
          ${attempt.duration_ms !== null && ` · ${duration(attempt.duration_ms / 1000)}`}
        </small>
        <${PhaseBar} attempt=${attempt} />
      </a>
    </li>
    ${
      opens
        ? html`<li class="mark round">${t("timeline.round", { n: attempt.round })}</li>`
        : before && html`<li class="mark wait">${waited(before)}</li>`
    }`;
}

/** The wait that was decided after an attempt. */
function waited(attempt) {
  return attempt.wait === null ? "" : t("timeline.waited", { time: duration(attempt.wait) });
}

export function Verdict({ attempt }) {
  const verdict = attempt.verdict ?? "running";
  return html`<${Badge} of=${verdict} word=${t(`verdict.${verdict}`)} means=${t(`verdict.${verdict}.means`)} />`;
}
