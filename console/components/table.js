// Tables, one way: on a phone each row is a card, whose cells say what they are.
import { t } from "../i18n.js";
import { html } from "../vendor/htm-preact.js";

/**
 * @template Row
 * @param {object} given
 * @param {Row[]} given.rows
 * @param {(row: Row) => string} given.id what tells a row from the others
 * @param {[name: string, show: (row: Row) => any, kind?: string][]} given.columns name, what it shows of a row, and the
 *   class of its cells; without a name it holds what can be done
 * @param {(row: Row) => string} [given.kind] the class of a row
 * @param {any} [given.empty] what stands there when there are no rows
 */
export function Table({ rows, id, columns, kind = () => "", empty = null }) {
  if (!rows.length) return empty;
  return html`<table class="list">
    <thead>
      <tr>
        ${columns.map(([name, , cell]) => html`<th scope="col" class=${cell}>${name || html`<${Actions} />`}</th>`)}
      </tr>
    </thead>
    <tbody>
      ${rows.map((row) => html`<${Row} key=${id(row)} row=${row} columns=${columns} kind=${kind(row)} />`)}
    </tbody>
  </table>`;
}

function Row({ row, columns, kind }) {
  return html`<tr class=${kind}>
    ${columns.map(
      ([name, show, cell = ""]) => html`<td class=${name ? cell : "does"} data-label=${name || null}>${show(row)}</td>`,
    )}
  </tr>`;
}

/** What a column of buttons is called by a screen reader. */
export function Actions() {
  return html`<span class="hidden">${t("actions")}</span>`;
}
