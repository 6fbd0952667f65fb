/* Keys for the queue: each presses a button or a link that is there to be clicked. Without this file the page
   works as plain forms. */
"use strict";
(() => {
  let sending = false;
  const queue = () => document.getElementById("queue");
  const field = (id) => document.getElementById(id);
  const typing = (element) => element?.matches?.("input:not([type=radio], [type=checkbox]), textarea, select");

  function nextSense() {
    const senses = [...queue().querySelectorAll("input[name=sense]")];
    if (senses.length < 2) return;
    const at = senses.findIndex((sense) => sense.checked);
    senses[(at + 1) % senses.length].click();
  }

  function typed(event) {
    if (event.key === "Escape") {
      document.activeElement.blur();
    } else if (event.key === "Enter" && event.target.id === "find") {
      event.preventDefault();
      queue().querySelector("#found button")?.click();
    } else if (event.key === "Enter" && event.target.id === "note") {
      event.preventDefault(); // a note is saved with the decision; Enter must not choose one
      event.target.blur();
    }
  }

  function pressed(key) {
    if (key === "/" || key === "n") return field(key === "/" ? "find" : "note");
    if (key === "s") nextSense();
    return document.querySelector(`main [data-keys~="${CSS.escape(key)}"]`);
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (typing(event.target)) return typed(event);
    if (event.repeat) return; // a key held down is one answer
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    // Enter belongs to what has the focus, the arrows to the radios of a group.
    if (key === "Enter" && event.target.matches("a, button, input, summary")) return;
    if (key.startsWith("Arrow") && event.target.matches("input")) return;
    const found = pressed(key);
    if (!found) return;
    event.preventDefault();
    if (typing(found)) found.focus();
    else found.click();
  });

  // The help gives the focus back to its button, where Enter would open it again.
  document.addEventListener("close", (event) => { if (event.target.id === "keys") document.activeElement.blur(); }, true);

  document.addEventListener("click", (event) => {
    const dialog = event.target.closest("[data-open]")?.dataset.open;
    if (dialog) field(dialog).showModal();
  });

  // One answer at a time: a second key before the next class is there would be about a class nobody saw.
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (event.detail.target?.id !== "queue") return;
    if (sending) return event.preventDefault();
    sending = true;
    queue().classList.add("is-sending");
  });

  document.addEventListener("htmx:beforeSwap", (event) => {
    if (event.detail.target?.id !== "queue") return;
    const whole = event.detail.serverResponse.includes('id="queue"');
    if (whole && [400, 409].includes(event.detail.xhr.status)) {
      event.detail.shouldSwap = true;
      event.detail.isError = false;
    } else if (!whole && event.detail.xhr.status < 500) {
      event.detail.shouldSwap = false; // signed out meanwhile: loading the page again says what is wrong
      location.reload();
    }
  });

  document.addEventListener("htmx:afterRequest", (event) => {
    if (event.detail.target?.id !== "queue") return;
    sending = false;
    queue().classList.remove("is-sending");
    if (!event.detail.successful && ![400, 409].includes(event.detail.xhr.status)) field("queue-trouble").hidden = false;
  });

  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target?.id === "queue") scrollTo({ top: 0 });
  });
})();
