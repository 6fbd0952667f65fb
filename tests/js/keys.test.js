/* What a key is called, and what it does to a control. */
import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { hasModifier, isTyping, nameKey, press } from "../../hashtags_site/static/site/keys.js";

/* Stands in for an element, which node does not have. */
const control = (isField) => ({ matches: () => isField, focus: mock.fn(), click: mock.fn() });

test("a letter has one name with and without Shift, other keys keep theirs", () => {
  assert.equal(nameKey({ key: "D" }), "d");
  assert.equal(nameKey({ key: "ArrowLeft" }), "ArrowLeft");
});

test("keys with Ctrl, Meta or Alt belong to the browser, with Shift to us", () => {
  for (const name of ["ctrlKey", "metaKey", "altKey"]) assert.ok(hasModifier({ [name]: true }));
  assert.ok(!hasModifier({ shiftKey: true }));
});

test("a field gets the focus, anything else is clicked", () => {
  const field = control(true);
  press(field);
  assert.deepEqual([field.focus.mock.callCount(), field.click.mock.callCount()], [1, 0]);
  const button = control(false);
  press(button);
  assert.deepEqual([button.focus.mock.callCount(), button.click.mock.callCount()], [0, 1]);
});

test("nobody types in the document itself", () => {
  assert.equal(isTyping(null), false);
  assert.equal(isTyping({}), false);
});
