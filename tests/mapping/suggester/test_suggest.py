"""The suggester on the real WordNet: without confirmed rows, with a few, and never from unconfirmed ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from formats.classes import OTHER
from mapping.lexicon import wordnet
from mapping.suggester import space
from mapping.suggester.facts import ClassFacts, Floats, HashtagFacts
from mapping.suggester.suggest import Suggester

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


def test_without_confirmed_rows_words_and_senses_of_hashtags_decide(suggester: Suggester) -> None:
    assert suggester.suggest(AT["rainforest"]).hashtags[0].hashtag == "forest"
    first = suggester.suggest(AT["abbey"]).hashtags[0]
    assert (first.hashtag, first.reason) == ("church", "its hypernym church is itself the hashtag")


def test_suggester_learns_from_a_few_rows(suggester: Suggester) -> None:
    before = suggester.suggest(AT["barbershop"])
    suggester.learn({AT["toyshop"]: "shopping", AT["shoe_shop"]: "shopping", AT["pantry"]: OTHER})
    after = suggester.suggest(AT["barbershop"])
    assert after.hashtags[0].hashtag == "shopping"
    assert after.hashtags[0].probability > before.hashtags[0].probability


def test_probabilities_of_all_answers_sum_to_1(suggester: Suggester) -> None:
    suggester.learn({AT["toyshop"]: "shopping", AT["pantry"]: OTHER})
    suggestions = suggester.suggest(AT["shoe_shop"], n=3)
    assert sum(one.probability for one in suggestions.hashtags) + suggestions.other == pytest.approx(1)


def test_unknown_label_is_an_error(suggester: Suggester) -> None:
    with pytest.raises(KeyError):
        suggester.learn({0: "no such hashtag"})


def test_reasons_count_confirmed_classes_only(suggester: Suggester) -> None:
    suggester.learn({AT["toyshop"]: "shopping", AT["shoe_shop"]: "shopping", AT["bookshop"]: "shopping"})
    reasons = {one.hashtag: one.reason for one in suggester.suggest(AT["barbershop"]).hashtags}
    assert reasons["shopping"] == "3 classes under shop are #shopping"


def test_class_is_not_part_of_its_own_reason(suggester: Suggester) -> None:
    suggester.learn({AT["toyshop"]: "shopping", AT["shoe_shop"]: "shopping", AT["bookshop"]: "shopping"})
    reasons = {one.hashtag: one.reason for one in suggester.suggest(AT["bookshop"]).hashtags}
    assert reasons["shopping"] == "2 classes under shop are #shopping"


def looks_of(**directions: int) -> Floats:
    """Coordinates of classes by name; equal directions look alike, the others have no photos."""
    rows = np.zeros((len(CLASSES), 4), np.float32)
    for name, direction in directions.items():
        rows[AT[name], direction] = 1
    return rows


@pytest.fixture
def seeing() -> Suggester:
    """Whose photos of qwzx, which has no sense and no known word, look like a shop's."""
    looks = looks_of(toyshop=0, shoe_shop=0, qwzx=0, abbey=1, rainforest=2, pantry=3)
    return Suggester(CLASSES, TAGS, wordnet.nouns(), looks=looks)


SOME = {AT["toyshop"]: "shopping", AT["abbey"]: "church", AT["pantry"]: OTHER}


def test_looks_help_where_words_fail_and_are_the_reason(suggester: Suggester, seeing: Suggester) -> None:
    for one in (suggester, seeing):
        one.learn(SOME)
    blind, first = suggester.suggest(AT["qwzx"]), seeing.suggest(AT["qwzx"]).hashtags[0]
    assert (first.hashtag, first.reason) == ("shopping", "looks like toyshop")
    assert first.probability > 2 * {one.hashtag: one.probability for one in blind.hashtags}["shopping"]
    assert blind.abstains
    assert not seeing.suggest(AT["qwzx"]).abstains


def test_looks_are_named_beside_the_reason_of_words(seeing: Suggester) -> None:
    seeing.learn(SOME | {AT["bookshop"]: "shopping"})
    reasons = {one.hashtag: one.reason for one in seeing.suggest(AT["shoe_shop"]).hashtags}
    assert reasons["shopping"] == "2 classes under shop are #shopping; looks like toyshop"
    assert "looks" not in reasons["church"]


def test_only_confirmed_classes_look_alike(seeing: Suggester) -> None:
    assert seeing.lookalikes(AT["qwzx"]) == []
    seeing.learn(SOME)
    assert seeing.lookalikes(AT["qwzx"]) == [AT["toyshop"]]
    assert seeing.lookalikes(AT["toyshop"]) == []
    assert seeing.lookalikes(AT["bookshop"]) == []  # without photos


@pytest.mark.parametrize("own_answer", ["church", OTHER])
@pytest.mark.parametrize("eyes", ["suggester", "seeing"])
def test_confirmed_class_is_no_evidence_for_itself(
    request: pytest.FixtureRequest, eyes: str, own_answer: str
) -> None:
    """Its own answer must not change a score, a nearest class or a count; shared weights may change."""
    suggester: Suggester = request.getfixturevalue(eyes)
    shops = {AT[name]: "shopping" for name in ("toyshop", "shoe_shop", "bookshop", "butcher_shop")}
    own = AT["barbershop" if eyes == "suggester" else "qwzx"]
    suggester.learn({**shops, own: own_answer})
    numbers, _ = suggester.evidence(own)
    suggester.learn({**shops, own: "forest"})
    numbers_after, _ = suggester.evidence(own)
    differing_names = [
        name for name in numbers if name != "many" and abs(numbers[name] - numbers_after[name]).max() > 0.02
    ]
    assert differing_names == []


def test_updating_equals_learning_from_scratch(suggester: Suggester) -> None:
    """An updated state equals one that was learned from scratch, so undo works."""
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


def test_suggester_abstains_if_nothing_is_similar(suggester: Suggester) -> None:
    suggester.learn({AT["toyshop"]: "shopping", AT["shoe_shop"]: "shopping", AT["pantry"]: OTHER})
    assert suggester.suggest(AT["qwzx"]).abstains
    assert not suggester.suggest(AT["bookshop"]).abstains


def test_new_sense_changes_the_suggestions(suggester: Suggester) -> None:
    suggester.learn({AT["toyshop"]: "shopping"})
    suggester.replace(AT["qwzx"], ClassFacts("qwzx", "qwzx", "rain_forest.n.01"))
    first = suggester.suggest(AT["qwzx"]).hashtags[0]
    assert (first.hashtag, first.reason) == ("forest", "its hypernym forest is itself the hashtag")
    suggester.learn({AT["toyshop"]: "shopping", AT["qwzx"]: "forest"})
    assert suggester.suggest(AT["rainforest"]).hashtags[0].hashtag == "forest"


def test_refused_answer_is_not_given_again(suggester: Suggester) -> None:
    suggester.learn({AT["toyshop"]: "shopping", AT["shoe_shop"]: "shopping"})
    row = AT["bookshop"]
    assert suggester.answers()[row][0] == "shopping"
    assert suggester.answers({row: ["shopping"]})[row][0] != "shopping"


def test_embeddings_help_where_words_fail() -> None:
    """The embedding tells shops from all else. The class has no sense and no known word."""

    def embed(texts: Sequence[str]) -> Floats:
        return np.array(
            [[1, 0] if "shop" in text or "qwzx" in text else [0, 1] for text in texts], np.float32
        )

    chances = []
    for embeddings_or_none in (None, embed):
        suggester = Suggester(CLASSES, TAGS, wordnet.nouns(), embeddings_or_none)
        suggester.learn({AT["toyshop"]: "shopping", AT["abbey"]: "church", AT["pantry"]: OTHER})
        probabilities = {one.hashtag: one.probability for one in suggester.suggest(AT["qwzx"]).hashtags}
        chances.append(probabilities["shopping"])
    assert chances[1] > 2 * chances[0]


def test_sketches_give_the_same_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sketches are used beyond EXACT rows; here for all rows."""
    exact = Suggester(CLASSES, TAGS, wordnet.nouns())
    monkeypatch.setattr(space, "EXACT", 0)
    by_sketch = Suggester(CLASSES, TAGS, wordnet.nouns())
    some = {AT["toyshop"]: "shopping", AT["abbey"]: "church", AT["pantry"]: OTHER, AT["rainforest"]: "forest"}
    for suggester in (exact, by_sketch):
        suggester.learn(some)
        suggester.learn({**some, AT["shoe_shop"]: "shopping"})
    assert [answer for answer, _ in by_sketch.answers()] == [answer for answer, _ in exact.answers()]
