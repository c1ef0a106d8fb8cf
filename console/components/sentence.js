// Where a task stands, in one plain sentence.
import { list, number, t } from "../i18n.js";
import { told } from "../said.js";
import { duration, relative } from "../time.js";

/** `present`: milliseconds since the epoch. */
export function sentence(task, present) {
  const last = task.attempts.at(-1);
  if (task.status === "delivered") return t("sentence.delivered", { ...count(task), after: lasted(task, last) });
  if (task.status === "exhausted") return exhausted(task, last);
  if (task.status === "cancelled")
    return t("sentence.cancelled", { when: relative(task.updated_at, present), ...count(task) });
  if (last && !last.verdict) return t("sentence.running", { ...count(task), since: since(last, present) });
  return joined(failure(task, last), next(task, present));
}

function exhausted(task, last) {
  const why = t("sentence.exhausted", { ...count(task), why: clause(task.because ?? "") });
  return joined(why, last?.reason && t("sentence.last", { why: clause(last.reason) }), ...toldOf(task));
}

function joined(...sentences) {
  return sentences.filter(Boolean).join(t("sentence.between"));
}

/** A sentence of the server's as a part of one of ours, which has a full stop of its own. */
function clause(text) {
  return told(text).replace(/\.$/, "");
}

/** Who was told that it is exhausted, and who could not be; that nobody was is worth a word too. */
function toldOf(task) {
  const notices = task.notices.filter((notice) => notice.round === task.round);
  if (!notices.length) return [t("sentence.nobody")];
  const those = (key, wanted) => {
    const kinds = notices.filter(wanted).map((notice) => t(`channel.${notice.kind}`));
    return kinds.length > 0 && t(key, { who: list(kinds) });
  };
  return [
    those("sentence.told", (notice) => notice.status === "delivered"),
    those("sentence.untold", (notice) => notice.status === "failed"),
    those("sentence.untold_yet", (notice) => notice.status === "pending" && notice.reason),
  ];
}

function count(task) {
  return { n: number(task.attempts_made), most: number(task.max_attempts), round: number(task.round) };
}

/** Seconds from when the round began, as far as anyone can tell, to the end of its last attempt. */
function lasted(task, last) {
  const begun = task.round === 1 ? task.created_at : task.attempts.find((it) => it.round === task.round)?.started_at;
  if (!last?.started_at || !begun) return "";
  return duration(Math.max(0, (Date.parse(last.started_at) + (last.duration_ms ?? 0) - Date.parse(begun)) / 1000));
}

function since(attempt, present) {
  return attempt.started_at ? duration(Math.max(0, Math.round((present - Date.parse(attempt.started_at)) / 1000))) : "";
}

/** What the last attempt of this round came to; nothing before there is one. */
function failure(task, last) {
  if (!last || last.round !== task.round) return null;
  const took = last.duration_ms === null ? "" : t("sentence.after", { time: duration(last.duration_ms / 1000) });
  const key = last.verdict === "interrupted" ? "sentence.interrupted" : "sentence.failed";
  return t(key, { ...count(task), why: last.reason ? clause(last.reason) : t(`kind.${last.kind}`), took });
}

function next(task, present) {
  if (task.held) return t(`sentence.held.${task.held}`, { target: task.target });
  if (task.waits_in_line) return t("sentence.in_line", { key: task.ordering_key });
  const seconds = (Date.parse(task.next_try_at) - present) / 1000;
  if (seconds < 1) return t("sentence.due");
  const left = duration(Math.round(seconds));
  return t(task.attempts_made ? "sentence.next" : "sentence.first", { left });
}
