// What has just happened, said to everybody: shown for a while, and read out by a screen reader.
import { html, useEffect } from "../vendor/htm-preact.js";
import { watched } from "../watched.js";

const SECONDS = 5;

const said = watched("");

export function say(text) {
  said.set("");
  said.set(text);
}

export function Announcements() {
  const text = said.use();
  useEffect(() => {
    const timer = text && setTimeout(() => said.set(""), SECONDS * 1000);
    return () => clearTimeout(timer);
  }, [text]);
  return html`<div class="announcements" role="status" aria-live="polite">${text && html`<p>${text}</p>`}</div>`;
}
