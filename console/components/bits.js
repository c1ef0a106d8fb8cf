// The small things that every page uses.
import { isFocusFree } from "../focus.js";
import { language, speaks, t } from "../i18n.js";
import { told } from "../said.js";
import { duration, exact, relative, useNow } from "../time.js";
import { Problem } from "../api.js";
import { html, useEffect, useErrorBoundary, useRef, useState } from "../vendor/htm-preact.js";
import { say } from "./announce.js";
import { Icon } from "./icon.js";

/** A moment: "3 min. ago", with the exact time on hover. */
export function When({ time }) {
  const present = useNow();
  return time ? html`<time datetime=${time} title=${exact(time)}>${relative(time, present)}</time>` : html`<${None} />`;
}

/** What is left until a moment, counting down; a word once it has come. */
export function Countdown({ until, word = t("time.now") }) {
  const seconds = (Date.parse(until) - useNow()) / 1000;
  const shown = seconds < 1 ? word : duration(Math.round(seconds));
  return html`<time class="countdown" datetime=${until} title=${exact(until)}>${shown}</time>`;
}

/** Nothing, as a dash that a screen reader can say. */
export function None() {
  return html`<span class="none"><span aria-hidden="true">–</span><span class="hidden">${t("none")}</span></span>`;
}

/** A status as icon and word; what it means on hover. */
export function Badge({ of, word, means = "" }) {
  return html`<span class="badge ${of}" title=${means}><${Icon} name=${of} />${word}</span>`;
}

/** How a task stands: scheduled and held are pending or retrying, and say so. */
export function standingOf(task) {
  if (task.held) return "held";
  return task.scheduled ? "scheduled" : task.status;
}

export function Status({ task }) {
  const standing = standingOf(task);
  const means = task.held ? t(`held.${task.held}.means`) : t(`status.${standing}.means`);
  return html`<${Badge} of=${standing} word=${t(`status.${standing}`)} means=${means} />`;
}

/** Text of strangers: isolated, so that no letter that turns writing around can touch what stands beside it. */
export function Foreign({ text }) {
  return html`<bdi>${visible(text)}</bdi>`;
}

/** What the server says, in the language that is shown. What nobody has translated stays English, and is marked so. */
export function Said({ text }) {
  const shown = told(text);
  return html`<bdi lang=${shown === text && language.get() !== "en" ? "en" : null}>${visible(shown)}</bdi>`;
}

/** Why tasks fail, as the API groups by it: a kind of failure, or the rule that did not hold. */
export function Why({ error }) {
  return speaks(`kind.${error}`) ? t(`kind.${error}`) : html`<${Said} text=${error} />`;
}

/** Control characters, and those that are invisible or turn the direction of writing. */
const INVISIBLE =
  /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]/g;

/** A text with its invisible characters written out, such as ⟨U+202E⟩. */
export function visible(text) {
  return text.replace(INVISIBLE, (one) => `⟨U+${one.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`);
}

/** A body as it came: raw text that can never run, be parsed, or reach out of its box. */
export function Raw({ text, label }) {
  return html`<div class="raw">
    <${Copy} text=${text} />
    <pre tabindex="0" dir="ltr" aria-label=${label} role="region">${visible(text)}</pre>
  </div>`;
}

export function Copy({ text, word = t("copy") }) {
  if (!navigator.clipboard) return null; // the browser lends it to https and to this computer only
  const copy = async () => {
    await navigator.clipboard.writeText(text);
    say(t("copied"));
  };
  return html`<button type="button" class="quiet copy" onClick=${copy}><${Icon} name="copy" />${word}</button>`;
}

/** Whether this is the first page: who comes to it has left nothing, and need not be brought anywhere. */
let first = true;

/** A page: its title in the tab, and as the heading that a reader is brought to. */
export function Page({ title, aside, children }) {
  const heading = useRef(null);
  useEffect(() => {
    if (!first && isFocusFree()) heading.current.focus();
    first = false;
  }, []);
  useEffect(() => {
    document.title = `${title} · kkbida`;
  }, [title]);
  return html`<header class="title"><h1 tabindex="-1" ref=${heading}>${title}</h1><div class="aside">${aside}</div></header>${children}`;
}

/** Why something was refused, or what came instead of an answer, where it happened; and `again`, if there is no other button. */
export function Refusal({ problem, again }) {
  if (!problem) return null;
  return html`<div class="refusal" role="alert">
    <p><strong>${problem.meaning}</strong></p>
    <${Detail} of=${problem} />
    ${
      problem.errors.length > 0 &&
      html`<ul>${problem.errors.map((fault) => html`<li><code>${fault.pointer}</code> <${Said} text=${fault.detail} /></li>`)}</ul>`
    }
    ${problem.retryAfter && html`<p>${t("problem.retry_after", { wait: duration(problem.retryAfter) })}</p>`}
    ${again && html`<p><button type="button" onClick=${again}>${t("again")}</button></p>`}
  </div>`;
}

/** What is wrong in this very case; or the beginning of an answer that is not kkbida's. */
export function Detail({ of: { detail, received } }) {
  if (received) return html`<p><${Foreign} text=${received} /></p>`;
  return detail && html`<p><${Said} text=${detail} /></p>`;
}

/**
 * Shows `children(of)`. When that cannot be shown, since an answer has another shape than kkbida's, it says so and offers to
 * look again; another `of` is shown anew.
 */
export function Guarded({ of, again, children }) {
  const [error, reset] = useErrorBoundary((fault) => console.error(fault));
  const failed = useRef(undefined);
  if (error) failed.current ??= { of };
  useEffect(() => {
    if (!failed.current || failed.current.of === of) return;
    failed.current = undefined;
    reset();
  }, [of]);
  if (error) return html`<${Refusal} problem=${new Problem({ code: "unintelligible" })} again=${again} />`;
  return html`<${Shows} of=${of} with=${children} />`;
}

/** A component of its own, so that what is thrown while it is drawn reaches the one above. */
function Shows({ of, with: draw }) {
  return draw(of);
}

/** One of the three empty states: nothing yet, no match, all is well. */
export function Empty({ kind, title, children }) {
  return html`<div class="empty ${kind}">
    ${kind === "well" && html`<${Icon} name="well" />`}
    <p class="lead">${title}</p>
    ${children}
  </div>`;
}

/** What a loaded thing looks like until it is there. `children` is a function of what was loaded. */
export function Loaded({ from, children }) {
  const { data, problem, again } = from;
  const isSaidAbove = problem?.code === "offline" && data !== undefined; // what was there stays, and the top of the page says it
  return html`<${Refusal} problem=${isSaidAbove ? null : problem} again=${again} />
    ${data !== undefined ? html`<${Guarded} of=${data} again=${again}>${children}</${Guarded}>` : html`<${Loading} waiting=${!problem} />`}`;
}

/** A word for who waits, once that has lasted long enough to be worth it. */
export function Loading({ waiting = true }) {
  const slow = useSlowness(waiting);
  return slow && html`<p class="loading" role="status">${t("loading")}</p>`;
}

/** Whether something has lasted long enough to be worth a word. */
function useSlowness(waiting) {
  const [slow, setSlow] = useState(false);
  useEffect(() => {
    const timer = waiting && setTimeout(() => setSlow(true), 300);
    return () => clearTimeout(timer);
  }, [waiting]);
  return waiting && slow;
}

/** Choices of one view, as links: which is chosen stands in the URL. */
export function Tabs({ label, choices, chosen }) {
  return html`<nav class="tabs" aria-label=${label}>
    ${choices.map(
      ([value, word, href]) =>
        html`<a href=${href} key=${value} aria-current=${value === chosen ? "page" : null}>${word}</a>`,
    )}
  </nav>`;
}
