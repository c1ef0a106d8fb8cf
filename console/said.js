// What the server says, it says in English. Here its sentences are recognised, and told in the language that is shown.
// `said/<language>.json` has a translation for each English template, in which `{name}` stands for a value.

const GAP = /\{(\w+)\}/g;

const ANYTHING = ".*";
const NUMBER = "-?(?:[\\d,.]+(?:e[+-]?\\d+)?|inf)";
const WORD = "[^\\s,;:()]+";
const STRING = String.raw`"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'`;
/** JSON on one line, its strings whole; or 120 characters of it, and then it was cut. */
const JSON_VALUE = String.raw`.{120}…|(?:[^"\\]|"(?:[^"\\]|\\.)*")+`;

/** What a value looks like, by its name: strangers say some, and none may make one sentence pass for another. */
const LOOKS = {
  ...Object.fromEntries(["n", "least", "most", "has", "line", "column", "status"].map((name) => [name, NUMBER])),
  ...Object.fromEntries(["code", "error", "id", "word"].map((name) => [name, WORD])),
  ...Object.fromEntries(["host", "name", "app", "same"].map((name) => [name, "\\S+"])),
  found: JSON_VALUE,
  wanted: JSON_VALUE,
  path: String.raw`\$(?:\.[^\s.[\]]+|\[(?:-?\d+|${STRING})\])*`,
  patterns: "[!\\dxX, -]+",
  quoted: STRING,
  time: "[\\d.e+-]+ s",
};

/** Values that are words of the server's as well; of `words` each is one. */
const TOLD = { what: told, why: told, time: told, words: (text) => text.split(", ").map(told).join(told(", ")) };

let whole = new Map();
let patterns = [];

/** Tell by these from now on: translations by their English templates. Without any, English is shown. */
export function learn(translations = {}) {
  const entries = Object.entries(translations);
  whole = new Map(entries.filter(([english]) => !english.match(GAP)));
  patterns = entries
    .filter(([english]) => english.match(GAP))
    .sort(([one], [other]) => own(other) - own(one))
    .map(([english, translation]) => ({ ...compiled(english), translation }));
}

/** How much of a template is its own: the more there is, the less it can be meant by chance. */
function own(english) {
  return english.replace(GAP, "").length;
}

function compiled(english) {
  const parts = english.split(GAP); // texts and names by turns
  const source = parts.map((part, index) => (index % 2 ? `(${LOOKS[part] ?? ANYTHING})` : literally(part)));
  return { pattern: new RegExp(`^${source.join("")}$`, "su"), names: parts.filter((_, index) => index % 2) };
}

function literally(text) {
  return text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
}

/** The sentence in the language that is shown; as it came when nothing is known of it. */
export function told(text) {
  if (whole.has(text)) return whole.get(text);
  for (const { pattern, names, translation } of patterns) {
    const match = pattern.exec(text);
    if (match) return filled(translation, names, match.slice(1));
  }
  return text;
}

function filled(translation, names, values) {
  return translation.replace(GAP, (_, name) => (TOLD[name] ?? String)(values[names.indexOf(name)]));
}
