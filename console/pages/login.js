// Who are you? As a page for who comes, and as a dialog over the page of one whose session has ended.
import { Refusal } from "../components/bits.js";
import { Buttons, Dialog } from "../components/dialog.js";
import { Input, useForm } from "../components/fields.js";
import { takeEarlyKeys } from "../components/keys.js";
import { ChooseLanguage, ChooseTheme } from "../components/tools.js";
import { t } from "../i18n.js";
import { expired, logIn, session } from "../session.js";
import { html, useEffect } from "../vendor/htm-preact.js";
import { useAction } from "../work.js";

/** The URL stays as it is: after the login one is where one wanted to be. */
export function Login() {
  useEffect(() => void takeEarlyKeys(), []); // they were meant for another page
  useEffect(() => {
    document.title = `${t("login.title")} · kkbida`;
  });
  return html`<main class="login">
    <p class="brand"><img src="icon.svg" alt="" width="32" height="32" />kkbida <span lang="zh">必达</span></p>
    <h1>${t("login.title")}</h1>
    <${Credentials} />
    <p class="hint">${t("login.hint")}</p>
    <div class="tools"><${ChooseLanguage} /><${ChooseTheme} /></div>
  </main>`;
}

/** What was written on the page is not lost: it lies beneath. */
export function LoginAgain() {
  const leave = () => {
    session.set(null);
    expired.set(false);
  };
  return html`<${Dialog} title=${t("login.again")} onClose=${leave}>
    <p>${t("login.again.text")}</p>
    <${Credentials} name=${session.get()?.name} />
  </${Dialog}>`;
}

function Credentials({ name = "" }) {
  const { values, bind } = useForm({ name, password: "" });
  const action = useAction(() => logIn(values.name, values.password));
  const submit = (event) => {
    event.preventDefault();
    action.run();
  };
  return html`<form onSubmit=${submit}>
    <${Input} of=${bind("name")} label=${t("login.name")} autocomplete="username" autofocus required />
    <${Input}
      of=${bind("password")}
      label=${t("login.password")}
      type="password"
      autocomplete="current-password"
      required
    />
    <${Refusal} problem=${action.problem} />
    <${Buttons} yes=${t("login")} busy=${action.busy} />
  </form>`;
}
