"""Keys and clicks are counted as the pages of the mapping ask for them."""

from __future__ import annotations

import pytest

from benchmarks import suggest
from formats.classes import OTHER
from mapping.lexicon import wordnet
from mapping.suggester.facts import ClassFacts, HashtagFacts
from mapping.suggester.suggest import Suggester

TAGS = (
    "art",
    "bar",
    "beach",
    "cafe",
    "church",
    "forest",
    "garden",
    "home",
    "sky",
    "sport",
    "street",
    "water",
)


def test_the_nine_likeliest_hashtags_and_other_are_one_key_and_the_rest_a_search() -> None:
    tags = [HashtagFacts(name) for name in TAGS]
    suggester = Suggester([ClassFacts("a/abbey", "abbey", "abbey.n.01")], tags, wordnet.nouns())
    ranked = [one.hashtag for one in suggester.suggest(0, n=len(tags)).hashtags]
    assert [suggest.by_key(suggester, 0, name) for name in ranked] == [1] * 9 + [suggest.SEARCH] * 3
    assert suggest.by_key(suggester, 0, OTHER) == 1


def test_a_page_of_groups_has_its_likeliest_sure_rows_and_another_than_the_largest_has_to_be_chosen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(suggest, "PER_PAGE", 2)
    church, bar = ("church", 0.61), ("bar", 0.99)
    answers = [church, bar, ("church", 0.62), ("church", 0.63), bar, ("bar", 0.5)]
    assert suggest.best_page(answers, {}) == ("bar", [1, 4], False)
    assert suggest.best_page(answers, {1: "bar"}) == ("church", [3, 2], True)
    assert suggest.best_page(answers, {0: "bar", 1: "bar", 2: "bar", 4: "bar"}) is None  # a row alone
