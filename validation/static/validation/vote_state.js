/* The state of the ballot: what is on the screen, what comes next, and what the voter may do. It uses neither the
   page nor the network, so that node can test it: tests/js/vote_state.test.js. */

const AHEAD = 3; // questions that are kept ready
const AT_MOST = 20; // questions in one request
const REMEMBERED = 50; // answers that undo can take back

export const keyOf = (question) => `${question.photo}:${question.hashtag}`;
const isSame = (one, other) => keyOf(one) === keyOf(other);
const votesAmong = (operations) => operations.filter((one) => one.kind === "vote");

export class VoteState {
  /* page: the data that the server put into the page. unsent: operations that it has not acknowledged yet. */
  constructor(page, unsent = [], isClosed = false) {
    const votes = votesAmong(unsent);
    this.answers = page.answers; // the possible answers: validation/models/answers.py
    this.questions = page.questions.filter((one) => !votes.some((vote) => isSame(vote.about, one)));
    // The server's last vote may also be in this queue, if only its acknowledgement was lost.
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

  /* The values of the counter. The server does not count totals of a hundred or more. */
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

  /* The next question whose photo is loaded, or null. */
  askNext() {
    const next = this.line.find((one) => one.isReady);
    this.line = this.line.filter((one) => one !== next);
    if (next) this.ask(next.question);
    else this.askNothing();
    return this.current;
  }

  /* Returns the number of the new turn. An earlier turn's work is outdated once its number is not `turn` any more. */
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

  /* Asks the last question again, and after it the one that is on the screen. */
  undo() {
    const last = this.history.pop();
    this.acts += 1;
    this.done = Math.max(0, this.done - 1);
    if (this.asking === "fit") this.line.unshift({ question: this.current, isReady: true });
    this.ask(last.question);
  }

  // --- the server's replies to an answer ---

  /* Forget a vote that the server did not keep: it cannot be undone or explained. True if it was in the history. */
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

  /* After an undo the server names the vote before it, which this page may not know. */
  restore(vote) {
    const isOnScreen = this.current && vote && isSame(vote.question, this.current);
    if (!this.history.length && vote && !isOnScreen) this.history = [vote];
  }

  // --- more questions ---

  get wantsMore() {
    return !this.isClosed && this.line.filter((one) => one.isReady).length < AHEAD;
  }

  /* How many questions to fetch. The server may send some whose answers still wait here. */
  countToFetch(unsent) {
    return Math.min(AT_MOST, AHEAD + unsent.length + this.line.length + 2);
  }

  /* An answered question stays on the screen until the next photo is loaded, and is in `done` already. */
  get isUnanswered() {
    const isAnswered = this.last && this.current && isSame(this.last.question, this.current);
    return this.asking === "fit" && !isAnswered;
  }

  /* A snapshot before a request, with which its reply is compared. */
  takeMoment(unsent) {
    return { acts: this.acts, forgotten: this.forgotten, isAllSent: !unsent.length };
  }

  /* Whether a vote was refused since the snapshot: its question may be among the new ones. */
  isOutdated(moment) {
    return moment.forgotten !== this.forgotten;
  }

  /* Take in the server's reply to a request for more questions. Its count of answers is outdated if votes were
     unsent at the snapshot or given since. Returns the new entries of the line. */
  take(fresh, moment, unsent) {
    if (moment.isAllSent && moment.acts === this.acts) {
      if (fresh.done > this.done) this.leaveAnswered(fresh.questions);
      this.done = fresh.done;
    }
    const entries = this.enqueue(fresh.questions, unsent, moment.acts);
    this.total = Math.max(fresh.total, this.done + this.line.length + (this.isUnanswered ? 1 : 0));
    this.isCapped = fresh.capped;
    return entries;
  }

  /* The server has answers that this page does not know: they were given in another window, or on the page before,
     which was left while this one was made. Their questions are not among the open ones any more. */
  leaveAnswered(open) {
    const isOpen = (question) => open.some((one) => isSame(one, question));
    this.line = this.line.filter((one) => isOpen(one.question));
    if (this.isUnanswered && !isOpen(this.current)) this.askNothing();
  }

  /* since: the number of acts when the questions were requested. */
  enqueue(questions, unsent, since = this.acts) {
    const entries = [];
    for (const question of questions) {
      if (this.isKnown(question, unsent, since)) continue;
      const entry = { question, isReady: false };
      this.line.push(entry);
      entries.push(entry);
    }
    return entries;
  }

  drop(entry) {
    this.line = this.line.filter((one) => one !== entry);
  }

  /* Whether the question is on the screen, in the line, or was answered here recently: its vote may have reached the
     server too late for this list. */
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

/* The server's last vote, then the unsent ones, without those about to be undone. */
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
