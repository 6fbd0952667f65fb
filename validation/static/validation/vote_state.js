/* The state of the ballot: what is on the screen, what comes next, and what the voter may do. No page and no
   network in here, so that node can test it: tests/js/vote_state.test.js. */

const AHEAD = 3; // questions that are kept ready
const AT_MOST = 20; // questions in one request
const REMEMBERED = 50; // answers that undo can take back

export const keyOf = (question) => `${question.photo}:${question.hashtag}`;
const isSame = (one, other) => keyOf(one) === keyOf(other);
const votesAmong = (operations) => operations.filter((one) => one.kind === "vote");

export class VoteState {
  /* page: what the server wrote into the page. unsent: the operations it has not acknowledged yet. */
  constructor(page, unsent = [], isClosed = false) {
    const votes = votesAmong(unsent);
    this.answers = page.answers; // what there is to answer, as validation/models/answers.py says it
    this.questions = page.questions.filter((one) => !votes.some((vote) => isSame(vote.about, one)));
    // The last vote of the server may wait here, too: only its acknowledgement was lost.
    const others = votes.filter((one) => one.fields.request_id !== page.last?.request_id);
    this.done = page.done + others.length;
    this.total = Math.max(page.total, this.done + this.questions.length);
    this.isCapped = page.capped; // there are more questions than the server counts
    this.isClosed = isClosed;
    this.current = null; // the question on the screen
    this.asking = "nothing"; // "fit", "post" or "nothing"
    this.posting = ""; // the request id of the vote that is asked whether its photo would be posted
    this.turn = 0; // how often something was asked
    this.isReady = false; // the photo has been seen long enough to judge it
    this.seenAt = 0; // since when, in ms
    this.line = []; // what is asked next, in the server's order: {question, isReady}
    this.history = joinHistory(page.last, unsent); // what undo takes back, newest last
    this.acts = 0; // answers given and taken back on this page
    this.forgotten = 0; // answers that the server did not keep
    this.late = 0; // answers that came after the campaign was closed
  }

  get last() {
    return this.history.at(-1);
  }

  /* What the counter shows. Nobody knows the total of a hundred questions and more. */
  get progress() {
    const number = Math.min(this.done + (this.asking === "fit" ? 1 : 0), this.total);
    const isTotalKnown = this.asking !== "nothing" && !this.isCapped;
    return { n: this.done, number, total: this.total, isTotalKnown, isCapped: this.isCapped };
  }

  // --- one question after the other ---

  ask(question) {
    this.current = question;
    this.asking = "fit";
  }

  askNothing() {
    this.current = null;
    this.asking = "nothing";
  }

  /* The next question whose photo is here, or null. */
  askNext() {
    const next = this.line.find((one) => one.isReady);
    this.line = this.line.filter((one) => one !== next);
    if (next) this.ask(next.question);
    else this.askNothing();
    return this.current;
  }

  /* Whatever was begun before has ended when the number it got is no longer the turn. */
  beginTurn() {
    this.isReady = false;
    this.turn += 1;
    return this.turn;
  }

  takeAnswers(now) {
    this.isReady = true;
    this.seenAt = now;
  }

  close() {
    this.isClosed = true;
    this.history = [];
    this.line = [];
    this.askNothing();
  }

  // --- what the voter does ---

  mayAnswer(answer) {
    return this.isReady && this.asking === "fit" && answer in this.answers;
  }

  mayAnswerPost() {
    return this.isReady && this.asking === "post";
  }

  answer(answer, requestId) {
    const vote = { request_id: requestId, answer, question: this.current };
    this.isReady = false;
    this.acts += 1;
    this.done += 1;
    this.history = [...this.history, vote].slice(-REMEMBERED);
    if (this.current.ask_would_post && this.answers[answer].judges) {
      this.asking = "post";
      this.posting = requestId;
    }
    return vote;
  }

  /* Asks the last question again; the one on the screen comes after it. */
  undo() {
    const last = this.history.pop();
    this.acts += 1;
    this.done = Math.max(0, this.done - 1);
    if (this.asking === "fit") this.line.unshift({ question: this.current, isReady: true });
    this.ask(last.question);
  }

  // --- what becomes of an answer ---

  /* The server does not have this vote: nothing to undo or to explain. True: undo had it. */
  forget(requestId) {
    const before = this.history.length;
    this.forgotten += 1;
    this.history = this.history.filter((one) => one.request_id !== requestId);
    return this.history.length < before;
  }

  refuse(requestId, isLate) {
    if (this.forget(requestId)) this.done = Math.max(0, this.done - 1);
    if (isLate) this.late += 1;
  }

  isAskingToPost(requestId) {
    return this.asking === "post" && this.posting === requestId;
  }

  /* After undo the server names the vote before, which this page may not know. */
  restore(vote) {
    const isOnScreen = this.current && vote && isSame(vote.question, this.current);
    if (!this.history.length && vote && !isOnScreen) this.history = [vote];
  }

  // --- more questions ---

  get wantsMore() {
    return !this.isClosed && this.line.filter((one) => one.isReady).length < AHEAD;
  }

  /* How many questions to fetch: the server does not know yet which of them wait here, answered. */
  countToFetch(unsent) {
    return Math.min(AT_MOST, AHEAD + unsent.length + this.line.length + 2);
  }

  /* Taken before a request; what came of it is compared with it. */
  takeMoment(unsent) {
    return { acts: this.acts, forgotten: this.forgotten, isAllSent: !unsent.length };
  }

  /* A vote was refused since then: its question may still be in what has come. */
  isOutdated(moment) {
    return moment.forgotten !== this.forgotten;
  }

  /* The server's answer to a request for more. Its count is behind ours while votes are on their way, or were
     when it was drawn. Returns what is new in the line. */
  take(fresh, moment, unsent) {
    if (moment.isAllSent && moment.acts === this.acts) this.done = fresh.done;
    const added = this.enqueue(fresh.questions, unsent, moment.acts);
    this.total = Math.max(fresh.total, this.done + this.line.length + (this.asking === "fit" ? 1 : 0));
    this.isCapped = fresh.capped;
    return added;
  }

  /* since: how many acts there were when the questions were drawn. */
  enqueue(questions, unsent, since = this.acts) {
    const added = [];
    for (const question of questions) {
      if (this.isKnown(question, unsent, since)) continue;
      const entry = { question, isReady: false };
      this.line.push(entry);
      added.push(entry);
    }
    return added;
  }

  drop(entry) {
    this.line = this.line.filter((one) => one !== entry);
  }

  /* On the screen, next in line, or answered here since the list was drawn or a moment before: its vote may have
     arrived too late for the list. */
  isKnown(question, unsent, since = this.acts) {
    const recent = AHEAD * 2 + this.acts - since;
    return [
      ...(this.current ? [this.current] : []),
      ...this.line.map((one) => one.question),
      ...votesAmong(unsent).map((one) => one.about),
      ...this.history.slice(-recent).map((one) => one.question),
    ].some((one) => isSame(one, question));
  }
}

/* What the server has, then what waits here, without what is about to be taken back. */
function joinHistory(last, unsent) {
  const votes = votesAmong(unsent).map(({ fields, about }) => ({
    request_id: fields.request_id,
    answer: fields.answer,
    question: about,
  }));
  const isWaiting = votes.some((one) => one.request_id === last?.request_id);
  const undone = new Set(unsent.filter((one) => one.kind === "undo").map((one) => one.fields.request_id));
  return [...(last && !isWaiting ? [last] : []), ...votes].filter((one) => !undone.has(one.request_id));
}
