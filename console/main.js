// Where it begins: words first, then who is here, then the page.
import { App, fetchPage, pageOf } from "./app.js";
import { Problem, up } from "./api.js";
import { preferred, speak } from "./i18n.js";
import { place } from "./router.js";
import { isNobody, whoAmI } from "./session.js";
import { html, render } from "./vendor/htm-preact.js";
import { watched } from "./watched.js";

const PAUSE = 2000;

/** Why it is not known yet who is here; null while nothing is wrong. */
const trouble = watched(null);

/** Ask who is here until the API says it: without that nothing can be shown. */
async function settle() {
  try {
    await whoAmI();
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    if (!isNobody(problem)) {
      trouble.set(problem);
      await new Promise((resolve) => setTimeout(resolve, PAUSE));
      return settle();
    }
  }
  up.set(true);
}

const who = settle();
fetchPage(pageOf(place.get().parts)).catch(() => {}); // under way with the rest; who is not there then is asked again
await speak(preferred()).catch(() => speak("en"));
document.body.replaceChildren();
render(html`<${App} ready=${who} trouble=${trouble} />`, document.body);
