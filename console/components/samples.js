// Ready commands that do what the console does.
import { t } from "../i18n.js";
import { members } from "../json.js";
import { isOperator } from "../session.js";
import { html } from "../vendor/htm-preact.js";
import { Raw } from "./bits.js";

/** A JSON text as one word of a shell. */
function quoted(text) {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** A curl that submits this task, given as JSON text. */
export function curlOf(task) {
  const session = isOperator() ? " -K .local/curl" : "";
  return [
    `curl -s${session} ${location.origin}/v1/tasks`,
    `-H 'Content-Type: application/json'`,
    `-d ${quoted(task)}`,
  ].join(" \\\n  ");
}

/** The first task of somebody who has none. */
export function Curl() {
  return html`<${Raw}
    label=${t("submit.curl")}
    text=${curlOf('{"url": "https://partner.example/callback", "body": {"order": 42}}')}
  />`;
}

/** The call of the Python SDK that submits this task; its members are JSON text. */
export function pythonOf(members) {
  const { url = '""', expect, retry, ...rest } = members;
  const given = Object.entries(rest).map(([name, text]) => `${name}=${asPython(text)}`);
  if (expect) given.push(`expect=Expect(${asArguments(expect)})`);
  if (retry) given.push(`retry=Retry(${asArguments(retry)})`);
  const imported = ["Client", expect && "Expect", retry && "Retry", "Task"].filter(Boolean).join(", ");
  const task = [url, ...given].map((line) => `    ${line},`).join("\n");
  return `from kkbida import ${imported}

client = Client("${location.origin}", KEY_ID, SECRET)
task_id = client.call(Task(
${task}
))`;
}

const STRING = /("(?:[^"\\]|\\.)*")/;
const NAMES = { true: "True", false: "False", null: "None" };

/** JSON as Python writes it; what stands in strings stays. */
function asPython(json) {
  const parts = json.split(STRING);
  return parts
    .map((part, index) => (index % 2 ? part : part.replace(/\b(true|false|null)\b/g, (name) => NAMES[name])))
    .join("");
}

function asArguments(json) {
  return Object.entries(members(json))
    .map(([name, text]) => `${name}=${asPython(text)}`)
    .join(", ");
}
