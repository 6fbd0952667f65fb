/* What may be dropped, which upload goes on, and what follows an answer. */

import assert from "node:assert/strict";
import { test } from "node:test";

import {
  afterPiece,
  findUpload,
  isJunk,
  progressWords,
  sizeWords,
  whyNot,
} from "../../validation/static/validation/drop_state.js";

const RULES = {
  endings: { photo: [".jpg", ".png"], archive: [".zip"], table: [".csv"] },
  limits: { photo: 100, archive: 1000, table: 50 },
  systemNames: ["thumbs.db", "__macosx"],
  taken: "Only photos, zips and a table can be taken in.",
};

test("a file that cannot be taken is told why", () => {
  assert.equal(whyNot({ name: "a/B.JPG", size: 100 }, RULES), "");
  assert.equal(whyNot({ name: "a.jpg", size: 101 }, RULES), "It is larger than 100 bytes.");
  assert.equal(whyNot({ name: "a.zip", size: 101 }, RULES), "");
  assert.equal(whyNot({ name: "a.jpg", size: 0 }, RULES), "It is empty.");
  for (const name of ["a.tar", "jpg", "a.jpg/b", ".jpg.txt"]) {
    assert.equal(whyNot({ name, size: 5 }, RULES), RULES.taken, name);
  }
});

test("what is said is in the page's language", () => {
  const rules = { ...RULES, words: { "It is larger than {size}.": "Больше {size}.", "{n} bytes": "{n} Б" } };
  assert.equal(whyNot({ name: "a.jpg", size: 101 }, rules), "Больше 100 Б.");
});

test("what systems leave is nobody's file", () => {
  assert.ok(isJunk("x/.DS_Store", RULES));
  assert.ok(isJunk("x/Thumbs.db", RULES));
  assert.ok(isJunk("__MACOSX/a.jpg", RULES));
  assert.ok(!isJunk("x/a.jpg", RULES));
});

test("a file goes on if its name, size and time are those of the upload", () => {
  const uploads = [
    { name: "y/a.jpg", size: 5, modified: 1 },
    { name: "x/a.jpg", size: 5, modified: 1 },
  ];
  assert.equal(findUpload(uploads, { name: "x/a.jpg", size: 5, modified: 1 }), uploads[1]);
  assert.equal(findUpload(uploads, { name: "a.jpg", size: 5, modified: 1 }), uploads[0]); // chosen without its folder
  assert.equal(findUpload(uploads, { name: "x/a.jpg", size: 5, modified: 2 }), undefined);
  assert.equal(findUpload(uploads, { name: "x/a.jpg", size: 6, modified: 1 }), undefined);
});

test("sizes read as people say them", () => {
  assert.deepEqual([900, 1536, 20 * 2 ** 20, 3 * 2 ** 30].map(sizeWords), [
    "900 bytes",
    "1.5 KB",
    "20 MB",
    "3.0 GB",
  ]);
});

test("the line below the list says how far all is", () => {
  const items = [
    { size: 300, offset: 0, state: "waiting" },
    { size: 100, offset: 0, state: "waiting" },
  ];
  assert.equal(progressWords(items), "2 files, 400 bytes");
  items[1] = { size: 100, offset: 100, state: "done" };
  assert.equal(progressWords(items), "1 of 2 files uploaded, 25 % of 400 bytes");
  items[0].state = "stopped";
  assert.match(progressWords(items), /^1 of 2 files stopped\. What is uploaded is kept/);
});

test("after a piece it goes on where the server is", () => {
  assert.deepEqual(afterPiece({ status: 204, offset: 8, words: "" }), { offset: 8 });
  assert.deepEqual(afterPiece({ status: 409, offset: 16, words: "" }), { offset: 16 }); // another tab was quicker
  assert.deepEqual(afterPiece({ status: 404, offset: null, words: "" }), { anew: true });
  for (const status of [0, 460, 429, 503])
    assert.ok(afterPiece({ status, offset: null, words: "" }).again, status);
  assert.deepEqual(afterPiece({ status: 507, offset: null, words: "Full." }), { stop: "Full." });
  assert.deepEqual(afterPiece({ status: 409, offset: null, words: "Too many." }), { stop: "Too many." });
});
