/* What all pages with keys share: a key presses a control that is there to be clicked. */

/* True where letters are text: in a field, but not on a radio or a tick box. */
export function isTyping(element) {
  return Boolean(element?.matches?.("input:not([type=radio], [type=checkbox]), textarea, select"));
}

/* Ctrl+R and the like belong to the browser. */
export const hasModifier = (event) => event.ctrlKey || event.metaKey || event.altKey;

/* "A" is "a", with or without Shift and Caps Lock; "Enter" stays "Enter". */
export const nameKey = ({ key }) => (key.length === 1 ? key.toLowerCase() : key);

/* The selector of what this key presses: templates write data-keys="ArrowLeft d". */
export const selectByKey = (key) => `[data-keys~="${CSS.escape(key)}"]`;

/* A field gets the focus, anything else is clicked. */
export function press(control) {
  if (isTyping(control)) control.focus();
  else control.click();
}
