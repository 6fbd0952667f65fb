"""A model's promise in words."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import translation

from trainer.registry.promises import one_in, promise_in_words, promise_of


def manifest(kind: str, *groups: tuple[list[str], float | None], target: float = 0.9) -> dict[str, Any]:
    rows = [{"hashtags": names, "threshold": t, "suggestions": 99, "wrong": 2} for names, t in groups]
    return {"target_precision": target, "promise": {"kind": kind, "confidence": 0.95, "groups": rows}}


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (0.1, "1 in 10"),
        (0.05, "1 in 20"),
        (0.4, "4 in 10"),
        (0.07, "7 in 100"),
        (1 - 0.99, "1 in 100"),
        (0.003, "3 in 1,000"),
    ],
)
def test_shares_are_said_as_people_count(share: float, words: str) -> None:
    assert one_in(share) == words


def test_a_model_without_a_promise_says_nothing() -> None:
    assert promise_of({"target_precision": 0.9}) == ""


def test_the_promise_says_for_what_it_holds() -> None:
    overall = promise_of(manifest("overall", (["bar", "cafe"], 0.5)))
    assert overall.startswith("At most 1 in 10 suggestions is wrong, 95\u00a0% sure, ")
    several = promise_of(manifest("overall", (["bar"], 0.5), target=0.7))
    assert several.startswith("At most 3 in 10 suggestions are wrong, ")
    each = promise_of(manifest("each", (["sky"], 0.6), (["bar", "cafe"], 0.5), target=0.8))
    assert each.startswith("Of each hashtag at most 1 in 5 suggestions is wrong, 95\u00a0% sure for all")
    assert each.endswith("#bar, #cafe had few photos: for them the promise holds together.")


def test_a_model_that_can_promise_nothing_says_so() -> None:
    assert promise_of(manifest("each", (["sky"], None), (["bar"], None))).startswith("It suggests nothing")
    assert "few photos" not in promise_of(manifest("each", (["sky"], 0.6), (["bar", "cafe"], None)))


def test_pages_say_the_promise_in_the_readers_language_and_files_in_english() -> None:
    promising = manifest("overall", (["bar", "cafe"], 0.5))
    with translation.override("ru"):
        assert promise_in_words(promising).startswith("Ошибочных подсказок не больше 1 из 10")
        assert promise_of(promising).startswith("At most 1 in 10 suggestions is wrong")
