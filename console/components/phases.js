// What an attempt spent its time on: looking the name up, connecting, securing, waiting for the receiver, reading.
import { t } from "../i18n.js";
import { duration } from "../time.js";
import { html } from "../vendor/htm-preact.js";

const PHASES = ["dns", "connect", "tls", "wait", "read"];
const WIDTH = 400;
const HEIGHT = 10;
const LEAST = 3; // what took next to nothing is seen all the same

/** The phases that an attempt came to, in their order, with their milliseconds. */
function spent({ phases }) {
  return phases ? PHASES.filter((name) => phases[name] !== null).map((name) => [name, phases[name]]) : [];
}

/** A bar with a part for each phase. What it says stands in the list of `Phases`, or in `told`. */
export function PhaseBar({ attempt }) {
  const parts = spent(attempt);
  if (!parts.length) return null;
  const all = parts.reduce((sum, [, took]) => sum + took, 0) || 1;
  const room = WIDTH - LEAST * parts.length;
  let x = 0;
  return html`<svg class="phases" viewBox="0 0 ${WIDTH} ${HEIGHT}" preserveAspectRatio="none" aria-hidden="true">
    ${parts.map(([name, took]) => {
      const width = LEAST + (took / all) * room;
      x += width;
      return html`<rect class=${name} key=${name} x=${x - width} y="0" width=${width} height=${HEIGHT}>
        <title>${t(`phase.${name}`)} ${duration(took / 1000)}</title>
      </rect>`;
    })}
  </svg>`;
}

/** The bar and its figures; of an attempt without a reply also where it ended. */
export function Phases({ attempt }) {
  const parts = spent(attempt);
  const ended = attempt.status_code === null ? parts.at(-1)?.[0] : null;
  return html`<${PhaseBar} attempt=${attempt} />
    <ul class="legend phases">
      ${parts.map(
        ([name, took]) => html`<li key=${name}>
          <span class="swatch ${name}" aria-hidden="true"></span>
          <span title=${t(`phase.${name}.means`)}>${t(`phase.${name}`)}</span> ${duration(took / 1000)}
          ${name === ended && html` <strong>${t("phase.ended")}</strong>`}
        </li>`,
      )}
    </ul>`;
}
