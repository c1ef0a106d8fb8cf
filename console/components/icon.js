// Small pictures. Each stands beside a word that says the same, so none has a name of its own.
import { html } from "../vendor/htm-preact.js";

const PATHS = {
  pending: "M8 4.5V8l2.3 1.6M8 1.8a6.2 6.2 0 1 0 0 12.4A6.2 6.2 0 0 0 8 1.8z",
  scheduled: "M2.5 4h11v9.5h-11zM2.5 7h11M5.5 2v3M10.5 2v3",
  retrying: "M13.5 8A5.5 5.5 0 1 1 11.8 4M12.2 1.5V4.3H9.4",
  delivered: "M3 8.6l3.2 3.2L13 4.6",
  exhausted: "M8 2.2l6.4 11.3H1.6zM8 6.5v3.2M8 11.4v.4",
  cancelled: "M8 1.8a6.2 6.2 0 1 0 0 12.4A6.2 6.2 0 0 0 8 1.8zM3.8 3.8l8.4 8.4",
  held: "M5.5 3v10M10.5 3v10",
  failed: "M4 4l8 8M12 4l-8 8",
  interrupted: "M9 1.8L4 9h4l-1 5.2L12 7H8z",
  running: "M5 3l8 5-8 5z",
  menu: "M2 4h12M2 8h12M2 12h12",
  search: "M7 2.2a4.8 4.8 0 1 0 0 9.6 4.8 4.8 0 0 0 0-9.6zM10.5 10.5L14 14",
  light: "M8 5a3 3 0 1 0 0 6 3 3 0 0 0 0-6zM8 1v1.5M8 13.5V15M1 8h1.5M13.5 8H15M3 3l1 1M12 12l1 1M3 13l1-1M12 4l1-1",
  dark: "M13 9.8A5.6 5.6 0 0 1 6.2 3 5.6 5.6 0 1 0 13 9.8z",
  refresh: "M13.5 8A5.5 5.5 0 1 1 11.8 4M12.2 1.5V4.3H9.4",
  close: "M4 4l8 8M12 4l-8 8",
  copy: "M5.5 5.5h8v8h-8zM10.5 5.5v-3h-8v8h3",
  plus: "M8 3v10M3 8h10",
  well: "M2 8.5l3.5 3.5L14 4",
};

export function Icon({ name }) {
  return html`<svg class="icon" viewBox="0 0 16 16" aria-hidden="true"><path d=${PATHS[name]} /></svg>`;
}
