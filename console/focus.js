// Where the keyboard is. A page that arrives late must not take the focus from a field in which the reader writes already.

/** The element that had the focus when the reader left for another page. */
let left = document.body;

/** Remember the element that has the focus; the router calls it when the place changes. */
export function noteFocus() {
  left = document.activeElement;
}

/** Whether the reader has not gone to another element since, so that a new page may take the focus. */
export function isFocusFree() {
  const now = document.activeElement;
  return !now || now === document.body || (now === left && !writes(now));
}

/** Whether keys that are pressed in an element are text. */
export function writes(element) {
  return element.matches("input:not([type=checkbox]), textarea, select");
}
