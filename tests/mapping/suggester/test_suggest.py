"""The suggester on real WordNet: from nothing, from a few, and never from what nobody confirmed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from mapping.lexicon import wordnet
from mapping.suggester import space
from mapping.suggester.facts import ClassFacts, Floats, HashtagFacts
from mapping.suggester.suggest import OTHER, Suggester

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


def test_a_class_is_not_counted_as_its_own_reason(suggester: Suggester) -> None:
    suggester.learn({AT["toyshop"]: "shopping", AT["shoe_shop"]: "shopping", AT["bookshop"]: "shopping"})
    found = {one.hashtag: one.reason for one in suggester.suggest(AT["bookshop"]).hashtags}
    assert found["shopping"] == "2 classes under shop are #shopping"


@pytest.mark.parametrize("said", ["church", OTHER])
def test_a_confirmed_class_is_answered_as_if_only_the_others_were(suggester: Suggester, said: str) -> None:
    """Its own answer would show in a score, a nearest class or a count; what was learned of all may."""
    shops = {AT[name]: "shopping" for name in ("toyshop", "shoe_shop", "bookshop", "butcher_shop")}
    suggester.learn({**shops, AT["barbershop"]: said})
    numbers, _ = suggester.evidence(AT["barbershop"])
    suggester.learn({**shops, AT["barbershop"]: "forest"})
    others, _ = suggester.evidence(AT["barbershop"])
    told = [name for name in numbers if name != "many" and abs(numbers[name] - others[name]).max() > 0.02]
    assert told == []


def test_forgetting_leaves_no_trace(suggester: Suggester) -> None:
    """Undo: learned by changing what was learned before, and found anew, is the same."""
    some = {AT["toyshop"]: "shopping", AT["abbey"]: "church", AT["pantry"]: OTHER}
    suggester.learn(some)
    suggester.learn({**some, AT["shoe_shop"]: "forest"})
    suggester.learn(some)
    fresh = Suggester(CLASSES, TAGS, wordnet.nouns())
    fresh.learn(some)
    names, chances = zip(*suggester.answers(), strict=True)
    fresh_names, fresh_chances = zip(*fresh.answers(), strict=True)
    assert names == fresh_names
    assert chances == pytest.approx(fresh_chances)


def test_a_class_like_nothing_is_abstained_from(suggester: Suggester) -> None:
    suggester.learn({AT["toyshop"]: "shopping", AT["shoe_shop"]: "shopping", AT["pantry"]: OTHER})
    assert suggester.suggest(AT["qwzx"]).abstains
    assert not suggester.suggest(AT["bookshop"]).abstains


def test_another_sense_is_answered_anew(suggester: Suggester) -> None:
    suggester.learn({AT["toyshop"]: "shopping"})
    suggester.replace(AT["qwzx"], ClassFacts("qwzx", "qwzx", "rain_forest.n.01"))
    first = suggester.suggest(AT["qwzx"]).hashtags[0]
    assert (first.hashtag, suggester.hypernyms(AT["qwzx"])) == ("forest", ("forest",))
    suggester.learn({AT["toyshop"]: "shopping", AT["qwzx"]: "forest"})
    assert suggester.suggest(AT["rainforest"]).hashtags[0].hashtag == "forest"


def test_what_was_unticked_is_not_answered_again(suggester: Suggester) -> None:
    suggester.learn({AT["toyshop"]: "shopping", AT["shoe_shop"]: "shopping"})
    row = AT["bookshop"]
    assert suggester.answers()[row][0] == "shopping"
    assert suggester.answers({row: ["shopping"]})[row][0] != "shopping"


def test_embeddings_help_where_words_do_not() -> None:
    """Two directions: shops and all else. The class has neither sense nor known word."""

    def embed(texts: Sequence[str]) -> Floats:
        return np.array(
            [[1, 0] if "shop" in text or "qwzx" in text else [0, 1] for text in texts], np.float32
        )

    chances = []
    for given in (None, embed):
        suggester = Suggester(CLASSES, TAGS, wordnet.nouns(), given)
        suggester.learn({AT["toyshop"]: "shopping", AT["abbey"]: "church", AT["pantry"]: OTHER})
        found = {one.hashtag: one.probability for one in suggester.suggest(AT["qwzx"]).hashtags}
        chances.append(found["shopping"])
    assert chances[1] > 2 * chances[0]


def test_sketched_products_are_nearly_right(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond EXACT rows; here from the first."""
    exact = Suggester(CLASSES, TAGS, wordnet.nouns())
    monkeypatch.setattr(space, "EXACT", 0)
    sketched = Suggester(CLASSES, TAGS, wordnet.nouns())
    some = {AT["toyshop"]: "shopping", AT["abbey"]: "church", AT["pantry"]: OTHER, AT["rainforest"]: "forest"}
    for suggester in (exact, sketched):
        suggester.learn(some)
        suggester.learn({**some, AT["shoe_shop"]: "shopping"})
    assert [answer for answer, _ in sketched.answers()] == [answer for answer, _ in exact.answers()]
