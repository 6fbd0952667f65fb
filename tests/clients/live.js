/* clients/scenetag.js against the real server; test_javascript.py starts it with the address and a key. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { BadRequest, Client, NotAllowed, TooFast, Unavailable } from "../../clients/scenetag.js";

const { SITE, TOKEN, SLOW_TOKEN, CLOSED, RED } = process.env;
const never = (seconds) => assert.fail(`waits ${seconds} s`);
const client = new Client(`${SITE}/`, TOKEN, { sleep: never });
const red = new File([await readFile(RED)], "red.jpg");
const broken = new Blob(["no photo"]);

const answer = await client.suggest(red, { max: 2, crop: true, tta: undefined });
assert.deepEqual([answer.hashtag, answer.file], ["beach", "red.jpg"]);

for (const number of [1, 2, 33]) {
  const photos = [...Array.from({ length: number - 1 }, () => red), broken];
  // oxlint-disable-next-line no-await-in-loop
  const answers = await client.suggestMany(photos);
  assert.equal(answers.length, number);
  assert.equal(answers.at(-1).status, 400);
  assert.match(answers.at(-1).error, /cannot be read/);
  assert.ok(answers.slice(0, -1).every((one) => one.hashtag === "beach"));
}

const streamed = [];
for await (const one of client.suggestStream([red, broken, red])) streamed.push(one.hashtag ?? "refused");
assert.deepEqual(streamed, ["beach", "refused", "beach"]);

const checked = await client.check(red, ["#beach", "#bar"]);
assert.deepEqual(
  checked.hashtags.map((one) => one.verdict),
  ["fits", "does_not_fit"],
);
assert.deepEqual(await client.feedback([{ answer: answer.id, event: "accepted" }]), {
  kept: 1,
  changed: 1,
  faults: [],
});
const model = await client.model();
assert.equal(model.tag, answer.model);
assert.equal(await client.model(model.etag), null);

await assert.rejects(client.suggest(red, { maximum: 2 }), (error) => {
  assert.ok(error instanceof BadRequest);
  assert.deepEqual([error.status, Object.keys(error.fields)], [400, ["maximum"]]);
  return true;
});
await assert.rejects(client.suggestMany([red], { maximum: 2 }), BadRequest);
await assert.rejects(new Client(SITE, "st_invented").suggest(red), NotAllowed);

const waits = [];
const slow = new Client(SITE, SLOW_TOKEN, { retries: 1, sleep: (seconds) => void waits.push(seconds) });
await slow.model();
await assert.rejects(slow.model(), TooFast);
assert.equal(waits.length, 1);
assert.ok(waits[0] > 50 && waits[0] <= 60);
const hasty = new Client(SITE, SLOW_TOKEN, { longestWait: 5, sleep: never });
await assert.rejects(hasty.model(), (error) => error instanceof TooFast && error.retryAfter > 5);

const away = [];
const nobody = new Client(CLOSED, "st_x", { retries: 2, sleep: (seconds) => void away.push(seconds) });
await assert.rejects(nobody.suggest(red), (error) => error instanceof Unavailable && error.status === null);
assert.deepEqual(away, [1, 2]);
