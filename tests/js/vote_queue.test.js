/* Votes that wait: none is lost, none is sent twice at once, and what is gone does not come back. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, mock, test } from "node:test";
import { makeRequestId, VoteQueue } from "../../validation/static/validation/vote_queue.js";
import { MemoryStorage, settle } from "./helpers.js";

const SENT = { outcome: "sent", reply: {} };
const LOST = { outcome: "lost", reply: {} };
const STUMBLED = { outcome: "stumbled", reply: {} };
const REFUSED = { outcome: "refused", reply: { error: "withdrawn" } };
const STOPPED = { outcome: "stopped", reply: { error: "signed out" } };

/* Stands in for navigator.locks: one holder at a time, others get null. */
class Locks {
  isHeld = false;

  async request(name, options, work) {
    if (this.isHeld) return work(null);
    this.isHeld = true;
    try {
      return await work({ name });
    } finally {
      this.isHeld = false;
    }
  }
}

/* A queue with a server that answers by outcomes, in turn, and then keeps everything. */
function makeQueue({ outcomes = [], storage = new MemoryStorage(), locks = null, send } = {}) {
  const sent = [];
  const events = [];
  const note = (name) => (operation, reply) =>
    events.push([name, operation.fields?.request_id ?? operation.error, reply]);
  const queue = new VoteQueue({
    name: "votes",
    locks,
    getStorage: () => storage,
    send:
      send ??
      (async (kind, fields) => {
        sent.push(`${kind} ${fields.request_id}`);
        return outcomes.shift() ?? SENT;
      }),
    on: { change() {}, sent: note("sent"), refused: note("refused"), stopped: note("stopped") },
  });
  return { queue, sent, events, storage };
}

const requestIds = (queue) => queue.load().map((one) => one.fields.request_id);

beforeEach(() => mock.timers.enable({ apis: ["setTimeout"] }));
afterEach(() => mock.timers.reset());

describe("sending", () => {
  test("goes in order and leaves nothing behind", async () => {
    const { queue, sent, storage } = makeQueue();
    for (const id of ["a", "b", "c"]) queue.add("vote", { request_id: id });
    await settle();
    assert.deepEqual(sent, ["vote a", "vote b", "vote c"]);
    assert.equal(storage.items.size, 0);
  });

  test("is tried again after a failure, later each time", async () => {
    mock.method(Math, "random", () => 0.5);
    const { queue, sent } = makeQueue({ outcomes: [LOST, LOST] });
    queue.add("vote", { request_id: "a" });
    await settle();
    mock.timers.tick(999);
    await settle();
    assert.equal(sent.length, 1);
    mock.timers.tick(1);
    await settle();
    assert.equal(sent.length, 2);
    mock.timers.tick(1_999);
    await settle();
    assert.equal(sent.length, 2);
    mock.timers.tick(1);
    await settle();
    assert.equal(sent.length, 3);
    assert.deepEqual(queue.load(), []);
    mock.restoreAll();
  });

  test("waits as long as the server asks", async () => {
    const { queue, sent } = makeQueue({ outcomes: [{ ...LOST, wait: 40_000 }] });
    queue.add("vote", { request_id: "a" });
    await settle();
    mock.timers.tick(39_999);
    await settle();
    assert.equal(sent.length, 1);
    mock.timers.tick(1);
    await settle();
    assert.equal(sent.length, 2);
  });

  test("stops where the person must sign in, and keeps the vote", async () => {
    const { queue, events } = makeQueue({ outcomes: [STOPPED] });
    queue.add("vote", { request_id: "a" });
    await settle();
    assert.deepEqual(requestIds(queue), ["a"]);
    assert.deepEqual(events, [["stopped", "signed out", undefined]]);
  });

  test("takes with a refused vote what was said of it, and nothing else", async () => {
    const { queue, events } = makeQueue({ outcomes: [LOST, REFUSED, STOPPED] });
    queue.add("vote", { request_id: "a" });
    queue.add("more", { request_id: "a", reason: "too_general" });
    queue.add("vote", { request_id: "b" });
    await settle();
    mock.timers.tick(10_000);
    await settle();
    assert.deepEqual(requestIds(queue), ["b"]);
    assert.deepEqual(events[0], ["refused", "a", REFUSED.reply]);
  });

  test("takes with a refused reason only the reason", async () => {
    const { queue } = makeQueue({ outcomes: [LOST, REFUSED, STOPPED] });
    queue.add("more", { request_id: "a", reason: "too_general" });
    queue.add("undo", { request_id: "a" });
    await settle();
    mock.timers.tick(10_000);
    await settle();
    assert.deepEqual(
      queue.load().map((one) => one.kind),
      ["undo"],
    );
  });

  test("puts what the server stumbles over behind the others after five attempts", async () => {
    const outcomes = Array.from({ length: VoteQueue.ENOUGH }, () => STUMBLED);
    const { queue, sent } = makeQueue({ outcomes });
    queue.add("vote", { request_id: "bad" });
    queue.add("vote", { request_id: "good" });
    queue.add("more", { request_id: "bad", reason: "too_general" });
    for (let attempt = 1; attempt < VoteQueue.ENOUGH; attempt += 1) {
      await settle();
      mock.timers.tick(VoteQueue.SLOWEST * 2);
    }
    await settle();
    const bad = Array.from({ length: VoteQueue.ENOUGH }, () => "vote bad");
    assert.deepEqual(sent, [...bad, "vote good", "vote bad", "more bad"]);
  });
});

describe("an acknowledgement that was lost", () => {
  test("leaves the vote in the queue, to be sent again with the same request id", async () => {
    const { queue, sent } = makeQueue({ outcomes: [LOST] });
    queue.add("vote", { request_id: "a" });
    await settle();
    assert.equal(queue.load()[0].tries, 1);
    queue.flush();
    await settle();
    assert.deepEqual(sent, ["vote a", "vote a"]);
  });

  test("means that undo must go to the server", async () => {
    const { queue } = makeQueue({ outcomes: [LOST] });
    queue.add("vote", { request_id: "a" });
    await settle();
    assert.equal(queue.dropUntried("a"), false);
    assert.deepEqual(requestIds(queue), ["a"]);
  });
});

test("undo of a vote that was never tried drops it, with what was said of it", () => {
  const { queue } = makeQueue({ send: () => new Promise(() => {}) }); // the first one hangs
  queue.add("vote", { request_id: "a" });
  queue.add("vote", { request_id: "b" });
  queue.add("more", { request_id: "b", reason: "too_general" });
  assert.equal(queue.dropUntried("b"), true);
  assert.deepEqual(requestIds(queue), ["a"]);
});

describe("a reload", () => {
  test("finds what was not acknowledged", async () => {
    const { queue, storage } = makeQueue({ outcomes: [LOST] });
    queue.add("vote", { request_id: "a" }, { photo: 1 });
    await settle();
    const { queue: later, sent } = makeQueue({ storage });
    assert.deepEqual(later.load()[0].about, { photo: 1 });
    later.flush();
    await settle();
    assert.deepEqual(sent, ["vote a"]);
  });

  test("finds an empty queue where the storage holds nonsense", () => {
    const storage = new MemoryStorage();
    storage.setItem("votes", "{nonsense");
    assert.deepEqual(makeQueue({ storage }).queue.load(), []);
  });
});

describe("a storage that is full", () => {
  test("loses nothing: the rest is kept in memory and sent", async () => {
    const { queue, sent, storage } = makeQueue({ outcomes: [LOST] });
    queue.add("vote", { request_id: "a" });
    await settle();
    storage.room = 0;
    queue.add("vote", { request_id: "b" });
    assert.deepEqual(requestIds(queue), ["a", "b"]);
    mock.timers.tick(10_000);
    await settle();
    assert.deepEqual(sent, ["vote a", "vote a", "vote b"]);
    assert.deepEqual(queue.load(), []);
  });

  test("revives nothing, once it takes something again, that another window has sent", async () => {
    const { queue, storage } = makeQueue({ send: () => new Promise(() => {}) });
    storage.room = 0;
    queue.add("vote", { request_id: "a" });
    storage.room = Infinity;
    queue.add("vote", { request_id: "b" });
    assert.deepEqual(requestIds(queue), ["a", "b"]);
    storage.removeItem("votes"); // another window has sent both
    assert.deepEqual(queue.load(), []);
  });

  test("may be refused altogether, even its name", async () => {
    const { queue, sent } = makeQueue();
    queue.getStorage = () => {
      throw new Error("SecurityError");
    };
    queue.add("vote", { request_id: "a" });
    await settle();
    assert.deepEqual(sent, ["vote a"]);
    assert.deepEqual(queue.load(), []);
  });
});

describe("two windows", () => {
  test("share the votes, and only one of them sends", async () => {
    const storage = new MemoryStorage();
    const locks = new Locks();
    const held = Promise.withResolvers();
    const first = makeQueue({ storage, locks, send: () => held.promise });
    const second = makeQueue({ storage, locks });
    first.queue.add("vote", { request_id: "a" });
    second.queue.add("vote", { request_id: "b" });
    await settle();
    assert.deepEqual(second.sent, []);
    assert.deepEqual(requestIds(first.queue), ["a", "b"]);
    held.resolve(SENT);
    await settle();
    assert.deepEqual(requestIds(second.queue), []);
    assert.deepEqual(
      first.events.map(([name, id]) => [name, id]),
      [
        ["sent", "a"],
        ["sent", "b"],
      ],
    );
  });

  test("go on when the one that sends was closed", async () => {
    const locks = new Locks();
    locks.isHeld = true;
    const { queue, sent } = makeQueue({ locks });
    queue.add("vote", { request_id: "a" });
    await settle();
    assert.deepEqual(sent, []);
    locks.isHeld = false;
    mock.timers.tick(1_000);
    await settle();
    assert.deepEqual(sent, ["vote a"]);
  });
});

test("a request id is a random UUID of version 4", () => {
  const ids = new Set(Array.from({ length: 100 }, makeRequestId));
  assert.equal(ids.size, 100);
  for (const id of ids) assert.match(id, /^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/);
});
