// Times as people say them. All that comes from the API is RFC 3339 in UTC.
import { now } from "./api.js";
import { language } from "./i18n.js";
import { watched } from "./watched.js";

/** Beats once a second, so that what counts down is drawn again. */
const beat = watched(0);
setInterval(() => document.hidden || beat.set(beat.get() + 1), 1000);

/** The present, in a component that draws itself again as it passes. */
export function useNow() {
  beat.use();
  return now();
}

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const UNITS = [
  ["day", DAY],
  ["hour", HOUR],
  ["minute", MINUTE],
  ["second", 1],
];

/** "3 minutes ago", "in 12 seconds" */
export function relative(time, present) {
  const seconds = (Date.parse(time) - present) / 1000;
  const [unit, size] = UNITS.find(([, size]) => Math.abs(seconds) >= size) ?? UNITS.at(-1);
  const format = new Intl.RelativeTimeFormat(language.get(), { numeric: "auto", style: "short" });
  return spaced(format.format(Math.trunc(seconds / size) || 0, unit));
}

/** With a space between figures and Chinese words, as in all our texts. */
function spaced(text) {
  return text.replace(/\d(?=\p{Script=Han})|\p{Script=Han}(?=\d)/gu, "$& ");
}

/** The moment in the reader's zone, and in UTC. */
export function exact(time) {
  return `${local(time)} · ${time.replace("T", " ").replace("Z", "")} UTC`;
}

/** The moment in the reader's zone, to the second, with the zone's name. */
export function local(time) {
  return new Intl.DateTimeFormat(language.get(), { dateStyle: "medium", timeStyle: "long" }).format(new Date(time));
}

/** Day and time without seconds, for the axis of a chart. */
export function brief(time, unit) {
  const shown = unit === "day" ? { month: "short", day: "numeric" } : { hour: "2-digit", minute: "2-digit" };
  return new Intl.DateTimeFormat(language.get(), { ...shown, hourCycle: "h23" }).format(new Date(time));
}

/** Seconds as "1.8 sec", "4 min", "2 hr 5 min": two units at most. */
export function duration(seconds) {
  if (seconds < 1) return inUnit(Math.round(seconds * 1000), "millisecond");
  if (seconds < 10) return inUnit(Math.round(seconds * 10) / 10, "second");
  const whole = Math.round(seconds);
  const first = UNITS.findIndex(([, size]) => whole >= size);
  const [[unit, size], [smaller, part] = []] = UNITS.slice(first);
  const rest = smaller ? Math.floor((whole % size) / part) : 0;
  const parts = [inUnit(Math.floor(whole / size), unit), ...(rest ? [inUnit(rest, smaller)] : [])];
  return spaced(new Intl.ListFormat(language.get(), { type: "unit", style: "narrow" }).format(parts));
}

function inUnit(value, unit) {
  return spaced(new Intl.NumberFormat(language.get(), { style: "unit", unit, unitDisplay: "short" }).format(value));
}

/** Bytes as "64 KB". */
export function size(bytes) {
  const [value, unit] =
    bytes < 1000 ? [bytes, "byte"] : bytes < 1e6 ? [bytes / 1000, "kilobyte"] : [bytes / 1e6, "megabyte"];
  return inUnit(Math.round(value * 10) / 10, unit);
}

/** What `<input type=datetime-local>` shows of a time, in the reader's zone. */
export function toInput(time) {
  const moment = new Date(time || NaN);
  const shown = new Date(moment - moment.getTimezoneOffset() * MINUTE * 1000);
  return isWritable(moment) && isWritable(shown) ? shown.toISOString().slice(0, 16) : "";
}

/** The moment that such an input means; "" for none, null for one that does not exist, or that the API cannot write. */
export function fromInput(value) {
  if (!value) return "";
  const moment = new Date(value);
  return isWritable(moment) && toInput(moment) === value.slice(0, 16) ? moment.toISOString() : null;
}

/** Whether RFC 3339 has a form for a moment: a year has four digits. */
function isWritable(moment) {
  return moment.getTime() >= Date.parse("0001-01-01T00:00:00Z") && moment.getTime() < Date.parse("+010000-01-01T00:00:00Z");
}

/** So many seconds ago, as the API takes it: on the whole minute, so that a reload asks the same. */
export function secondsAgo(seconds) {
  const moment = now() - seconds * 1000;
  return new Date(moment - (moment % 60_000)).toISOString();
}
