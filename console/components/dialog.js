// Dialogs, by the browser's own <dialog>: it keeps the keyboard inside, closes on Escape and gives the focus back.
import { t } from "../i18n.js";
import { html, useLayoutEffect, useRef } from "../vendor/htm-preact.js";
import { useAction, useId } from "../work.js";
import { Refusal } from "./bits.js";
import { Icon } from "./icon.js";

export function Dialog({ title, onClose, wide = false, children }) {
  const dialog = useRef(null);
  const id = useId();
  useLayoutEffect(() => {
    const element = dialog.current;
    element.showModal();
    return () => element.close();
  }, []);
  const cancel = (event) => {
    event.preventDefault();
    onClose?.();
  };
  return html`<dialog ref=${dialog} class=${wide ? "wide" : ""} aria-labelledby=${id} onCancel=${cancel}>
    <header>
      <h2 id=${id}>${title}</h2>
      ${
        onClose &&
        html`<button type="button" class="quiet" onClick=${onClose}><${Icon} name="close" /><span class="hidden">${t("close")}</span></button>`
      }
    </header>
    ${children}
  </dialog>`;
}

/** Ask before something is done that cannot be undone at a click. A refusal is shown in the dialog, which stays. */
export function Confirm({ title, yes, work, onDone, onClose, danger = false, children }) {
  const action = useAction(work);
  const submit = async (event) => {
    event.preventDefault();
    const result = await action.run();
    if (result === undefined) return;
    onClose();
    onDone?.(result);
  };
  return html`<${Dialog} title=${title} onClose=${onClose}>
    <form onSubmit=${submit}>
      ${children}
      <${Refusal} problem=${action.problem} />
      <${Buttons} yes=${yes} busy=${action.busy} danger=${danger} onClose=${onClose} />
    </form>
  </${Dialog}>`;
}

/** The end of a form: what it does, and the way out. */
export function Buttons({ yes, busy, danger, onClose, children }) {
  return html`<div class="buttons">
    <button type="submit" class=${danger ? "danger" : "main"} disabled=${busy}>${yes}</button>
    ${onClose && html`<button type="button" onClick=${onClose}>${t("back")}</button>`}
    ${children}
  </div>`;
}

/** A secret that is shown once. Escape does not close it by accident. */
export function Secret({ title, note, values, onClose }) {
  return html`<${Dialog} title=${title}>
    <p>${note}</p>
    <dl class="secret">
      ${Object.entries(values).map(([name, value]) => html`<dt>${name}</dt><dd><code>${value}</code></dd>`)}
    </dl>
    <div class="buttons">
      <${Shown} text=${Object.values(values).join("\n")} />
      <button type="button" class="main" onClick=${onClose}>${t("secret.kept")}</button>
    </div>
  </${Dialog}>`;
}

function Shown({ text }) {
  return html`<button type="button" autofocus onClick=${() => navigator.clipboard.writeText(text)}>${t("copy")}</button>`;
}
