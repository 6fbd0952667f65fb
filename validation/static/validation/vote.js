/* The ballot: a photo, a hashtag, one key, button or swipe. The next photos are there already, answers go to
   the queue (vote_queue.js), and nothing waits for the server. Without script the page works as plain forms. */
"use strict";
(() => {
  const SETTLE = 150; // ms after a photo is seen before it takes an answer: a double press was for the last one
  const AGAIN = 3_000; // ms until questions or a photo are asked for again
  const SOON = 2_000; // ms until waiting is put in words
  const AHEAD = 3;
  const REMEMBERED = 50;
  const ANSWERS = ["fits", "does_not_fit", "skip"];
  const ballot = document.getElementById("ballot");
  const state = JSON.parse(document.getElementById("ballot-state").textContent);
  const say = ballot.dataset;
  const part = (name) => ballot.querySelector(`[data-part="${name}"]`);
  const each = (selector, what) => ballot.querySelectorAll(selector).forEach(what);
  const keyOf = (question) => `${question.photo}:${question.hashtag}`;
  const fill = (words, values) => words.replace(/\{(\w+)\}/g, (_, name) => values[name]);
  const pause = (ms) => new Promise((go) => setTimeout(go, ms));

  const card = ballot.querySelector(".ballot-photo");
  const why = ballot.querySelector(".ballot-why");
  const images = new Map(); // of the questions at hand, loaded and decoded
  const missed = new Map(); // how often a photo could not be loaded
  let { done, total, capped } = state;
  let isClosed = !part("question");
  let current = null;
  let asking = "nothing"; // "fit", "post" or "nothing"
  let posting = ""; // the request id of the vote that is asked whether its photo would be posted
  let turn = 0; // what is asked, counted
  let seen = 0;
  let ready = false;
  let line = []; // of what is asked next, in the server's order: {question, isReady}
  let filling = false;
  let anew = false; // somebody wished for a refill while one was under way
  let acts = 0; // answers given and taken back on this page
  let forgotten = 0; // answers that were not kept
  let late = 0; // answers that came after the campaign was closed
  let again = 0;
  let hint = 0; // the timer that puts waiting in words

  const queue = new VoteQueue(say.store, { vote: say.votes, undo: say.undo, more: say.more },
    ballot.querySelector("[name=csrfmiddlewaretoken]").value, {
      change: showUnsent,
      sent: (operation, said) => {
        sessionStorage.removeItem("vote:reloaded");
        if (operation.kind === "vote") kept(operation, said);
        if (operation.kind === "undo") undone(operation, said);
        if (operation.kind !== "more") refill();
      },
      refused,
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
  // The last of the server may wait here, too: only its acknowledgement was lost.
  const isBoth = given.some((one) => one.fields.request_id === state.last?.request_id);
  let history = [...(state.last && !isBoth ? [state.last] : []),
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

  // Until it can be seen, has failed, or has taken too long.
  const decoded = (image) => Promise.race([image.decode().catch(() => {}), pause(VoteQueue.PATIENCE)]);
  const isSeen = (image) => image.complete && image.naturalWidth > 0;

  // All at once: a slow one holds up none that are here. What failed twice is asked all the same, to be skipped.
  async function load(one) {
    const { photo } = one.question;
    const image = picture(one.question);
    await decoded(image);
    if (!isSeen(image)) {
      if (image.complete) images.delete(photo); // failed: the next try asks for it anew
      missed.set(photo, (missed.get(photo) ?? 0) + 1);
    }
    one.isReady = isSeen(image) || missed.get(photo) > 1;
    if (!one.isReady) {
      line = line.filter((other) => other !== one);
      refillLater();
    } else if (asking === "nothing" && !isClosed) next();
  }

  async function refill() {
    anew = filling;
    if (isClosed || filling || line.filter((one) => one.isReady).length >= AHEAD) return;
    filling = true;
    clearTimeout(again);
    const pending = queue.load().length;
    const asOf = acts;
    const before = forgotten;
    try {
      const wanted = Math.min(20, AHEAD + pending + line.length + 2);
      const response = await fetch(`${say.next}?n=${wanted}`,
        { headers: { Accept: "application/json" }, signal: AbortSignal.timeout?.(VoteQueue.PATIENCE) });
      if (!response.ok) throw new Error(response.status);
      const fresh = await response.json();
      // What was refused since then may still be in it. And while votes are on their way, or were when it was
      // drawn, its count is behind ours.
      if (before === forgotten) heed(fresh, !pending && asOf === acts);
      else anew = true;
    } catch {
      if (asking === "nothing" && !part("question").hidden) show("waiting");
      refillLater();
    } finally {
      filling = false;
      if (anew) refill();
    }
  }

  function refillLater() {
    clearTimeout(again);
    again = setTimeout(refill, AGAIN);
  }

  function heed(fresh, isUpToDate) {
    if (fresh.closed) return close();
    if (isUpToDate) done = fresh.done;
    take(fresh.questions);
    total = Math.max(fresh.total, done + line.length + (asking === "fit" ? 1 : 0));
    capped = fresh.capped;
    showCount();
    if (asking !== "nothing" || line.length || anew) return;
    if (fresh.questions.length) refillLater(); // answered here, and the answers are on their way
    else if (!isIdle()) show("done");
  }

  function take(questions) {
    for (const question of questions) {
      if (isKnown(question)) continue;
      const one = { question, isReady: false };
      line.push(one);
      load(one);
    }
  }

  // Nothing was there to ask when the page came, and the page says why.
  const isIdle = () => ["preparing", "nothing"].some((name) => part(name)?.hidden === false);

  // On the screen, next in line, or answered here a moment ago: the list may have been drawn before the vote arrived.
  function isKnown(question) {
    const votes = queue.load().filter((one) => one.kind === "vote").map((one) => one.about);
    const answered = history.slice(-AHEAD * 2).map((one) => one.question);
    const known = [...(current ? [current] : []), ...line.map((one) => one.question), ...votes, ...answered];
    return known.some((one) => keyOf(one) === keyOf(question));
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
      if (name !== "waiting") ballot.dataset.ready = "true";
    }
  }

  function ask(question) {
    current = question;
    asking = "fit";
    each(".tag[data-name]", (tag) => { tag.textContent = `#${question.name}`; });
    card.querySelector("img")?.remove();
    card.prepend(picture(question));
    showAttribution(question);
    showKind();
    ballot.classList.remove("is-waiting");
    show("question");
    showCount();
    announce(`${fill(say.question, { tag: `#${question.name}` })} ${ballot.querySelector(".ballot-count").textContent}`);
    settle();
  }

  // Nobody judges what they have not seen: the photo is awaited, unless it fails or takes too long.
  async function settle() {
    const mine = (turn += 1);
    const image = card.querySelector("img");
    ready = false;
    delete ballot.dataset.ready;
    await decoded(image);
    await pause(SETTLE);
    if (mine !== turn) return;
    ready = true;
    seen = performance.now();
    ballot.dataset.ready = "true";
    if (isSeen(image)) return;
    notice(say.unseen);
    image.onload = () => {
      if (mine !== turn) return;
      notice("");
      settle();
    };
  }

  function next() {
    const following = line.find((one) => one.isReady);
    line = line.filter((one) => one !== following);
    if (following) ask(following.question);
    else wait();
    refill();
  }

  function wait() {
    asking = "nothing";
    current = null;
    delete ballot.dataset.ready;
    ballot.classList.add("is-waiting");
    clearTimeout(hint);
    hint = setTimeout(() => {
      if (asking === "nothing" && !part("question").hidden) show("waiting");
    }, navigator.onLine ? SOON : 0);
  }

  function close() {
    if (isClosed) return;
    isClosed = true;
    history = [];
    line = [];
    offerReasons(null);
    show("closed");
  }

  function showKind() {
    const moved = ballot.querySelector(".ballot-form").contains(document.activeElement);
    each("[data-asks]", (block) => { block.hidden = block.dataset.asks !== asking; });
    if (moved && !document.activeElement?.offsetParent) {
      ballot.querySelector(`[data-asks="${asking}"] h1`).focus({ preventScroll: true });
    }
  }

  function showCount() {
    const text = asking === "nothing" || capped ? say.answered : say.count; // of a hundred and more nobody knows
    const numbers = { n: done, number: Math.min(done + (asking === "fit" ? 1 : 0), total), total };
    ballot.querySelector(".ballot-count").textContent = fill(text, numbers);
    const bar = { max: Math.max(1, total), value: done, hidden: capped || !total };
    Object.assign(ballot.querySelector("progress"), bar);
    const last = history.at(-1);
    const button = document.getElementById("undo");
    if (!button) return; // the page came closed
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
    note.hidden = !count || (navigator.onLine && count < 3 && !operations.some((one) => one.tries > 1));
    note.textContent = fill(say.unsent, { n: count });
    if (!count && part("waiting")?.hidden === false) refill();
  }

  function notice(words) {
    const note = ballot.querySelector(".ballot-trouble");
    note.hidden = !words;
    note.textContent = words ?? "";
  }

  function announce(words) { ballot.querySelector("[data-live]").textContent = words; }

  function offerReasons(vote) {
    why.dataset.request = vote?.request_id ?? "";
    why.classList.toggle("is-empty", vote?.answer !== "does_not_fit");
    if (vote) why.querySelector("[data-why]").textContent = fill(say.why, { tag: `#${vote.question.name}` });
    each("[data-reason]", (button) => button.setAttribute("aria-pressed", "false"));
  }

  // --- what people do ---

  function answer(chosen) {
    if (!ready || asking !== "fit" || !ANSWERS.includes(chosen)) return;
    if (chosen !== "skip" && !isSeen(card.querySelector("img"))) {
      notice(say.unseen);
      return;
    }
    const vote = { request_id: VoteQueue.uuid(), answer: chosen, question: current };
    const seconds = ((performance.now() - seen) / 1000).toFixed(2);
    const { photo, hashtag } = current;
    ready = false;
    acts += 1;
    done += 1;
    history = [...history, vote].slice(-REMEMBERED);
    notice("");
    offerReasons(vote);
    queue.add("vote", { photo, hashtag, answer: chosen, request_id: vote.request_id, seconds }, current);
    if (current.ask_would_post && chosen !== "skip") askWhetherToPost(vote);
    else leave({ fits: "right", does_not_fit: "left" }[chosen] ?? "down");
  }

  function askWhetherToPost(vote) {
    asking = "post";
    posting = vote.request_id;
    showKind();
    showCount();
    announce(fill(say.wouldPost, { tag: `#${current.name}` }));
    settle();
  }

  function answerPost(chosen) {
    if (!ready || asking !== "post") return;
    ready = false;
    if (chosen !== "skip") queue.add("more", { request_id: posting, would_post: chosen });
    leave({ yes: "right", no: "left" }[chosen] ?? "down");
  }

  function giveReason(button) {
    if (why.classList.contains("is-empty")) return;
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
    if (current && asking === "fit") line.unshift({ question: current, isReady: true });
    offerReasons(null);
    notice("");
    ask(last.question);
  }

  // --- what becomes of it ---

  function refused({ kind, fields }, said) {
    if (kind === "vote") {
      if (forget(fields.request_id)) done = Math.max(0, done - 1);
      if (said.closed) late += 1;
    }
    if (said.closed && late) notice(fill(say.late, { n: late }));
    else if (!said.closed || kind === "undo") notice(said.error);
    if (said.closed) close();
    else refill();
    showCount();
  }

  // Given before, in another window: undo and reasons would be of a vote that the server does not have. When the
  // very same vote comes twice, because its acknowledgement was lost, it has been tried before.
  function kept({ fields, tries }, said) {
    if (!said.repeated || (said.answer === fields.answer && tries > 1)) return;
    forget(fields.request_id);
    if (said.answer !== fields.answer) notice(fill(say.before, { answer: say[said.answer] }));
    showCount();
  }

  /* True: it was among what undo takes back. */
  function forget(requestId) {
    const known = history.length;
    forgotten += 1;
    history = history.filter((one) => one.request_id !== requestId);
    if (why?.dataset.request === requestId) offerReasons(null);
    if (asking === "post" && posting === requestId) next();
    return history.length < known;
  }

  function undone(operation, said) {
    if (!said.undone && operation.tries === 1) notice(say.stands);
    if (!history.length && said.last && keyOf(said.last.question) !== (current && keyOf(current))) history = [said.last];
    showCount();
  }

  // The answered photo flies off in the answer's direction while the next one is there already.
  function leave(way) {
    if (!matchMedia("(prefers-reduced-motion: reduce)").matches) flyOff(card.querySelector("img"), way);
    next();
  }

  function flyOff(image, way) {
    const ghost = image.cloneNode();
    ghost.alt = "";
    ghost.className = `is-leaving to-${way}`;
    card.append(ghost);
    ghost.addEventListener("animationend", () => ghost.remove());
  }

  const WAYS = { right: ["fits", "yes"], left: ["does_not_fit", "no"], down: ["skip", "skip"], up: ["skip", "skip"] };
  const toward = (way) => (asking === "post" ? answerPost(WAYS[way][1]) : answer(WAYS[way][0]));

  if (isClosed) { // nothing to answer; what still waits here is told that it comes too late
    queue.flush();
    return;
  }

  ballot.addEventListener("submit", (event) => {
    if (event.target.matches(".languages")) return; // the page in another language
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
    // Held down, Enter would press the focused button again and again.
    const isPress = ["Enter", " "].includes(event.key) && event.target.closest("#ballot button");
    if (event.repeat && isPress) event.preventDefault();
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
  total = Math.max(total, done + open.length);
  if (open.length) ask(open[0]);
  else if (state.questions.length) wait();
  else {
    showCount();
    ballot.dataset.ready = "true";
  }
  take(open.slice(1));
  refill();
  if (waiting.length) queue.flush();
})();
