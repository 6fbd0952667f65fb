/* Tables on a narrow screen: a card per row, in which each cell says the name of its column.
   Without this file, tables scroll sideways. */

/* Each column's words, in the order of the columns; none for what only screen readers are told. */
function columnNames(table) {
  const names = [];
  for (const cell of table.tHead?.rows[0]?.cells ?? []) {
    const words = cell.querySelector(".visually-hidden") ? "" : cell.textContent.trim().replace(/\s+/g, " ");
    for (let i = 0; i < cell.colSpan; i += 1) names.push(words);
  }
  return names;
}

function nameCells(table) {
  const names = columnNames(table);
  if (names.length === 0) return;
  table.classList.add("entries");
  for (const row of [...table.tBodies].flatMap((body) => [...body.rows])) {
    let column = 0;
    for (const cell of row.cells) {
      const name = names[column];
      if (name && column > 0 && cell.colSpan === 1) cell.dataset.name ??= name;
      column += cell.colSpan;
    }
  }
}

/* What scrolls can be reached by keys. */
function letKeysScroll(box) {
  if (box.scrollWidth > box.clientWidth || box.scrollHeight > box.clientHeight) box.tabIndex = 0;
  else box.removeAttribute("tabindex");
}

const SCROLLING = ".scroll, pre, .tall, .tree, .senses, .domains";
const sizes = new ResizeObserver((changes) => changes.forEach(({ target }) => letKeysScroll(target)));

function arrange(part) {
  for (const table of part.querySelectorAll("table.table:not(.entries)")) nameCells(table);
  for (const box of part.querySelectorAll(SCROLLING)) sizes.observe(box);
}

arrange(document);
document.addEventListener("htmx:load", ({ target }) => arrange(target.parentElement ?? target));
