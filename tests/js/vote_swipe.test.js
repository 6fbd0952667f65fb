/* From where on a finger's way is an answer. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { findDirection, findThreshold, judgeSwipe } from "../../validation/static/validation/vote_swipe.js";

const swipe = (more) => judgeSwipe({ dx: 0, dy: 0, ms: 1_000, width: 1_000, isScrolling: false, ...more });

test("the threshold is 28 % of the card, at most 120 px", () => {
  assert.equal(findThreshold(1_000), 120);
  assert.equal(Math.round(findThreshold(100)), 28);
});

describe("a slow swipe", () => {
  test("answers at the threshold and not before", () => {
    assert.equal(swipe({ dx: 120 }), "right");
    assert.equal(swipe({ dx: -120 }), "left");
    assert.equal(swipe({ dx: 119 }), null);
  });

  test("answers up and down, unless the page scrolls there", () => {
    assert.equal(swipe({ dy: 120 }), "down");
    assert.equal(swipe({ dy: -120 }), "up");
    assert.equal(swipe({ dy: 120, isScrolling: true }), null);
    assert.equal(swipe({ dx: 130, dy: 120, isScrolling: true }), "right");
  });
});

describe("a flick", () => {
  test("is more than 40 px, faster than 0.6 px a millisecond", () => {
    assert.equal(swipe({ dx: 60, ms: 99 }), "right");
    assert.equal(swipe({ dx: 60, ms: 100 }), null);
    assert.equal(swipe({ dx: 40, ms: 1 }), null);
    assert.equal(swipe({ dx: 41, ms: 1 }), "right");
  });

  test("within the same millisecond is no division by zero", () => {
    assert.equal(swipe({ dx: 41, ms: 0 }), "right");
    assert.equal(swipe({ dx: 0, ms: 0 }), null);
  });
});

test("the longer way decides, and sideways on a tie", () => {
  assert.equal(findDirection(5, 6, false), "down");
  assert.equal(findDirection(-6, -6, false), "left");
});
