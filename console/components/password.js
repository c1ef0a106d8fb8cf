// Changing one's own password.
import { t } from "../i18n.js";
import { changePassword } from "../session.js";
import { html } from "../vendor/htm-preact.js";
import { useAction } from "../work.js";
import { say } from "./announce.js";
import { Refusal } from "./bits.js";
import { Buttons, Dialog } from "./dialog.js";
import { Input, useForm } from "./fields.js";

export function Password({ onClose }) {
  const { values, bind } = useForm({ current: "", new: "" });
  const action = useAction(() => changePassword(values));
  const submit = async (event) => {
    event.preventDefault();
    if ((await action.run()) === undefined) return;
    say(t("password.changed"));
    onClose();
  };
  return html`<${Dialog} title=${t("password.change")} onClose=${onClose}>
    <form onSubmit=${submit}>
      <${Input}
        of=${bind("current")}
        label=${t("password.current")}
        type="password"
        autocomplete="current-password"
        problem=${action.problem}
        required
      />
      <${Input}
        of=${bind("new")}
        label=${t("password.new")}
        type="password"
        autocomplete="new-password"
        problem=${action.problem}
        required
      />
      <${Refusal} problem=${action.problem} />
      <${Buttons} yes=${t("password.change")} busy=${action.busy} onClose=${onClose} />
    </form>
  </${Dialog}>`;
}
