/* Keys for settling: each key clicks a button of the marked row. Without this file the page works as plain
   forms. */
import { hasModifier, isTyping, nameKey, press, selectByKey } from "../site/keys.js";
import { leaveNote, takeOneAnswerAtATime } from "./one_answer.js";

const STEPS = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1 };
let place = 0; // of the marked row; it stays while the settled one leaves
const settle = () => document.getElementById("settle");
const rows = () => [...settle().querySelectorAll(".settle-row")];

function markRow(wanted, { isScrolled = true } = {}) {
  const all = rows();
  if (!all.length) return null;
  place = Math.max(0, Math.min(wanted, all.length - 1));
  all.forEach((row, index) => row.classList.toggle("is-current", index === place));
  if (isScrolled) all[place].scrollIntoView({ block: "nearest" });
  return all[place];
}

function findControl(key) {
  const row = markRow(place, { isScrolled: false });
  if (key === "/" && row) {
    row.querySelector(".settle-more").open = true;
    return row.querySelector("input[name=find]");
  }
  const selector = selectByKey(key);
  return row?.querySelector(selector) ?? settle().querySelector(`.queue-top ${selector}`);
}

/* By box: the words whose hashtags are below it, and those for which Enter was pressed before theirs were. */
const foundWords = new WeakMap();
const wantedWords = new WeakMap();

/* Without a hashtag the form is sent as it is, and the page says that there is none. */
function takeFirstHashtag(box) {
  if (box.value !== wantedWords.get(box) || box.value !== (foundWords.get(box) ?? "")) return;
  wantedWords.delete(box);
  const first = box.form.querySelector(".found button");
  if (first) first.click();
  else box.form.requestSubmit(box.form.querySelector(".settle-fields button"));
}

function handleFieldKey(event) {
  if (event.key === "Escape") {
    event.target.blur();
  } else if (event.key === "Enter" && event.target.name === "note") {
    leaveNote(event);
  } else if (event.key === "Enter" && event.target.name === "find") {
    event.preventDefault();
    wantedWords.set(event.target, event.target.value);
    takeFirstHashtag(event.target);
  }
}

document.addEventListener("keydown", (event) => {
  if (hasModifier(event) || event.repeat) return;
  if (isTyping(event.target)) {
    handleFieldKey(event);
    return;
  }
  const key = nameKey(event);
  const step = STEPS[key];
  if (step && (key.startsWith("Arrow") || !findControl(key))) {
    event.preventDefault();
    markRow(place + step);
    return;
  }
  const control = findControl(key);
  if (!control || control.disabled) return;
  event.preventDefault();
  press(control);
});

document.addEventListener("focusin", (event) => {
  const row = event.target.closest?.(".settle-row");
  if (row) markRow(rows().indexOf(row), { isScrolled: false });
});

document.addEventListener("htmx:afterSwap", ({ detail }) => {
  const box = detail.requestConfig.elt;
  if (box.name !== "find") return;
  foundWords.set(box, detail.requestConfig.parameters.find);
  takeFirstHashtag(box);
});

takeOneAnswerAtATime("settle", () => {
  markRow(settle().querySelector("[role=alert]:not([hidden])") ? 0 : place);
});
