// Words: two flat files with equal keys. `{name}` in a text is filled in; a key with `.one` and `.other` has a plural.
import { learn } from "./said.js";
import { remember, remembered } from "./storage.js";
import { watched } from "./watched.js";

export const LANGUAGES = { en: "English", zh: "中文" };

/** The language that is shown: "en" or "zh". It changes once the words are there. */
export const language = watched("en");

let words = {};

/** Show that language from now on. Raises TypeError or SyntaxError when its words do not come. */
export async function speak(wanted) {
  const [ours, theirs] = await Promise.all([
    textsOf(`locales/${wanted}.json`),
    wanted === "en" ? {} : textsOf(`said/${wanted}.json`),
  ]);
  words = ours;
  learn(theirs);
  document.documentElement.lang = wanted === "zh" ? "zh-CN" : wanted;
  language.set(wanted);
}

async function textsOf(path) {
  const reply = await fetch(path);
  if (!reply.ok) throw new TypeError(`${path}: ${reply.status}`);
  return reply.json();
}

/** Show that language, and remember it once its words are there. */
export async function chooseLanguage(wanted) {
  await speak(wanted);
  remember("language", wanted);
}

/** What was chosen, else the first language of the browser that we speak. */
export function preferred() {
  const asked = [remembered("language"), ...navigator.languages].map((name) => name?.slice(0, 2));
  return asked.find((name) => name in LANGUAGES) ?? "en";
}

/** The text of a key, filled in; the key itself when there is none. */
export function t(key, values = {}) {
  const text = words[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
}

/** Whether there is a text for the key: the API may have words that this console does not know. */
export function speaks(key) {
  return key in words;
}

/** The text of a key for so many: `{n}` is the number as people write it. */
export function many(key, count, values = {}) {
  const form = new Intl.PluralRules(language.get()).select(count) === "one" ? "one" : "other";
  return t(`${key}.${form}`, { n: number(count), ...values });
}

export function number(value) {
  return new Intl.NumberFormat(language.get()).format(value);
}

/** Items one after another. (What browsers make of a list in Chinese has nothing between them.) */
export function list(items) {
  return items.join(t("list.between"));
}
