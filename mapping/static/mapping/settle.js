/* Keys for settling: each presses a button of the row that is marked. Without this file the page works as plain
   forms. */
"use strict";
(() => {
  let sending = false;
  let place = 0; // the marked row; it stays while the settled one leaves
  const settle = () => document.getElementById("settle");
  const rows = () => [...settle().querySelectorAll(".settle-row")];
  const typing = (element) => element?.matches?.("input:not([type=radio], [type=checkbox]), textarea, select");

  function mark(wanted, show = true) {
    const all = rows();
    if (!all.length) return null;
    place = Math.max(0, Math.min(wanted, all.length - 1));
    all.forEach((row, at) => row.classList.toggle("is-current", at === place));
    if (show) all[place].scrollIntoView({ block: "nearest" });
    return all[place];
  }

  function find(key) {
    const row = mark(place, false);
    if (key === "/" && row) {
      row.querySelector(".settle-more").open = true;
      return row.querySelector("input[name=find]");
    }
    const selector = `[data-keys~="${CSS.escape(key)}"]`;
    return row?.querySelector(selector) ?? settle().querySelector(`.queue-top ${selector}`);
  }

  function typed(event) {
    if (event.key === "Escape") {
      event.target.blur();
    } else if (event.key === "Enter" && event.target.name === "note") {
      event.preventDefault(); // a note is saved with the decision; Enter must not choose one
      event.target.blur();
    } else if (event.key === "Enter" && event.target.name === "find") {
      const first = event.target.form.querySelector(".found button");
      if (!first) return; // the form sends what was typed
      event.preventDefault();
      first.click();
    }
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    if (typing(event.target)) {
      typed(event);
      return;
    }
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const step = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1 }[key];
    if (step && (key.startsWith("Arrow") || !find(key))) {
      event.preventDefault();
      mark(place + step);
      return;
    }
    const found = find(key);
    if (!found || found.disabled) return;
    event.preventDefault();
    if (typing(found)) found.focus();
    else found.click();
  });

  document.addEventListener("focusin", (event) => {
    const row = event.target.closest?.(".settle-row");
    if (row) mark(rows().indexOf(row), false);
  });

  const ours = (event) => event.detail.target?.id === "settle";

  // One answer at a time: a second key before the next row is there would be about a class nobody saw.
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (!ours(event)) return;
    if (sending) {
      event.preventDefault();
      return;
    }
    sending = true;
    settle().classList.add("is-sending");
  });

  document.addEventListener("htmx:beforeSwap", (event) => {
    if (!ours(event)) return;
    const whole = event.detail.serverResponse.includes('id="settle"');
    if (whole && [400, 409].includes(event.detail.xhr.status)) {
      event.detail.shouldSwap = true;
      event.detail.isError = false;
    } else if (!whole && event.detail.xhr.status < 500) {
      event.detail.shouldSwap = false; // signed out meanwhile: loading the page again says what is wrong
      location.reload();
    }
  });

  document.addEventListener("htmx:afterRequest", (event) => {
    if (!ours(event)) return;
    sending = false;
    settle().classList.remove("is-sending");
    const answered = event.detail.successful || [400, 409].includes(event.detail.xhr.status);
    if (!answered) document.getElementById("settle-trouble").hidden = false;
  });

  document.addEventListener("htmx:afterSwap", (event) => {
    if (!ours(event)) return;
    mark(settle().querySelector("[role=alert]:not([hidden])") ? 0 : place);
  });
})();
