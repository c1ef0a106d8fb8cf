// JSON as text. What users stored is shown as it stands: parsed and printed again, 12345678901234567890 would be another number.

const OPENS = "{[";
const CLOSES = "}]";

/**
 * The members of a JSON object, each as the text that stands there: `{"a": [1, 2]}` gives `{a: "[1, 2]"}`.
 * @param {string} text valid JSON
 * @returns {Record<string, string>}
 */
export function members(text) {
  const found = {};
  let at = skip(text, text.indexOf("{") + 1);
  while (at < text.length && text[at] === '"') {
    const nameEnd = endOfString(text, at);
    const start = skip(text, nameEnd, ":");
    const end = endOfValue(text, start);
    found[JSON.parse(text.slice(at, nameEnd))] = text.slice(start, end).trimEnd();
    at = skip(text, end, ",");
  }
  return found;
}

/** Where the next thing begins, from `at` on: behind blanks, and behind one `mark` if there is one. */
function skip(text, at, mark = "") {
  while (at < text.length && (" \n\r\t".includes(text[at]) || text[at] === mark)) at += 1;
  return at;
}

function endOfString(text, at) {
  for (at += 1; text[at] !== '"'; at += 1) if (text[at] === "\\") at += 1;
  return at + 1;
}

/** Where a value ends that begins at `at`: at the comma or the bracket that is not its own. */
function endOfValue(text, at) {
  for (let depth = 0; at < text.length;) {
    if (text[at] === '"') {
      at = endOfString(text, at);
      continue;
    }
    if (OPENS.includes(text[at])) depth += 1;
    if (depth === 0 && (text[at] === "," || CLOSES.includes(text[at]))) return at;
    if (CLOSES.includes(text[at])) depth -= 1;
    at += 1;
  }
  return at;
}

/** A JSON object of members that are JSON text already. */
export function object(texts) {
  return `{${Object.entries(texts)
    .map(([name, text]) => `${JSON.stringify(name)}: ${text}`)
    .join(", ")}}`;
}

/** Whether a text is JSON. */
export function isJson(text) {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
