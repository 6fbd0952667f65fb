/* The ballot: one photo, one hashtag, and one key, button or swipe per answer. The next photos are loaded ahead,
   answers go to a queue, and nothing waits for the server. Without script the page works as plain forms.
   This module handles keys, clicks, swipes and replies. vote_state.js holds the state, vote_screen.js shows it,
   and vote_queue.js and vote_network.js send it to the server. */
import { hasModifier, isTyping, nameKey, selectByKey } from "../site/keys.js";
import { fetchQuestions, Refill, sendVote } from "./vote_network.js";
import { decode, isSeen, pause, Photos } from "./vote_photos.js";
import { makeRequestId, VoteQueue } from "./vote_queue.js";
import { Screen } from "./vote_screen.js";
import { VoteState } from "./vote_state.js";
import { followFinger } from "./vote_swipe.js";
import { Zoom } from "./vote_zoom.js";

const SETTLE = 150; // ms after a photo is seen before it takes an answer: a double press was for the last one
const SOON = 2_000; // ms until waiting is put in words
const POST_DIRECTIONS = { yes: "right", no: "left", skip: "down" };
const POST_ANSWERS = { right: "yes", left: "no", down: "skip", up: "skip" };
const RELOADED = "vote:reloaded"; // kept for this window: the page was loaded again to sign in

const ballot = document.getElementById("ballot");
const page = JSON.parse(document.getElementById("ballot-state").textContent);
const urls = { vote: ballot.dataset.votes, undo: ballot.dataset.undo, more: ballot.dataset.more };
const token = ballot.querySelector("[name=csrfmiddlewaretoken]").value;
const screen = new Screen(ballot, page.answers);
const zoom = new Zoom(ballot.querySelector("dialog.zoom"));
const photos = new Photos(ballot.dataset.alt);
const queue = new VoteQueue({
  name: ballot.dataset.store,
  send,
  on: {
    change: showUnsent,
    sent: handleSent,
    refused: handleRefused,
    stopped: handleStopped,
    delayed: () => refill.runLater(),
  },
});
const unsentAtStart = queue.load();
const state = new VoteState(page, unsentAtStart, !screen.findPart("question"));
const refill = new Refill(() => state.wantsMore && !queue.isSendingVotes, fetchMore);
let hintTimer = 0; // puts waiting in words

// --- photos and questions ---

/* Photos load in parallel, so that a slow one does not hold up the others. */
async function load(entry) {
  entry.isReady = await photos.load(entry.question);
  if (!entry.isReady) {
    state.drop(entry);
    refill.runLater();
  } else if (state.asking === "nothing" && !state.isClosed) {
    askNext();
  }
}

/* A vote's reply brings the next questions if they are wanted: one request for each judged photo. */
async function send(kind, fields) {
  if (kind !== "vote" || !state.wantsMore) return sendVote(urls[kind], token, fields);
  const others = queue.load().slice(1);
  const moment = state.takeMoment(others);
  const sent = await sendVote(urls.vote, token, { ...fields, n: state.countToFetch(others) });
  return { ...sent, reply: { ...sent.reply, moment } };
}

async function fetchMore() {
  const unsent = queue.load();
  const moment = state.takeMoment(unsent);
  try {
    const fresh = await fetchQuestions(ballot.dataset.next, state.countToFetch(unsent));
    if (state.isOutdated(moment)) refill.isAskedAgain = true;
    else take(fresh, moment);
  } catch {
    if (state.asking === "nothing" && screen.isShown("question")) showMessage("waiting");
    refill.runLater();
  }
}

function take(fresh, moment) {
  if (fresh.closed) {
    close();
    return;
  }
  const wasAsking = state.asking !== "nothing";
  state.take(fresh, moment, queue.load()).forEach(load);
  showProgress();
  if (wasAsking && state.asking === "nothing") askNext(); // its answer came from elsewhere
  if (state.asking !== "nothing" || state.line.length || refill.isAskedAgain) return;
  // There was no question when the page was loaded, and the page says why.
  const isIdle = screen.isShown("preparing") || screen.isShown("nothing");
  if (fresh.questions.length) refill.runLater(); // answered here, and the answers are on their way
  else if (!isIdle) showMessage("done");
}

// --- what is asked ---

function ask(question) {
  state.ask(question);
  screen.showQuestion(question, photos.get(question));
  showProgress();
  screen.announceQuestion(question);
  settle();
}

/* Nobody judges a photo they have not seen: wait for it, unless it fails or takes too long. */
async function settle() {
  const turn = state.beginTurn();
  const { image } = screen;
  screen.showReady(false);
  await decode(image);
  await pause(SETTLE);
  if (turn !== state.turn) return;
  state.takeAnswers(performance.now());
  screen.showReady(true);
  if (isSeen(image)) return;
  screen.notify("unseen");
  const settleAgain = () => {
    if (turn !== state.turn) return;
    screen.notify("");
    settle();
  };
  image.addEventListener("load", settleAgain, { once: true });
}

function askNext() {
  const question = state.askNext();
  if (question) ask(question);
  else wait();
  refill.run();
}

function wait() {
  state.askNothing();
  screen.showWaiting();
  clearTimeout(hintTimer);
  hintTimer = setTimeout(
    () => {
      if (state.asking === "nothing" && screen.isShown("question")) showMessage("waiting");
    },
    navigator.onLine ? SOON : 0,
  );
}

function showMessage(name) {
  state.askNothing();
  screen.showMessage(name);
  showProgress();
  if (name !== "waiting") screen.showReady(true);
}

function showProgress() {
  screen.showProgress(state.progress, state.last);
}

function showUnsent(operations) {
  screen.showUnsent(operations);
  if (!operations.length && screen.isShown("waiting")) refill.run();
}

function close() {
  if (state.isClosed) return;
  state.close();
  screen.offerReasons(null);
  showMessage("closed");
}

// --- what people do ---

function answer(chosen) {
  if (!state.mayAnswer(chosen)) return;
  if (page.answers[chosen].judges && !isSeen(screen.image)) {
    screen.notify("unseen");
    return;
  }
  const question = state.current;
  const { photo, hashtag } = question;
  const seconds = ((performance.now() - state.seenAt) / 1000).toFixed(2);
  const vote = state.answer(chosen, makeRequestId());
  screen.notify("");
  screen.offerReasons(vote);
  queue.add("vote", { photo, hashtag, answer: chosen, request_id: vote.request_id, seconds }, question);
  if (state.asking === "post") askWhetherToPost(question);
  else leave(page.answers[chosen].swipes[0]);
}

function askWhetherToPost(question) {
  screen.showKind("post");
  showProgress();
  screen.announceWouldPost(question);
  settle();
}

function answerPost(chosen) {
  if (!state.mayAnswerPost()) return;
  state.isReady = false;
  if (chosen !== "skip") queue.add("more", { request_id: state.posting, would_post: chosen });
  leave(POST_DIRECTIONS[chosen]);
}

function leave(direction = "down") {
  screen.flyOff(direction);
  askNext();
}

function giveReason(button) {
  if (!screen.mayGiveReason(button)) return;
  screen.markReason(button);
  queue.add("more", { request_id: screen.explained, reason: button.dataset.reason });
}

function undo() {
  if (!state.last) return;
  const { request_id, question } = state.last;
  if (!queue.dropUntried(request_id)) queue.add("undo", { request_id });
  state.undo();
  screen.offerReasons(null);
  screen.notify("");
  ask(question);
}

// --- the server's replies ---

function handleSent(operation, reply) {
  sessionStorage.removeItem(RELOADED);
  if (operation.kind === "vote") confirmVote(operation, reply);
  if (operation.kind === "undo") confirmUndo(operation, reply);
  if (reply.next && !state.isOutdated(reply.moment)) take(reply.next, reply.moment);
  else if (operation.kind !== "more") refill.run();
}

/* If the question was answered before in another window, the server did not keep this vote, so it cannot be undone
   or explained. If this same vote arrived twice because its acknowledgement was lost, it was tried more than once. */
function confirmVote({ fields, tries }, reply) {
  const isOurs = reply.answer === fields.answer && tries > 1;
  if (!reply.repeated || isOurs) return;
  state.forget(fields.request_id);
  leaveForgotten(fields.request_id);
  if (reply.answer !== fields.answer) screen.notify("before", { answer: page.answers[reply.answer].words });
  showProgress();
}

function confirmUndo({ tries }, reply) {
  if (!reply.undone && tries === 1) screen.notify("stands");
  state.restore(reply.last);
  showProgress();
}

function handleRefused({ kind, fields }, reply) {
  if (kind === "vote") {
    state.refuse(fields.request_id, reply.closed);
    leaveForgotten(fields.request_id);
  }
  if (reply.closed && state.late) screen.notify("late", { n: state.late });
  else if (!reply.closed || kind === "undo") screen.notifyInWords(reply.error);
  if (reply.closed) close();
  else refill.run();
  showProgress();
}

/* Stop asking for reasons of a vote that was not kept. */
function leaveForgotten(requestId) {
  if (screen.explained === requestId) screen.offerReasons(null);
  if (state.isAskingToPost(requestId)) askNext();
}

/* Reload once: the new page has a fresh token or asks to sign in. The answers wait in the queue. */
function handleStopped(reply) {
  if (sessionStorage.getItem(RELOADED)) {
    screen.notifyInWords(reply.error || screen.words.signedOut);
  } else {
    sessionStorage.setItem(RELOADED, "1");
    location.reload();
  }
}

// --- keys, buttons, swipes ---

function handleSubmit(event) {
  if (event.target.matches(".languages")) return; // the page in another language
  event.preventDefault();
  if (event.target.querySelector("#undo")) undo();
  else answer(event.submitter?.value);
}

function handleClick(event) {
  const button = event.target.closest("button[data-post], button[data-reason], button[data-zoom]");
  if (button && "zoom" in button.dataset) zoom.open(screen.image);
  else if (button?.dataset.post) answerPost(button.dataset.post);
  else if (button) giveReason(button);
}

function handleKey(event) {
  // Enter held down would press the focused button again and again.
  const isPress = ["Enter", " "].includes(event.key) && event.target.closest("#ballot button");
  if (event.repeat && isPress) event.preventDefault();
  if (zoom.isOpen) return; // nobody answers behind the dialog
  if (event.repeat || hasModifier(event) || isTyping(event.target)) return;
  const key = nameKey(event);
  // Also compare the key's position: on a Russian keyboard the key of f types another letter.
  const place = event.code.startsWith("Key") ? event.code.slice(3).toLowerCase() : key;
  const button = [key, place]
    .flatMap((name) => [...ballot.querySelectorAll(`button${selectByKey(name)}`)])
    .find((one) => one.offsetParent);
  if (!button) return;
  event.preventDefault();
  button.click();
}

function handleSwipe(direction) {
  if (state.asking === "post") answerPost(POST_ANSWERS[direction]);
  else answer(Object.keys(page.answers).find((one) => page.answers[one].swipes.includes(direction)));
}

// --- begin ---

function begin() {
  ballot.addEventListener("submit", handleSubmit);
  ballot.addEventListener("click", handleClick);
  document.addEventListener("keydown", handleKey);
  followFinger(screen.card, handleSwipe);
  screen.showUnsent(unsentAtStart);
  screen.offerReasons(null);
  ballot.classList.add("is-live");
  if (screen.image && page.questions.length) photos.keep(page.questions[0], screen.image);
  const [first, ...others] = state.questions;
  if (first) {
    ask(first);
  } else if (page.questions.length) {
    wait();
  } else {
    showProgress();
    screen.showReady(true);
  }
  state.enqueue(others, unsentAtStart).forEach(load);
  refill.run();
  if (unsentAtStart.length) queue.flush();
}

addEventListener("online", () => queue.flush());
addEventListener("storage", (event) => {
  if (event.key === queue.name) showUnsent(queue.load()); // another window has sent something
});
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) queue.flush();
});
if (state.isClosed) queue.flush(); // nothing to answer; what still waits here is told that it comes too late
else begin();
