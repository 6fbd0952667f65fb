/* Keys for the ballot, one vote per press, and the next photo fetched meanwhile. Without this file the
   page works as plain forms. */
"use strict";
(() => {
  const SETTLE = 250; // ms after a new photo is seen before it takes an answer: a double press is for the last one
  let ready = false;
  let sending = false;
  let focused = "";

  const ballot = () => document.getElementById("ballot");

  async function begin() {
    ready = false;
    const shown = ballot();
    const photo = shown.querySelector(".ballot-photo img");
    if (photo) await photo.decode().catch(() => {});
    if (shown.dataset.following) new Image().src = shown.dataset.following;
    setTimeout(() => {
      if (shown !== ballot()) return;
      ready = true;
      shown.dataset.ready = "true";
    }, SETTLE);
  }

  function trouble() {
    const note = ballot().querySelector(".ballot-trouble");
    note.hidden = false;
    sending = false;
  }

  document.addEventListener("keydown", (event) => {
    if (event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const button = ballot().querySelector(`button[data-keys~="${CSS.escape(key)}"]`);
    if (!button) return;
    event.preventDefault();
    button.click();
  });

  document.addEventListener("submit", (event) => {
    if (!event.target.closest("#ballot")) return;
    if (!ready || sending) {
      event.preventDefault();
      event.stopImmediatePropagation();
      return;
    }
    sending = true;
    focused = document.activeElement?.id ?? "";
    ballot().classList.add("is-sending");
  }, true);

  // No ballot comes back to somebody who was signed out meanwhile: loading the page again says what is wrong.
  document.addEventListener("htmx:beforeSwap", (event) => {
    if (event.detail.target?.id === "ballot" && !event.detail.serverResponse.includes('id="ballot"')) {
      event.detail.shouldSwap = false;
      if (event.detail.xhr.status < 500) location.reload();
    }
  });

  document.addEventListener("htmx:afterSettle", () => {
    sending = false;
    if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
    begin();
  });

  for (const failure of ["htmx:sendError", "htmx:responseError", "htmx:timeout"]) {
    document.addEventListener(failure, () => {
      ballot().classList.remove("is-sending");
      trouble();
    });
  }
  addEventListener("pageshow", () => { sending = false; });
  begin();
})();
