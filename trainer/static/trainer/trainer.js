"use strict";
// A form marked data-once is sent once: the second click of a double click does nothing.
// The server copes with both anyway; this spares people the question whether it worked.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.matches("[data-once]")) return;
  if (form.dataset.sent) { event.preventDefault(); return; }
  form.dataset.sent = "yes";
  form.querySelectorAll("button").forEach((button) => { button.setAttribute("aria-busy", "true"); });
});
// Back in the history a page stands as it was left: its forms may be sent again.
window.addEventListener("pageshow", () => {
  document.querySelectorAll("[data-once]").forEach((form) => {
    delete form.dataset.sent;
    form.querySelectorAll("button").forEach((button) => { button.removeAttribute("aria-busy"); });
  });
});

// The try-it form takes a dropped or pasted photo, and asks as soon as it has one.
const drop = document.querySelector("[data-drop]");
if (drop) {
  const input = drop.querySelector("input[type=file]");
  const take = (files) => {
    const photo = [...files].find((file) => file.type.startsWith("image/"));
    if (!photo) return;
    const chosen = new DataTransfer();
    chosen.items.add(photo);
    input.files = chosen.files;
    drop.requestSubmit();
  };
  input.addEventListener("change", () => { if (input.files.length) drop.requestSubmit(); });
  for (const name of ["dragenter", "dragover"]) {
    drop.addEventListener(name, (event) => { event.preventDefault(); drop.classList.add("is-over"); });
  }
  for (const name of ["dragleave", "drop"]) {
    drop.addEventListener(name, () => drop.classList.remove("is-over"));
  }
  drop.addEventListener("drop", (event) => { event.preventDefault(); take(event.dataTransfer.files); });
  document.addEventListener("paste", (event) => { take(event.clipboardData.files); });
}

// A changed setting is marked, and counted in the line that stands above a closed form.
const markChanged = () => {
  const settings = document.getElementById("settings");
  if (!settings) return;
  let count = 0;
  for (const input of settings.querySelectorAll("[data-filled]")) {
    const changed = input.value.trim() !== input.dataset.filled;
    input.closest(".setting").classList.toggle("is-changed", changed);
    count += changed;
  }
  const words = settings.querySelector("[data-changed-count]");
  words.dataset.before ??= words.textContent;
  words.textContent = count ? `${count} changed` : words.dataset.before;
};
document.addEventListener("input", (event) => { if (event.target.closest("#settings")) markChanged(); });
document.addEventListener("htmx:afterSettle", markChanged);
document.addEventListener("DOMContentLoaded", markChanged);
