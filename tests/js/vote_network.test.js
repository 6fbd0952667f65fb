/* What a reply means, and that more questions are fetched once at a time. */
import assert from "node:assert/strict";
import { afterEach, describe, mock, test } from "node:test";
import {
  fetchQuestions,
  readOutcome,
  Refill,
  sendVote,
} from "../../validation/static/validation/vote_network.js";
import { settle } from "./helpers.js";

afterEach(() => {
  mock.restoreAll();
  mock.timers.reset();
});

const json = (status, body = {}, headers = {}) => Response.json(body, { status, headers });
const html = (status, headers = {}) =>
  new Response("<h1>Elsewhere</h1>", { status, headers: { "Content-Type": "text/html", ...headers } });
const outcomeOf = async (response) => (await readOutcome(response)).outcome;

describe("a reply", () => {
  test("in JSON comes from the site", async () => {
    assert.deepEqual(await readOutcome(json(200, { done: 1 })), { outcome: "sent", reply: { done: 1 } });
    for (const status of [400, 404, 409]) assert.equal(await outcomeOf(json(status)), "refused");
  });

  test("of a proxy refuses and acknowledges nothing", async () => {
    assert.equal(await outcomeOf(html(200)), "lost");
    for (const status of [400, 404, 409, 500]) assert.equal(await outcomeOf(html(status)), "stumbled");
  });

  test("that asks to sign in stops the queue", async () => {
    for (const status of [401, 403]) assert.equal(await outcomeOf(html(status)), "stopped");
    const redirect = { headers: new Headers(), ok: false, status: 0, type: "opaqueredirect" };
    assert.equal(await outcomeOf(redirect), "stopped");
  });

  test("names the wait, at most a minute", async () => {
    const wait = async (seconds) => (await readOutcome(html(503, { "Retry-After": seconds }))).wait;
    assert.equal(await wait("1"), 1_000);
    assert.equal(await wait("59"), 59_000);
    assert.equal(await wait("86400"), 60_000);
    assert.equal(await wait("Fri, 31 Dec 2027 23:59:59 GMT"), undefined);
    assert.equal((await readOutcome(json(429))).wait, undefined);
  });
});

describe("a vote", () => {
  test("goes out with the token, and also while the page is left", async () => {
    const fetchMock = mock.method(globalThis, "fetch", async () => json(200));
    const timeout = mock.method(AbortSignal, "timeout");
    await sendVote("/votes/", "token", { answer: "fits" });
    const [url, options] = fetchMock.mock.calls[0].arguments;
    assert.equal(url, "/votes/");
    assert.equal(String(options.body), "answer=fits");
    assert.equal(options.headers["X-CSRFToken"], "token");
    assert.ok(options.keepalive);
    assert.equal(options.signal, timeout.mock.calls[0].result);
    assert.deepEqual(timeout.mock.calls[0].arguments, [15_000]);
  });

  test("is lost without a connection", async () => {
    mock.method(globalThis, "fetch", async () => {
      throw new TypeError("Failed to fetch");
    });
    assert.deepEqual(await sendVote("/votes/", "token", {}), { outcome: "lost", reply: {} });
  });
});

test("questions that the server does not give are a failure", async () => {
  const fetchMock = mock.method(globalThis, "fetch", async () => json(200, { questions: [] }));
  assert.deepEqual(await fetchQuestions("/next/", 7), { questions: [] });
  assert.equal(fetchMock.mock.calls[0].arguments[0], "/next/?n=7");
  mock.method(globalThis, "fetch", async () => html(500));
  await assert.rejects(fetchQuestions("/next/", 7), /500/);
});

describe("a refill", () => {
  /* Work that ends when the test says so. */
  function makeWork() {
    const ends = [];
    const work = mock.fn(() => new Promise((resolve) => ends.push(resolve)));
    return { ends, work };
  }

  test("runs once at a time, and once more when it was asked for meanwhile", async () => {
    const { ends, work } = makeWork();
    const refill = new Refill(() => true, work);
    for (let call = 0; call < 3; call += 1) refill.run();
    assert.equal(work.mock.callCount(), 1);
    ends[0]();
    await settle();
    assert.equal(work.mock.callCount(), 2);
    ends[1]();
    await settle();
    assert.equal(work.mock.callCount(), 2);
  });

  test("does nothing when none is wanted", () => {
    const { work } = makeWork();
    new Refill(() => false, work).run();
    assert.equal(work.mock.callCount(), 0);
  });

  test("comes again after a while, and only once", async () => {
    mock.timers.enable({ apis: ["setTimeout"] });
    const { work } = makeWork();
    const refill = new Refill(() => true, work);
    refill.runLater();
    refill.runLater();
    mock.timers.tick(2_999);
    assert.equal(work.mock.callCount(), 0);
    mock.timers.tick(1);
    assert.equal(work.mock.callCount(), 1);
  });
});
