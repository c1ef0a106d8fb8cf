// A small chart: stacked bars, each a link, or each of its parts. The same figures stand in a table beside it.
import { number, t } from "../i18n.js";
import { html } from "../vendor/htm-preact.js";

const HEIGHT = 120;
const WIDTH = 720;

/**
 * @typedef {{name: string, counts: number[], href?: string, hrefs?: string[]}} Row `href`: where the bar leads; or
 *   `hrefs`: where each of its parts does
 * @param {{label: string, rows: Row[], series: {word: string, kind: string}[], small?: boolean}} given
 */
export function Bars({ label, rows, series, small = false }) {
  const most = Math.max(1, ...rows.map((row) => sum(row.counts)));
  const step = WIDTH / rows.length;
  return html`<svg
    class="bars ${small ? "small" : ""}"
    viewBox="0 0 ${WIDTH} ${HEIGHT}"
    preserveAspectRatio="none"
    role="group"
    aria-label=${label}
  >
    ${rows.map(
      (row, index) => html`<${Bar} key=${row.name} row=${row} series=${series} left=${index * step} step=${step} most=${most} />`,
    )}
  </svg>`;
}

function Bar({ row, series, left, step, most }) {
  const ground = html`<rect class="ground" x=${left} y="0" width=${step} height=${HEIGHT} />`;
  const parts = stacked(row.counts, most)
    .map(([y, height], which) => ({ which, y, height, kind: series[which].kind }))
    .filter(({ height }) => height > 0);
  const part = ({ kind, y, height }) =>
    html`<rect class="bar ${kind}" x=${left + step * 0.12} y=${y} width=${step * 0.76} height=${height} />`;
  if (!row.hrefs) return html`<${Link} href=${row.href} name=${told(row, series)}>${ground}${parts.map(part)}</${Link}>`;
  const ofPart = (it) =>
    html`<${Link} href=${row.hrefs[it.which]} name=${told(row, series, it.which)}>${part(it)}</${Link}>`;
  return html`<g>${ground}${parts.map(ofPart)}</g>`;
}

function Link({ href, name, children }) {
  return html`<a href=${href} tabindex="-1" aria-label=${name}><title>${name}</title>${children}</a>`;
}

/** A bar in words, or one part of it. */
function told(row, series, part = null) {
  const counts = row.counts.map((count, which) => `${series[which].word} ${number(count)}`);
  return [row.name, ...(part === null ? counts : [counts[part]])].join(" · ");
}

/** Top and height of each part, the first at the bottom. What is there at all is seen: two units at least. */
function stacked(counts, most) {
  let y = HEIGHT;
  return counts.map((count) => {
    const height = count ? Math.max(2, (count / most) * (HEIGHT - 4)) : 0;
    y -= height;
    return [y, height];
  });
}

function sum(counts) {
  return counts.reduce((all, count) => all + count, 0);
}

/** The words of the colours, and the highest bar as a measure. */
export function Legend({ series }) {
  return html`<ul class="legend">
    ${series.map(({ word, kind }) => html`<li><span class="swatch ${kind}" aria-hidden="true"></span>${word}</li>`)}
  </ul>`;
}

/** The figures as a table, for who cannot see bars, or wants the numbers. */
export function Figures({ rows, series, first }) {
  return html`<details class="figures">
    <summary>${t("chart.table")}</summary>
    <div class="scroll" tabindex="0" role="region" aria-label=${t("chart.table")}>
      <table>
        <thead>
          <tr><th scope="col">${first}</th>${series.map(({ word }) => html`<th scope="col" class="number">${word}</th>`)}</tr>
        </thead>
        <tbody>
          ${rows.map(
            (row) => html`<tr>
              <th scope="row"><a href=${row.href}>${row.name}</a></th>
              ${row.counts.map((count) => html`<td class="number">${number(count)}</td>`)}
            </tr>`,
          )}
        </tbody>
      </table>
    </div>
  </details>`;
}
