/* Tick or untick all boxes of a list, and say how many are ticked. Without this file they are ticked one by one. */
"use strict";
(() => {
  const boxes = (all) => [...all.form.querySelectorAll(`input[name="${all.dataset.tick}"]`)];

  function tell(all) {
    const every = boxes(all);
    const ticked = every.filter((box) => box.checked).length;
    all.checked = ticked > 0 && ticked === every.length;
    all.indeterminate = ticked > 0 && ticked < every.length;
    const words = all.form.querySelector(`[data-ticked="${all.dataset.tick}"]`);
    words.dataset.empty ??= words.textContent;
    words.textContent = ticked ? `${ticked} of ${every.length} ticked` : words.dataset.empty;
  }

  document.addEventListener("change", (event) => {
    const form = event.target.form;
    const all = form?.querySelector("input[data-tick]");
    if (!all) return;
    if (event.target === all) for (const box of boxes(all)) box.checked = all.checked;
    tell(all);
  });

  const tellAll = () => { for (const all of document.querySelectorAll("input[data-tick]")) tell(all); };
  document.addEventListener("htmx:afterSettle", tellAll);
  addEventListener("pageshow", tellAll); // the browser's Back restores ticks
})();
