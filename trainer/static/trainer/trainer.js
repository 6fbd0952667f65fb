/* The trainer's forms. They also work without this file. */

// A form marked data-once is sent once: the second click of a double click does nothing.
// The server handles a repeated request anyway; this only avoids doubt about whether the click worked.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.matches("[data-once]")) return;
  if (form.dataset.sent) {
    event.preventDefault();
    return;
  }
  form.dataset.sent = "yes";
  for (const button of form.querySelectorAll("button")) button.setAttribute("aria-busy", "true");
});
// After the Back button the page is as it was left, so its forms must be enabled again.
addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("[data-once]")) {
    delete form.dataset.sent;
    for (const button of form.querySelectorAll("button")) button.removeAttribute("aria-busy");
  }
});

// The try-it form accepts a dropped or pasted photo, and sends itself as soon as it has one.
function takePhotos(form) {
  const input = form.querySelector("input[type=file]");
  const take = (files) => {
    const photo = [...files].find((file) => file.type.startsWith("image/"));
    if (!photo) return;
    const transfer = new DataTransfer();
    transfer.items.add(photo);
    input.files = transfer.files;
    form.requestSubmit();
  };
  input.addEventListener("change", () => {
    if (input.files.length) form.requestSubmit();
  });
  for (const name of ["dragenter", "dragover"]) {
    form.addEventListener(name, (event) => {
      event.preventDefault();
      form.classList.add("is-over");
    });
  }
  for (const name of ["dragleave", "drop"]) {
    form.addEventListener(name, () => form.classList.remove("is-over"));
  }
  form.addEventListener("drop", (event) => {
    event.preventDefault();
    take(event.dataTransfer.files);
  });
  document.addEventListener("paste", (event) => take(event.clipboardData.files));
}

// A changed setting is marked, and counted in the summary line of the closed form.
function markChanges() {
  const settings = document.getElementById("settings");
  if (!settings) return;
  let count = 0;
  for (const input of settings.querySelectorAll("[data-filled]")) {
    const isChanged = input.value.trim() !== input.dataset.filled;
    input.closest(".setting").classList.toggle("is-changed", isChanged);
    if (isChanged) count += 1;
  }
  const words = settings.querySelector("[data-changed-count]");
  words.dataset.before ??= words.textContent;
  words.textContent = count ? words.dataset.words.replace("%s", count) : words.dataset.before;
}
document.addEventListener("input", (event) => {
  if (event.target.closest("#settings")) markChanges();
});
document.addEventListener("htmx:afterSettle", markChanges);
document.addEventListener("DOMContentLoaded", markChanges);

const drop = document.querySelector("[data-drop]");
if (drop) takePhotos(drop);
