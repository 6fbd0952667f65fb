"""The suggester on real WordNet: from nothing, from a few, and never from what nobody confirmed."""

from __future__ import annotations

import pytest

from mapping import wordnet
from mapping.facts import ClassFacts, HashtagFacts
from mapping.suggest import OTHER, Suggester

TAGS = [HashtagFacts("shopping", 100e6), HashtagFacts("church", 25e6), HashtagFacts("forest", 30e6)]
CLASSES = [
    *(
        ClassFacts(f"{word[0]}/{word}", word.replace("_", " "), f"{word}.n.01")
        for word in ("toyshop", "shoe_shop")
    ),
    *(ClassFacts(word, word, f"{word}.n.01") for word in ("bookshop", "barbershop", "butcher_shop")),
    ClassFacts("abbey", "abbey", "abbey.n.01"),
    ClassFacts("rainforest", "rain forest", "rain_forest.n.01"),
    ClassFacts("pantry", "pantry", "pantry.n.01"),
    ClassFacts("qwzx", "qwzx"),
]
AT = {facts.key.split("/")[-1]: at for at, facts in enumerate(CLASSES)}


@pytest.fixture
def suggester() -> Suggester:
    return Suggester(CLASSES, TAGS, wordnet.nouns())


def test_from_nothing_the_words_and_senses_of_hashtags_decide(suggester: Suggester) -> None:
    assert suggester.suggest(AT["rainforest"]).hashtags[0].hashtag == "forest"
    first = suggester.suggest(AT["abbey"]).hashtags[0]
    assert (first.hashtag, first.reason) == ("church", "its hypernym church is itself the hashtag")


def test_it_learns_from_a_few(suggester: Suggester) -> None:
    before = suggester.suggest(AT["barbershop"])
    suggester.learn({AT["toyshop"]: "shopping", AT["shoe_shop"]: "shopping", AT["pantry"]: OTHER})
    after = suggester.suggest(AT["barbershop"])
    assert after.hashtags[0].hashtag == "shopping"
    assert after.hashtags[0].probability > before.hashtags[0].probability


def test_probabilities_are_of_all_answers(suggester: Suggester) -> None:
    suggester.learn({AT["toyshop"]: "shopping", AT["pantry"]: OTHER})
    found = suggester.suggest(AT["shoe_shop"], n=3)
    assert sum(one.probability for one in found.hashtags) + found.other == pytest.approx(1)


def test_an_unknown_label_is_an_error(suggester: Suggester) -> None:
    with pytest.raises(KeyError):
        suggester.learn({0: "no such hashtag"})


def test_only_confirmed_classes_are_counted(suggester: Suggester) -> None:
    suggester.learn({AT["toyshop"]: "shopping", AT["shoe_shop"]: "shopping", AT["bookshop"]: "shopping"})
    found = {one.hashtag: one.reason for one in suggester.suggest(AT["barbershop"]).hashtags}
    assert found["shopping"] == "3 classes under shop are #shopping"
