/* The ballot's screen: reads and writes the page and decides nothing. vote.js tells it what to show. */

const fill = (words, values) => words.replace(/\{(\w+)\}/g, (_, name) => values[name]);

function makeLink(href, textContent) {
  return Object.assign(document.createElement("a"), {
    href,
    textContent,
    target: "_blank",
    rel: "noreferrer",
  });
}

export class Screen {
  constructor(ballot, answers) {
    this.ballot = ballot;
    this.answers = answers;
    this.words = ballot.dataset; // in the voter's language
    this.card = ballot.querySelector(".ballot-photo");
    this.why = ballot.querySelector(".ballot-why");
  }

  findPart(name) {
    return this.ballot.querySelector(`[data-part="${name}"]`);
  }

  isShown(name) {
    return this.findPart(name)?.hidden === false;
  }

  get image() {
    return this.card.querySelector("img");
  }

  /* isReady: the photo has been visible long enough, or there is nothing to wait for. */
  showReady(isReady) {
    if (isReady) this.ballot.dataset.ready = "true";
    else delete this.ballot.dataset.ready;
  }

  showPart(name) {
    for (const other of this.ballot.querySelectorAll("[data-part]")) {
      const isShown = other.dataset.part === name;
      if (!other.hidden && !isShown && other.contains(document.activeElement)) {
        setTimeout(() => this.findPart(name).querySelector("h1")?.focus());
      }
      other.hidden = !isShown;
    }
  }

  /* Show a message instead of a question. */
  showMessage(name) {
    this.showPart(name);
    this.announce(this.findPart(name).querySelector("h1").textContent);
  }

  showQuestion(question, image) {
    for (const tag of this.ballot.querySelectorAll(".tag[data-name]")) tag.textContent = `#${question.name}`;
    this.image?.remove();
    this.card.prepend(image);
    this.showAttribution(question);
    this.showKind("fit");
    this.ballot.classList.remove("is-waiting");
    this.showPart("question");
  }

  announceQuestion(question) {
    const words = fill(this.words.question, { tag: `#${question.name}` });
    this.announce(`${words} ${this.ballot.querySelector(".ballot-count").textContent}`);
  }

  /* kind: "fit" or "post". */
  showKind(kind) {
    const hadFocus = this.ballot.querySelector(".ballot-form").contains(document.activeElement);
    for (const block of this.ballot.querySelectorAll("[data-asks]"))
      block.hidden = block.dataset.asks !== kind;
    if (hadFocus && !document.activeElement?.offsetParent) {
      this.ballot.querySelector(`[data-asks="${kind}"] h1`).focus({ preventScroll: true });
    }
  }

  announceWouldPost({ name }) {
    this.announce(fill(this.words.wouldPost, { tag: `#${name}` }));
  }

  showWaiting() {
    this.showReady(false);
    this.ballot.classList.add("is-waiting");
  }

  /* progress: see VoteState. last: the vote that undo would take back. */
  showProgress(progress, last) {
    const words = progress.isTotalKnown ? this.words.count : this.words.answered;
    this.ballot.querySelector(".ballot-count").textContent = fill(words, progress);
    Object.assign(this.ballot.querySelector("progress"), {
      max: Math.max(1, progress.total),
      value: progress.n,
      hidden: progress.isCapped || !progress.total,
    });
    const button = document.getElementById("undo");
    if (!button) return; // the page came closed
    button.hidden = !last;
    if (!last) return;
    const answer = this.answers[last.answer].words;
    button.querySelector("span").textContent = fill(this.words.undoWords, { answer });
  }

  showAttribution({ licence, licence_url: licenceUrl, source_url: sourceUrl }) {
    const parts = [];
    if (licence) parts.push(licenceUrl ? makeLink(licenceUrl, licence) : licence);
    if (sourceUrl) parts.push(makeLink(sourceUrl, this.words.source));
    const caption = this.card.querySelector(".attribution");
    caption.replaceChildren(...parts.flatMap((one, index) => (index ? [" · ", one] : [one])));
    if (!parts.length) caption.textContent = this.words.unattributed;
  }

  /* Unsent votes are mentioned only after a failed attempt, or when they pile up. */
  showUnsent(operations) {
    const note = this.ballot.querySelector(".ballot-unsent");
    const votes = operations.filter((one) => one.kind === "vote").length;
    const count = votes || operations.length;
    const isOnItsWay = navigator.onLine && count < 3 && !operations.some((one) => one.tries > 1);
    note.hidden = !count || isOnItsWay;
    note.textContent = fill(this.words.unsent, { n: count });
  }

  /* name: of the text in the template; "" removes the notice. */
  notify(name, values = {}) {
    this.notifyInWords(name && fill(this.words[name], values));
  }

  notifyInWords(words) {
    const note = this.ballot.querySelector(".ballot-trouble");
    note.hidden = !words;
    note.textContent = words ?? "";
  }

  announce(words) {
    this.ballot.querySelector("[data-live]").textContent = words;
  }

  // --- why not? ---

  /* The request id of the vote whose reasons are offered. */
  get explained() {
    return this.why?.dataset.request;
  }

  offerReasons(vote) {
    this.why.dataset.request = vote?.request_id ?? "";
    this.why.classList.toggle("is-empty", !this.answers[vote?.answer]?.takes_reason);
    if (vote) {
      const tag = `#${vote.question.name}`;
      this.why.querySelector("[data-why]").textContent = fill(this.words.why, { tag });
    }
    this.markReason(null);
  }

  /* False if this reason cannot be given now. */
  mayGiveReason(button) {
    const isOffered = !this.why.classList.contains("is-empty");
    return isOffered && button.getAttribute("aria-pressed") !== "true";
  }

  markReason(button) {
    for (const other of this.ballot.querySelectorAll("[data-reason]")) {
      other.setAttribute("aria-pressed", String(other === button));
    }
  }

  // --- the answered photo flies off in the answer's direction while the next one is already visible ---

  flyOff(way) {
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
    const ghost = this.image.cloneNode();
    ghost.alt = "";
    ghost.className = `is-leaving to-${way}`;
    this.card.append(ghost);
    ghost.addEventListener("animationend", () => ghost.remove());
  }
}
