/* What a voter is asked, may do, and can take back. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { VoteState } from "../../validation/static/validation/vote_state.js";
import { question, waitingUndo, waitingVote } from "./helpers.js";

const page = (more = {}) => ({
  done: 0,
  total: 3,
  capped: false,
  last: null,
  answers: { fits: { judges: true }, skip: { judges: false } },
  questions: [question(1), question(2), question(3)],
  ...more,
});

/* A ballot whose first question has been looked at. */
function start(more = {}) {
  const state = new VoteState(page(more));
  state.ask(state.questions[0]);
  state.enqueue(state.questions.slice(1), []);
  for (const entry of state.line) entry.isReady = true;
  state.beginTurn();
  state.takeAnswers(1_000);
  return state;
}

const photosInLine = (state) => state.line.map((one) => one.question.photo);

describe("an answer", () => {
  test("is not taken before a photo was shown", () => {
    const state = new VoteState(page());
    state.ask(state.questions[0]);
    assert.ok(!state.mayAnswer("fits"));
  });

  test("is taken only while its photo has been seen", () => {
    const state = start();
    assert.ok(state.mayAnswer("fits"));
    state.beginTurn();
    assert.ok(!state.mayAnswer("fits"));
  });

  test("is one of three", () => {
    assert.ok(!start().mayAnswer("perhaps"));
    assert.ok(!start().mayAnswer(undefined));
  });

  test("is counted once, and no second one is taken for the same photo", () => {
    const state = start();
    state.answer("fits", "a");
    assert.equal(state.done, 1);
    assert.ok(!state.mayAnswer("fits"));
  });

  test("of a question about posting asks that question, and a skip does not", () => {
    const fields = { questions: [question(1, { ask_would_post: true })] };
    const yes = start(fields);
    yes.answer("fits", "a");
    assert.ok(yes.isAskingToPost("a"));
    assert.ok(!yes.isAskingToPost("b"));
    assert.ok(!yes.mayAnswerPost());
    yes.takeAnswers(2_000);
    assert.ok(yes.mayAnswerPost());
    assert.ok(!yes.mayAnswer("fits"));
    const skip = start(fields);
    skip.answer("skip", "b");
    assert.equal(skip.asking, "fit");
    assert.ok(!skip.isAskingToPost(""));
  });

  test("is remembered for undo, the last 50 of them", () => {
    const state = start();
    for (let number = 1; number <= 51; number += 1) {
      state.ask(question(number));
      state.answer("fits", String(number));
    }
    assert.equal(state.history.length, 50);
    assert.equal(state.last.request_id, "51");
  });
});

describe("the next question", () => {
  test("is the first whose photo is here", () => {
    const state = start();
    state.line[0].isReady = false;
    assert.equal(state.askNext().photo, 3);
    assert.deepEqual(photosInLine(state), [2]);
    assert.equal(state.askNext(), null);
    assert.equal(state.asking, "nothing");
  });

  test("is not one that is on the screen, in line, on its way or answered a moment ago", () => {
    const state = start();
    const vote = waitingVote("z", question(9));
    state.answer("fits", "a");
    state.askNext();
    const fresh = [1, 2, 3, 9, 4].map((photo) => question(photo));
    state.enqueue(fresh, [vote]);
    assert.deepEqual(photosInLine(state), [3, 4]);
  });

  test("may be one from seven answers ago, which the server knows by then", () => {
    const state = start();
    for (let photo = 11; photo <= 17; photo += 1) {
      state.ask(question(photo));
      state.answer("fits", String(photo));
    }
    assert.ok(state.isKnown(question(12), []));
    assert.ok(!state.isKnown(question(11), []));
  });

  test("is not one that was answered while the list was on its way, however long that took", () => {
    const state = start();
    const moment = state.takeMoment([]);
    const photos = [11, 12, 13, 14, 15, 16, 17, 18];
    for (const photo of photos) {
      state.ask(question(photo));
      state.answer("fits", String(photo));
    }
    const fresh = { done: 0, total: 99, capped: false, questions: photos.map((photo) => question(photo)) };
    assert.deepEqual(state.take(fresh, moment, []), []);
  });

  test("is not asked before its photo is here, nor when its photo was given up", () => {
    const state = new VoteState(page());
    const [first, second] = state.enqueue(state.questions, []);
    assert.equal(state.askNext(), null);
    second.isReady = true;
    state.drop(second);
    first.isReady = true;
    assert.equal(state.askNext().photo, 1);
    assert.equal(state.askNext(), null);
  });

  test("may be the same photo with another hashtag", () => {
    const state = start();
    assert.equal(state.enqueue([question(1, { hashtag: 2 })], []).length, 1);
  });

  test("is fetched until three are ready", () => {
    const state = start();
    assert.ok(state.wantsMore);
    state.enqueue([question(4)], [])[0].isReady = true;
    assert.ok(!state.wantsMore);
    state.line[0].isReady = false;
    assert.ok(state.wantsMore);
    state.close();
    assert.ok(!state.wantsMore);
  });

  test("is fetched with as many more as have unsent answers here, at most 20", () => {
    const state = start();
    const vote = waitingVote("a", question(7));
    assert.equal(state.countToFetch([]), 7);
    assert.equal(state.countToFetch([vote, vote]), 9);
    assert.equal(state.countToFetch(Array.from({ length: 40 }, () => vote)), 20);
  });
});

describe("undo", () => {
  test("asks the last question again, and then the one that was on the screen", () => {
    const state = start();
    state.answer("fits", "a");
    state.askNext();
    state.undo();
    assert.equal(state.current.photo, 1);
    assert.equal(state.done, 0);
    assert.equal(state.last, undefined);
    assert.deepEqual(photosInLine(state), [2, 3]);
    assert.equal(state.askNext().photo, 2);
  });

  test("during the question about posting puts nothing in line", () => {
    const state = start({ questions: [question(1, { ask_would_post: true }), question(2)] });
    state.answer("fits", "a");
    state.undo();
    assert.equal(state.current.photo, 1);
    assert.equal(state.asking, "fit");
    assert.deepEqual(photosInLine(state), [2]);
  });

  test("is offered for the vote that the server names, unless its question is on the screen", () => {
    const state = start();
    state.restore({ request_id: "before", answer: "fits", question: question(1) });
    assert.equal(state.last, undefined);
    state.restore({ request_id: "before", answer: "fits", question: question(8) });
    assert.equal(state.last.request_id, "before");
    state.restore({ request_id: "older", answer: "fits", question: question(7) });
    assert.equal(state.last.request_id, "before");
  });
});

describe("a page that is loaded while votes wait", () => {
  test("counts them, asks none of their questions again and can take them back", () => {
    const state = new VoteState(page(), [waitingVote("a", question(1))]);
    assert.deepEqual([state.done, state.total], [1, 3]);
    assert.deepEqual(
      state.questions.map((one) => one.photo),
      [2, 3],
    );
    assert.equal(state.last.request_id, "a");
  });

  test("is not counted a second time while the next photo is loading", () => {
    const state = start();
    const moment = state.takeMoment([]);
    state.answer("fits", "a");
    state.take({ done: 0, total: 3, capped: false, questions: [] }, moment, []);
    assert.deepEqual([state.done, state.total], [1, 3]);
  });

  test("never shows a total below what it asks", () => {
    assert.equal(new VoteState(page({ done: 4, total: 5 })).total, 7);
    assert.equal(new VoteState(page({ done: 4, total: 9 })).total, 9);
  });

  test("counts a vote once whose acknowledgement was lost", () => {
    const last = { request_id: "a", answer: "fits", question: question(1) };
    const state = new VoteState(page({ done: 1, last }), [waitingVote("a", question(1))]);
    assert.equal(state.done, 1);
    assert.equal(state.history.length, 1);
  });

  test("does not offer to take back what is being taken back", () => {
    const last = { request_id: "a", answer: "fits", question: question(1) };
    const state = new VoteState(page({ done: 1, last }), [waitingUndo("a")]);
    assert.equal(state.last, undefined);
  });
});

describe("a vote that the server did not keep", () => {
  test("is no longer counted and cannot be taken back", () => {
    for (const done of [0, 5]) {
      const state = start({ done });
      state.answer("fits", "a");
      state.refuse("a", false);
      assert.deepEqual([state.done, state.last, state.late], [done, undefined, 0]);
    }
  });

  test("is not discounted twice after undo", () => {
    const state = start({ done: 5 });
    state.answer("fits", "a");
    state.undo();
    state.refuse("a", false);
    assert.equal(state.done, 5);
  });

  test("is counted as late after the end", () => {
    const state = start();
    state.answer("fits", "a");
    state.refuse("a", true);
    assert.equal(state.late, 1);
  });
});

describe("the server's count", () => {
  const fresh = { done: 10, total: 30, capped: false, questions: [question(4)] };

  test("is taken over when nothing was on its way", () => {
    const state = start();
    const entries = state.take(fresh, state.takeMoment([]), []);
    assert.deepEqual([state.done, state.total, entries.length], [10, 30, 1]);
  });

  test("takes away the questions whose answers came from another window or the page before", () => {
    const state = start();
    const open = { done: 1, total: 3, capped: false, questions: [question(2), question(3)] };
    state.take(open, state.takeMoment([]), []);
    assert.deepEqual([state.asking, photosInLine(state), state.total], ["nothing", [2, 3], 3]);
    assert.equal(state.askNext().photo, 2);
  });

  test("takes away nothing while an answer of this page is on its way, or after one", () => {
    const state = start();
    const open = { done: 1, total: 3, capped: false, questions: [question(2)] };
    const moment = state.takeMoment([]);
    state.take(open, { ...moment, isAllSent: false }, []);
    assert.deepEqual([state.current.photo, photosInLine(state)], [1, [2, 3]]);
    state.answer("fits", "a");
    state.take(open, moment, []);
    assert.deepEqual(photosInLine(state), [2, 3]);
  });

  test("is behind while votes wait, or after an answer or undo since the request", () => {
    const waiting = start();
    waiting.take(fresh, waiting.takeMoment([waitingVote("z", question(9))]), []);
    assert.equal(waiting.done, 0);
    const answered = start();
    const moment = answered.takeMoment([]);
    answered.answer("fits", "a");
    answered.take(fresh, moment, []);
    assert.equal(answered.done, 1);
    const undone = start({ last: { request_id: "b", answer: "fits", question: question(8) }, done: 1 });
    const before = undone.takeMoment([]);
    undone.undo();
    undone.take(fresh, before, []);
    assert.equal(undone.done, 0);
  });

  test("is outdated once a vote was refused, since its question may be among the new ones", () => {
    const state = start();
    const moment = state.takeMoment([]);
    assert.ok(!state.isOutdated(moment));
    state.refuse("a", false);
    assert.ok(state.isOutdated(moment));
  });

  test("is never below what this page has asked", () => {
    const state = start();
    state.take({ ...fresh, done: 0, total: 0 }, state.takeMoment([]), []);
    assert.equal(state.total, 4); // one on the screen, three in line
    state.askNothing();
    state.take({ ...fresh, done: 0, total: 0 }, state.takeMoment([]), []);
    assert.equal(state.total, 3);
  });
});

describe("the counter", () => {
  test("numbers the question on the screen, never beyond the total", () => {
    const state = start();
    assert.deepEqual(state.progress, { n: 0, number: 1, total: 3, isTotalKnown: true, isCapped: false });
    state.done = 3;
    assert.equal(state.progress.number, 3);
  });

  test("stays at the same number while it is asked whether the photo would be posted", () => {
    const state = start({ questions: [question(1, { ask_would_post: true }), question(2)] });
    assert.equal(state.progress.number, 1);
    state.answer("fits", "a");
    assert.equal(state.progress.number, 1);
  });

  test("claims no total while nothing is asked or the server does not know it", () => {
    assert.equal(start({ capped: true }).progress.isTotalKnown, false);
    const state = start();
    state.askNothing();
    assert.equal(state.progress.isTotalKnown, false);
  });
});

test("a campaign that closes leaves nothing to ask or to take back", () => {
  const state = start();
  state.answer("fits", "a");
  state.close();
  assert.deepEqual([state.isClosed, state.current, state.last, state.line], [true, null, undefined, []]);
});
