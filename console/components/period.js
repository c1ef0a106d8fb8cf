// From when until when: two fields of a filter, and what is wrong with them, told at the field.
import { t } from "../i18n.js";
import { fromInput, toInput } from "../time.js";
import { html, useState } from "../vendor/htm-preact.js";
import { Input } from "./fields.js";

const ENDS = ["since", "until"];

/** What the fields show of a query. */
export function periodOf(query) {
  return { since: toInput(query.since), until: toInput(query.until) };
}

/**
 * The two ends of a period. `read(form)` gives them as the API takes them; null when one is wrong, which is then told at its
 * field, and the field has the focus.
 * @param {Record<string, string>} query what was asked for last: an end that nobody has touched keeps its seconds
 */
export function usePeriod(query) {
  const [faults, setFaults] = useState({});
  const read = (form) => {
    const fields = Object.fromEntries(ENDS.map((name) => [name, form.elements[name]]));
    const ends = Object.fromEntries(ENDS.map((name) => [name, moment(fields[name], query[name])]));
    const found = faultsOf(ends);
    setFaults(found);
    const first = ENDS.find((name) => name in found);
    fields[first]?.focus();
    return first ? null : ends;
  };
  return { faults, read };
}

/** What a field means, null for what does not exist: a day that its month has not, or a part that is missing. */
function moment(field, before) {
  if (field.validity.badInput) return null;
  return field.value === toInput(before) ? (before ?? "") : fromInput(field.value);
}

function faultsOf({ since, until }) {
  if (since && until && Date.parse(since) >= Date.parse(until)) return { until: t("period.reversed") };
  const wrong = Object.entries({ since, until }).filter(([, value]) => value === null);
  return Object.fromEntries(wrong.map(([name]) => [name, t("period.impossible")]));
}

/** The fields. `words`: what they are called. `problem`: the refusal of the list, which may be of a moment in the URL. */
export function Period({ bind, faults, words, problem }) {
  return ENDS.map(
    (name) =>
      html`<${Input}
        key=${name}
        of=${bind(name)}
        label=${words[name]}
        fault=${faults[name]}
        problem=${problem}
        pointer="query:${name}"
        type="datetime-local"
        max="9999-12-31T23:59"
      />`,
  );
}
