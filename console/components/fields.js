// Parts of forms: each has a label, says what it wants, and shows the fault that the API found in it.
import { t } from "../i18n.js";
import { html, useLayoutEffect, useRef, useState } from "../vendor/htm-preact.js";
import { useId } from "../work.js";
import { Said } from "./bits.js";

/**
 * The values of a form: `bind(name)` gives a field what it needs.
 * @param {Record<string, any>} first
 */
export function useForm(first) {
  const [values, setValues] = useState(first);
  const set = (changes) => setValues((before) => ({ ...before, ...changes }));
  const bind = (name) => ({ name, value: values[name], set: (value) => set({ [name]: value }) });
  return { values, set, bind };
}

/** A form whose values are in the URL: what changes there changes here, and what is being written stays. */
export function useUrlForm(values) {
  const form = useForm(values);
  const before = useRef(values);
  useLayoutEffect(() => {
    const changed = Object.entries(values).filter(([name, value]) => value !== before.current[name]);
    before.current = values;
    if (changed.length) form.set(Object.fromEntries(changed));
  });
  return form;
}

/**
 * A line of text, or many (`rows`). `of`: from `bind`. `problem`: the refusal whose fault at `/name` is shown here, unless
 * there is a `fault` already.
 */
export function Input({ of, label, hint, problem, fault: ours, rows, mono, pointer = `/${of.name}`, ...rest }) {
  const id = useId();
  const fault = ours ?? problem?.faultAt(pointer);
  const shared = {
    id,
    name: of.name,
    value: of.value,
    class: mono ? "mono" : "",
    "aria-invalid": fault ? "true" : null,
    "aria-describedby": hint || fault ? `${id}-says` : null,
    onInput: (event) => of.set(event.target.value),
    ...rest,
  };
  return html`<div class="field">
    <label for=${id}>${label}${rest.required && html` <span class="required">${t("required")}</span>`}</label>
    ${rows ? html`<textarea rows=${rows} spellcheck=${false} ...${shared} />` : html`<input ...${shared} />`}
    ${(hint || fault) && html`<p class="hint" id="${id}-says">${fault ? html`<span class="fault" role=${ours ? "alert" : null}><${Said} text=${fault} /></span>` : hint}</p>`}
  </div>`;
}

/** `choices`: pairs of value and word. */
export function Select({ of, label, hint, choices, ...rest }) {
  const id = useId();
  return html`<div class="field">
    <label for=${id}>${label}</label>
    <select id=${id} name=${of.name} value=${of.value} onChange=${(event) => of.set(event.target.value)} ...${rest}>
      ${choices.map(([value, word]) => html`<option value=${value} selected=${value === of.value}>${word}</option>`)}
    </select>
    ${hint && html`<p class="hint">${hint}</p>`}
  </div>`;
}

export function Check({ of, label }) {
  return html`<label class="check">
    <input type="checkbox" name=${of.name} checked=${of.value} onChange=${(event) => of.set(event.target.checked)} />
    ${label}
  </label>`;
}

/** Several of a few. The value is a list. */
export function Checks({ of, label, choices }) {
  const toggle = (value, on) =>
    of.set(choices.map(([it]) => it).filter((it) => (it === value ? on : of.value.includes(it))));
  return html`<fieldset class="field">
    <legend>${label}</legend>
    ${choices.map(
      ([value, word]) => html`<label class="check">
        <input
          type="checkbox"
          checked=${of.value.includes(value)}
          onChange=${(event) => toggle(value, event.target.checked)}
        />
        ${word}
      </label>`,
    )}
  </fieldset>`;
}

/** Names separated by commas, as a list. */
export function names(text) {
  return text.split(/[,，\s]+/).filter(Boolean);
}
