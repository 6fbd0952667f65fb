/* The search on every page: Ctrl-K or ⌘K, and / where the page has no use of its own for it. */

import { hasModifier, isTyping } from "./keys.js";

const dialog = document.getElementById("search");
const opener = document.querySelector("[data-search]");

function open(event) {
  if (!dialog && !document.getElementById("words")) return;
  event.preventDefault();
  if (!dialog) {
    document.getElementById("words").focus(); // the page of the search has its field already
    return;
  }
  if (!dialog.open) dialog.showModal();
  dialog.querySelector("input").select();
}

function opensSearch(event) {
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") return true;
  if (event.key !== "/" || hasModifier(event) || isTyping(event.target)) return false;
  // Pages for curators have a field of their own for it.
  return !document.querySelector("input[name=find], dialog[open]");
}

opener.addEventListener("click", (event) => {
  if (!event.ctrlKey && !event.metaKey && !event.shiftKey) open(event);
});
document.addEventListener("keydown", (event) => {
  if (opensSearch(event)) open(event);
});
dialog?.addEventListener("click", (event) => {
  if (event.target === dialog) dialog.close();
});
