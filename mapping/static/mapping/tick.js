/* Tick or untick all boxes of a list, and say how many are ticked. Without this file they are ticked one by one. */
const findBoxes = (all) => [...all.form.querySelectorAll(`input[name="${all.dataset.tick}"]`)];

function showCount(all) {
  const boxes = findBoxes(all);
  const count = boxes.filter((box) => box.checked).length;
  all.checked = count > 0 && count === boxes.length;
  all.indeterminate = count > 0 && count < boxes.length;
  const words = all.form.querySelector(`[data-ticked="${all.dataset.tick}"]`);
  words.dataset.empty ??= words.textContent;
  words.textContent = count
    ? words.dataset.words.replace("{n}", count).replace("{all}", boxes.length)
    : words.dataset.empty;
}

function showCounts() {
  for (const all of document.querySelectorAll("input[data-tick]")) showCount(all);
}

document.addEventListener("change", ({ target }) => {
  const all = target.form?.querySelector("input[data-tick]");
  if (!all) return;
  if (target === all) for (const box of findBoxes(all)) box.checked = all.checked;
  showCount(all);
});
document.addEventListener("htmx:afterSettle", showCounts);
addEventListener("pageshow", showCounts); // the browser's Back restores ticks
