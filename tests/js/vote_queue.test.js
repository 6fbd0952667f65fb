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
    if (this.isHeld) return options.ifAvailable ? work(null) : new Promise(() => {});
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
  const requests = [];
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
        requests.push(`${kind} ${fields.request_id}`);
        return outcomes.shift() ?? SENT;
      }),
    on: { change() {}, sent: note("sent"), refused: note("refused"), stopped: note("stopped") },
  });
  return { queue, requests, events, storage };
}

async function pass(ms) {
  await settle();
  mock.timers.tick(ms);
  await settle();
}

const requestIds = (queue) => queue.load().map((one) => one.fields.request_id);

beforeEach(() => mock.timers.enable({ apis: ["setTimeout"] }));
afterEach(() => {
  mock.timers.reset();
  mock.restoreAll();
});

describe("sending", () => {
  test("goes in order and leaves nothing behind", async () => {
    const { queue, requests, storage } = makeQueue();
    for (const id of ["a", "b", "c"]) queue.add("vote", { request_id: id });
    await settle();
    assert.deepEqual(requests, ["vote a", "vote b", "vote c"]);
    assert.equal(storage.items.size, 0);
  });

  test("is tried again after a failure, later each time, half a minute at most", async () => {
    mock.method(Math, "random", () => 0.5);
    const waits = [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000];
    const { queue, requests } = makeQueue({ outcomes: waits.map(() => LOST) });
    queue.add("vote", { request_id: "a" });
    await settle();
    for (const [index, wait] of waits.entries()) {
      await pass(wait - 1);
      assert.equal(requests.length, index + 1);
      await pass(1);
      assert.equal(requests.length, index + 2);
    }
    assert.deepEqual(queue.load(), []);
  });

  test("is spread: not all browsers come back at the same moment", async () => {
    for (const [random, wait] of [
      [0, 750],
      [1, 1_250],
    ]) {
      mock.method(Math, "random", () => random);
      const { queue, requests } = makeQueue({ outcomes: [LOST] });
      queue.add("vote", { request_id: "a" });
      await pass(wait - 1);
      assert.equal(requests.length, 1);
      await pass(1);
      assert.equal(requests.length, 2);
    }
  });

  test("begins with short waits again after a success", async () => {
    mock.method(Math, "random", () => 0.5);
    const { queue, requests } = makeQueue({ outcomes: [LOST, LOST, SENT, LOST] });
    queue.add("vote", { request_id: "a" });
    queue.add("vote", { request_id: "b" });
    await pass(1_000);
    await pass(2_000);
    assert.deepEqual(requests, ["vote a", "vote a", "vote a", "vote b"]);
    await pass(1_000);
    assert.equal(requests.length, 5);
  });

  test("waits as long as the server asks", async () => {
    const { queue, requests } = makeQueue({ outcomes: [{ ...LOST, wait: 40_000 }] });
    queue.add("vote", { request_id: "a" });
    await pass(39_999);
    assert.equal(requests.length, 1);
    await pass(1);
    assert.equal(requests.length, 2);
  });

  test("stops where the person must sign in, and keeps the vote", async () => {
    const { queue, events } = makeQueue({ outcomes: [STOPPED] });
    queue.add("vote", { request_id: "a" });
    await settle();
    assert.deepEqual(requestIds(queue), ["a"]);
    assert.deepEqual(events, [["stopped", "signed out", undefined]]);
  });

  test("removes a refused vote with its reasons, and nothing else", async () => {
    const { queue, events } = makeQueue({ outcomes: [LOST, REFUSED, STOPPED] });
    queue.add("vote", { request_id: "a" });
    queue.add("more", { request_id: "a", reason: "too_general" });
    queue.add("vote", { request_id: "b" });
    await pass(10_000);
    assert.deepEqual(requestIds(queue), ["b"]);
    assert.deepEqual(events[0], ["refused", "a", REFUSED.reply]);
  });

  test("removes only the reason when a reason is refused", async () => {
    const { queue } = makeQueue({ outcomes: [LOST, REFUSED, STOPPED] });
    queue.add("more", { request_id: "a", reason: "too_general" });
    queue.add("undo", { request_id: "a" });
    await pass(10_000);
    assert.deepEqual(
      queue.load().map((one) => one.kind),
      ["undo"],
    );
  });

  test("moves what the server fails on behind the others after five attempts", async () => {
    const { queue, requests } = makeQueue({ outcomes: Array.from({ length: 5 }, () => STUMBLED) });
    queue.add("vote", { request_id: "bad" });
    queue.add("vote", { request_id: "good" });
    queue.add("more", { request_id: "bad", reason: "too_general" });
    const bad = [];
    for (let attempt = 1; attempt <= 4; attempt += 1) {
      bad.push("vote bad");
      await settle();
      assert.deepEqual(requests, bad);
      await pass(60_000);
    }
    assert.deepEqual(requests, [...bad, "vote bad", "vote good", "vote bad", "more bad"]);
  });

  test("waits when the server fails on everything", async () => {
    const { queue, requests } = makeQueue({ outcomes: Array.from({ length: 100 }, () => STUMBLED) });
    queue.add("vote", { request_id: "a" });
    queue.add("vote", { request_id: "b" });
    for (let wait = 1; wait <= 9; wait += 1) await pass(60_000);
    assert.equal(requests.length, 1 + 9 + 1); // the first, one after each wait, and b's first at once
  });
});

describe("an acknowledgement that was lost", () => {
  test("leaves the vote in the queue, to be sent again with the same request id", async () => {
    const { queue, requests } = makeQueue({ outcomes: [LOST] });
    queue.add("vote", { request_id: "a" });
    await settle();
    assert.equal(queue.load()[0].tries, 1);
    queue.flush();
    await settle();
    assert.deepEqual(requests, ["vote a", "vote a"]);
  });

  test("means that undo must go to the server", async () => {
    const { queue } = makeQueue({ outcomes: [LOST] });
    queue.add("vote", { request_id: "a" });
    await settle();
    assert.equal(queue.dropUntried("a"), false);
    assert.deepEqual(requestIds(queue), ["a"]);
  });
});

test("undo of a vote that was sent goes to the server, though its reason still waits", () => {
  const { queue } = makeQueue({ send: () => new Promise(() => {}) });
  queue.add("undo", { request_id: "other" });
  queue.add("more", { request_id: "a", reason: "too_general" });
  assert.equal(queue.dropUntried("a"), false);
});

test("undo of a vote that was never sent drops it, with its reasons", () => {
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
    const { queue: later, requests } = makeQueue({ storage });
    assert.deepEqual(later.load()[0].about, { photo: 1 });
    later.flush();
    await settle();
    assert.deepEqual(requests, ["vote a"]);
  });

  test("finds an empty queue where the storage holds nonsense", () => {
    const storage = new MemoryStorage();
    storage.setItem("votes", "{nonsense");
    assert.deepEqual(makeQueue({ storage }).queue.load(), []);
  });
});

describe("a storage that is full", () => {
  test("loses nothing: the rest is kept in memory and sent", async () => {
    const { queue, requests, storage } = makeQueue({ outcomes: [LOST] });
    queue.add("vote", { request_id: "a" });
    await settle();
    storage.room = 0;
    queue.add("vote", { request_id: "b" });
    assert.deepEqual(requestIds(queue), ["a", "b"]);
    await pass(10_000);
    assert.deepEqual(requests, ["vote a", "vote a", "vote b"]);
    assert.deepEqual(queue.load(), []);
  });

  test("does not bring back what another window has sent once it works again", async () => {
    const { queue, storage } = makeQueue({ send: () => new Promise(() => {}) });
    storage.room = 0;
    queue.add("vote", { request_id: "a" });
    storage.room = Infinity;
    queue.add("vote", { request_id: "b" });
    assert.deepEqual(requestIds(queue), ["a", "b"]);
    storage.removeItem("votes"); // another window has sent both
    assert.deepEqual(queue.load(), []);
  });

  test("may be blocked, so that even naming it throws", async () => {
    const { queue, requests } = makeQueue();
    queue.getStorage = () => {
      throw new Error("SecurityError");
    };
    queue.add("vote", { request_id: "a" });
    await settle();
    assert.deepEqual(requests, ["vote a"]);
    assert.deepEqual(queue.load(), []);
  });
});

describe("two windows", () => {
  test("share the votes, and only one of them sends", async () => {
    const storage = new MemoryStorage();
    const locks = new Locks();
    const gate = Promise.withResolvers();
    const first = makeQueue({ storage, locks, send: () => gate.promise });
    const second = makeQueue({ storage, locks });
    first.queue.add("vote", { request_id: "a" });
    second.queue.add("vote", { request_id: "b" });
    await settle();
    assert.deepEqual(second.requests, []);
    assert.deepEqual(requestIds(first.queue), ["a", "b"]);
    gate.resolve(SENT);
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

  test("continue after the one that sends was closed", async () => {
    const locks = new Locks();
    locks.isHeld = true;
    const { queue, requests } = makeQueue({ locks });
    queue.add("vote", { request_id: "a" });
    await settle();
    assert.deepEqual(requests, []);
    locks.isHeld = false;
    await pass(1_000);
    assert.deepEqual(requests, ["vote a"]);
  });
});

describe("a request id", () => {
  test("is random", () => {
    assert.equal(new Set(Array.from({ length: 100 }, makeRequestId)).size, 100);
  });

  test("says that it is a UUID of version 4", () => {
    mock.method(crypto, "getRandomValues", (bytes) => bytes.fill(0));
    assert.equal(makeRequestId(), "00000000-0000-4000-8000-000000000000");
    mock.method(crypto, "getRandomValues", (bytes) => bytes.fill(255));
    assert.equal(makeRequestId(), "ffffffff-ffff-4fff-bfff-ffffffffffff");
  });
});
