/* Keys for the queue: each key clicks a button or a link of the page. Without this file the page works as plain
   forms. */
import { hasModifier, isTyping, nameKey, press, selectByKey } from "../site/keys.js";
import { leaveNote, takeOneAnswerAtATime } from "./one_answer.js";

const queue = () => document.getElementById("queue");

function chooseNextSense() {
  const senses = [...queue().querySelectorAll("input[name=sense]")];
  if (senses.length < 2) return;
  const place = senses.findIndex((sense) => sense.checked);
  senses[(place + 1) % senses.length].click();
}

/* The chosen hypernym may be far down its path. The page stays where it is. */
function showChosenHypernym() {
  const chosen = queue().querySelector(".tree input:checked");
  const tree = chosen?.closest(".tree");
  if (!tree) return;
  const hidden = chosen.closest("li").getBoundingClientRect().bottom - tree.getBoundingClientRect().bottom;
  if (hidden > 0) tree.scrollTop += hidden;
}

/* The words whose hashtags are on the page, and those for which Enter was pressed before theirs were. */
let foundWords = "";
let wantedWords = null;

/* The box loses the focus first; otherwise the next class's box would get it, and with it the next keys. */
function takeFirstHashtag(box) {
  if (box.value !== wantedWords || box.value !== foundWords) return;
  const first = queue().querySelector("#found button");
  if (!first) return;
  wantedWords = null;
  box.blur();
  first.click();
}

function handleFieldKey(event) {
  if (event.key === "Escape") {
    wantedWords = null;
    document.activeElement.blur();
  } else if (event.key === "Enter" && event.target.id === "find") {
    event.preventDefault();
    wantedWords = event.target.value;
    takeFirstHashtag(event.target);
  } else if (event.key === "Enter" && event.target.id === "note") {
    leaveNote(event);
  }
}

function findControl(key) {
  if (key === "/") return document.getElementById("find");
  if (key === "n") return document.getElementById("note");
  if (key === "s") chooseNextSense();
  return document.querySelector(`main ${selectByKey(key)}`);
}

/* Enter acts on the focused element, and the arrows move within a group of radio buttons. */
function isOfFocus(key, element) {
  if (key === "Enter") return element.matches("a, button, input, summary");
  return key.startsWith("Arrow") && element.matches("input");
}

document.addEventListener("keydown", (event) => {
  if (hasModifier(event) || document.querySelector("dialog[open]")) return;
  if (isTyping(event.target)) {
    handleFieldKey(event);
    return;
  }
  if (event.repeat) return; // a key held down is one answer
  const key = nameKey(event);
  if (isOfFocus(key, event.target)) return;
  const control = findControl(key);
  if (!control) return;
  event.preventDefault();
  press(control);
});

document.addEventListener("htmx:afterSwap", ({ detail }) => {
  if (detail.target.id === "queue") {
    foundWords = "";
    wantedWords = null;
    showChosenHypernym();
  }
  // Results for the class before may come late: their place has left the page.
  if (detail.target !== document.getElementById("found")) return;
  foundWords = detail.requestConfig.elt.id === "find" ? detail.requestConfig.parameters.find : "";
  takeFirstHashtag(document.getElementById("find"));
});

// Closing the help returns the focus to its button, where Enter would open it again.
document.addEventListener(
  "close",
  (event) => {
    if (event.target.id === "keys") document.activeElement.blur();
  },
  true,
);

document.addEventListener("click", (event) => {
  const dialog = event.target.closest("[data-open]")?.dataset.open;
  if (dialog) document.getElementById(dialog).showModal();
});

takeOneAnswerAtATime("queue", () => scrollTo({ top: 0 }));
showChosenHypernym();
