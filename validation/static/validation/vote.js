/* The ballot: a photo, a hashtag, one key, button or swipe. The next photos are there already, answers go to
   the queue (vote_queue.js), and nothing waits for the server. Without script the page works as plain forms. */
"use strict";
(() => {
  const SETTLE = 150; // ms after a photo is seen before it takes an answer: a double press was for the last one
  const AHEAD = 3;
  const REMEMBERED = 50;
  const ballot = document.getElementById("ballot");
  const state = JSON.parse(document.getElementById("ballot-state").textContent);
  const say = ballot.dataset;
  const part = (name) => ballot.querySelector(`[data-part="${name}"]`);
  const each = (selector, what) => ballot.querySelectorAll(selector).forEach(what);
  const keyOf = (question) => `${question.photo}:${question.hashtag}`;
  const fill = (words, values) => words.replace(/\{(\w+)\}/g, (_, name) => values[name]);
  if (!part("question")) return; // closed: nothing to answer

  const card = ballot.querySelector(".ballot-photo");
  const images = new Map(); // of the questions at hand, loaded and decoded
  let { done, total } = state;
  let current = null;
  let asking = "nothing"; // "fit", "post" or "nothing"
  let seen = 0;
  let ready = false;
  let ahead = [];
  let filling = false;
  let anew = false; // somebody wished for a refill while one was under way
  let acts = 0; // answers given and taken back on this page
  let again = 0;

  const queue = new VoteQueue(say.store, { vote: say.votes, undo: say.undo, more: say.more },
    ballot.querySelector("[name=csrfmiddlewaretoken]").value, {
      change: showUnsent,
      sent: (operation, said) => {
        sessionStorage.removeItem("vote:reloaded");
        if (operation.kind === "undo") undone(operation, said);
        if (operation.kind !== "more") refill();
      },
      refused: (operation, said) => {
        notice(said.error);
        if (said.closed) show("closed");
        else refill();
      },
      stopped: (said) => {
        // Once: a page loaded anew has a fresh token, or asks to sign in. The answers wait in the queue.
        if (!sessionStorage.getItem("vote:reloaded")) {
          sessionStorage.setItem("vote:reloaded", "1");
          location.reload();
        } else notice(said.error || say.signedOut);
      },
    });

  // What undo takes back, newest last: what the server has, then what still waits here.
  const waiting = queue.load();
  const takenBack = new Set(waiting.filter((one) => one.kind === "undo").map((one) => one.fields.request_id));
  const given = waiting.filter((one) => one.kind === "vote");
  let history = [...(state.last ? [state.last] : []),
    ...given.map((one) => ({ request_id: one.fields.request_id, answer: one.fields.answer, question: one.about }))]
    .filter((one) => !takenBack.has(one.request_id));
  done += given.filter((one) => one.fields.request_id !== state.last?.request_id).length;

  // --- photos ---

  function picture(question) {
    if (images.has(question.photo)) return images.get(question.photo);
    const image = new Image();
    Object.assign(image, { alt: say.alt, width: question.width, height: question.height, draggable: false });
    image.src = matchMedia("(max-width: 600px)").matches ? question.small : question.image;
    images.set(question.photo, image);
    if (images.size > REMEMBERED) images.delete(images.keys().next().value);
    return image;
  }

  async function isLoaded(question) {
    try {
      await picture(question).decode();
      return true;
    } catch {
      images.delete(question.photo);
      return false;
    }
  }

  async function refill() {
    anew = filling;
    if (filling || ahead.length >= AHEAD) return;
    filling = true;
    clearTimeout(again);
    const pending = queue.load().length;
    const asOf = acts;
    try {
      const wanted = Math.min(20, AHEAD + pending + ahead.length + 2);
      const response = await fetch(`${say.next}?n=${wanted}`, { headers: { Accept: "application/json" } });
      if (!response.ok) throw new Error(response.status);
      const fresh = await response.json();
      if (fresh.closed) show("closed");
      // While votes are on their way, or were when it was drawn, the server's count is behind ours.
      if (!pending && asOf === acts) ({ done, total } = fresh);
      if (!(await take(fresh.questions)) && asking === "nothing" && done && !fresh.closed && !anew) show("done");
      showCount();
    } catch {
      if (asking === "nothing") show("waiting");
      again = setTimeout(refill, 3_000);
    } finally {
      filling = false;
      if (anew) refill();
    }
  }

  async function take(questions) {
    let taken = false;
    for (const question of questions) {
      // Again after loading: the page's own questions and the server's answer may wait for the same photo.
      if (isKnown(question) || !(await isLoaded(question)) || isKnown(question)) continue;
      ahead.push(question);
      taken = true;
      if (asking === "nothing") next();
    }
    return taken;
  }

  // On the screen, next in line, or answered here a moment ago: the list may have been drawn before the vote arrived.
  function isKnown(question) {
    const votes = queue.load().filter((one) => one.kind === "vote").map((one) => one.about);
    const answered = history.slice(-AHEAD * 2).map((one) => one.question);
    return [...(current ? [current] : []), ...ahead, ...votes, ...answered].some((one) => keyOf(one) === keyOf(question));
  }

  // --- what is shown ---

  function show(name) {
    for (const other of ballot.querySelectorAll("[data-part]")) {
      if (!other.hidden && other.dataset.part !== name && other.contains(document.activeElement)) {
        setTimeout(() => part(name).querySelector("h1")?.focus());
      }
      other.hidden = other.dataset.part !== name;
    }
    if (name !== "question") {
      asking = "nothing";
      current = null;
      announce(part(name).querySelector("h1").textContent);
      showCount();
    }
    ballot.dataset.ready = "true";
  }

  function ask(question) {
    current = question;
    asking = "fit";
    each(".tag[data-name]", (tag) => { tag.textContent = `#${question.name}`; });
    card.querySelector("img")?.remove();
    card.prepend(picture(question));
    showAttribution(question);
    showKind();
    show("question");
    showCount();
    announce(`${fill(say.question, { tag: `#${question.name}` })} ${ballot.querySelector(".ballot-count").textContent}`);
    settle();
  }

  function settle() {
    ready = false;
    delete ballot.dataset.ready;
    const shown = current;
    setTimeout(() => {
      if (shown !== current) return;
      ready = true;
      seen = performance.now();
      ballot.dataset.ready = "true";
    }, SETTLE);
  }

  function next() {
    const following = ahead.shift();
    if (following) ask(following);
    else {
      asking = "nothing";
      current = null;
      if (navigator.onLine) ballot.classList.add("is-waiting");
      else show("waiting");
    }
    ballot.classList.toggle("is-waiting", !following);
    refill();
  }

  function showKind() {
    const moved = ballot.querySelector(".ballot-form").contains(document.activeElement);
    each("[data-asks]", (block) => { block.hidden = block.dataset.asks !== asking; });
    if (moved && !document.activeElement?.offsetParent) {
      ballot.querySelector(`[data-asks="${asking}"] h1`).focus({ preventScroll: true });
    }
  }

  function showCount() {
    const words = asking === "nothing" ? say.answered : say.count;
    const numbers = { n: done, number: Math.min(done + (asking === "fit" ? 1 : 0), total), total };
    ballot.querySelector(".ballot-count").textContent = fill(words, numbers);
    Object.assign(ballot.querySelector("progress"), { max: Math.max(1, total), value: done });
    const last = history.at(-1);
    const button = document.getElementById("undo");
    button.hidden = !last;
    if (last) button.querySelector("span").textContent = fill(say.undoWords, { answer: say[last.answer] });
  }

  function showAttribution(question) {
    const caption = card.querySelector(".attribution");
    const link = (href, words) => Object.assign(document.createElement("a"),
      { href, textContent: words, target: "_blank", rel: "noreferrer" });
    const parts = [];
    if (question.licence) {
      parts.push(question.licence_url ? link(question.licence_url, question.licence) : question.licence);
    }
    if (question.source_url) parts.push(link(question.source_url, say.source));
    caption.replaceChildren(...parts.flatMap((one, index) => (index ? [" · ", one] : [one])));
    if (!parts.length) caption.textContent = say.unattributed;
  }

  function showUnsent(operations) {
    const note = ballot.querySelector(".ballot-unsent");
    const votes = operations.filter((one) => one.kind === "vote").length;
    const count = votes || operations.length;
    // What goes out at once needs no words: only what was tried in vain, or piles up.
    note.hidden = !count || (navigator.onLine && count < 3 && operations[0].tries < 2);
    note.textContent = fill(say.unsent, { n: count });
    if (asking === "nothing" && !part("waiting").hidden && !count) refill();
  }

  function notice(words) {
    const note = ballot.querySelector(".ballot-trouble");
    note.hidden = !words;
    note.textContent = words ?? "";
  }

  function announce(words) { ballot.querySelector("[data-live]").textContent = words; }

  function offerReasons(vote) {
    const why = ballot.querySelector(".ballot-why");
    why.dataset.request = vote?.request_id ?? "";
    why.classList.toggle("is-empty", vote?.answer !== "does_not_fit");
    if (vote) why.querySelector("[data-why]").textContent = fill(say.why, { tag: `#${vote.question.name}` });
    each("[data-reason]", (button) => button.setAttribute("aria-pressed", "false"));
  }

  // --- what people do ---

  function answer(chosen) {
    if (!ready || asking !== "fit") return;
    const vote = { request_id: VoteQueue.uuid(), answer: chosen, question: current };
    const seconds = ((performance.now() - seen) / 1000).toFixed(2);
    const { photo, hashtag } = current;
    ready = false;
    acts += 1;
    done += 1;
    history = [...history, vote].slice(-REMEMBERED);
    notice("");
    offerReasons(vote);
    leave({ fits: "right", does_not_fit: "left" }[chosen] ?? "down");
    queue.add("vote", { photo, hashtag, answer: chosen, request_id: vote.request_id, seconds }, current);
    if (current.ask_would_post && chosen !== "skip") askWhetherToPost();
    else next();
  }

  function askWhetherToPost() {
    asking = "post";
    showKind();
    showCount();
    announce(fill(say.wouldPost, { tag: `#${current.name}` }));
    settle();
  }

  function answerPost(chosen) {
    if (!ready || asking !== "post") return;
    ready = false;
    if (chosen !== "skip") queue.add("more", { request_id: history.at(-1).request_id, would_post: chosen });
    next();
  }

  function giveReason(button) {
    const why = ballot.querySelector(".ballot-why");
    if (!button || why.classList.contains("is-empty")) return;
    if (button.getAttribute("aria-pressed") === "true") return;
    each("[data-reason]", (other) => other.setAttribute("aria-pressed", String(other === button)));
    queue.add("more", { request_id: why.dataset.request, reason: button.dataset.reason });
  }

  function undo() {
    const last = history.pop();
    if (!last) return;
    if (!queue.dropUntried(last.request_id)) queue.add("undo", { request_id: last.request_id });
    acts += 1;
    done = Math.max(0, done - 1);
    if (current && asking === "fit") ahead.unshift(current);
    offerReasons(null);
    notice("");
    ballot.classList.remove("is-waiting");
    ask(last.question);
  }

  function undone(operation, said) {
    if (!said.undone && operation.tries === 1) notice(say.stands);
    if (!history.length && said.last && keyOf(said.last.question) !== (current && keyOf(current))) history = [said.last];
    showCount();
  }

  // The answered photo flies off in the answer's direction while the next one is there already.
  function leave(way) {
    const image = card.querySelector("img");
    if (!image || matchMedia("(prefers-reduced-motion: reduce)").matches) return;
    const ghost = image.cloneNode();
    ghost.alt = "";
    ghost.className = `is-leaving to-${way}`;
    card.append(ghost);
    ghost.addEventListener("animationend", () => ghost.remove());
  }

  const WAYS = { right: ["fits", "yes"], left: ["does_not_fit", "no"], down: ["skip", "skip"], up: ["skip", "skip"] };
  const toward = (way) => (asking === "post" ? answerPost(WAYS[way][1]) : answer(WAYS[way][0]));

  ballot.addEventListener("submit", (event) => {
    event.preventDefault();
    if (event.target.querySelector("#undo")) undo();
    else answer(event.submitter?.value);
  });
  ballot.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-post], button[data-reason]");
    if (button?.dataset.post) answerPost(button.dataset.post);
    else if (button) giveReason(button);
  });
  document.addEventListener("keydown", (event) => {
    if (event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input:not([type=hidden]), select, textarea")) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    // By place, too: on a Russian keyboard the key of f gives another letter.
    const place = event.code.startsWith("Key") ? event.code.slice(3).toLowerCase() : key;
    for (const name of [key, place]) {
      const button = [...ballot.querySelectorAll(`button[data-keys~="${CSS.escape(name)}"]`)]
        .find((one) => one.offsetParent);
      if (!button) continue;
      event.preventDefault();
      button.click();
      return;
    }
  });
  followFinger(card, toward);

  // --- begin ---
  showUnsent(waiting);
  offerReasons(null);
  ballot.classList.add("is-live");
  const open = state.questions.filter((one) => !given.some((vote) => keyOf(vote.about) === keyOf(one)));
  const shownImage = card.querySelector("img");
  if (shownImage && state.questions.length) images.set(state.questions[0].photo, shownImage);
  if (open.length) ask(open[0]);
  else if (state.questions.length) next();
  else showCount();
  if (!current) ballot.dataset.ready = "true";
  take(open.slice(1)).then(refill);
  if (waiting.length) queue.flush();
})();
