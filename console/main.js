// Where it begins: words first, then who is here, then the page.
import { App, fetchPage, pageOf } from "./app.js";
import { Problem, up } from "./api.js";
import { preferred, speak } from "./i18n.js";
import { place } from "./router.js";
import { whoAmI } from "./session.js";
import { html, render } from "./vendor/htm-preact.js";

const PAUSE = 2000;

/** Ask who is here until the API answers: without that nothing can be shown. */
async function settle() {
  try {
    await whoAmI();
    up.set(true);
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    await new Promise((resolve) => setTimeout(resolve, PAUSE));
    await settle();
  }
}

const who = settle();
fetchPage(pageOf(place.get().parts)).catch(() => {}); // under way with the rest; who is not there then is asked again
await speak(preferred());
render(html`<${App} ready=${who} />`, document.body);
