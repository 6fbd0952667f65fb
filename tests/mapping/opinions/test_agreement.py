"""Agreement against published examples, and what it says where there is little or nothing to say."""

from __future__ import annotations

from collections import Counter

import pytest

from mapping.opinions.agreement import Mistaken, Pattern, agreement, mistaken, project


def patterns(*answers: str) -> Counter[Pattern]:
    """One string per opinion, one letter per class; a dot is no answer."""
    rows = zip(*(answer.replace(" ", "") for answer in answers), strict=True)
    return Counter(tuple(None if label == "." else label for label in row) for row in rows)


@pytest.mark.parametrize(
    ("answers", "alpha"),
    [  # K. Krippendorff, Computing Krippendorff's Alpha-Reliability, 2011: sections A, B and C
        (("0100000010", "1110010000"), 0.095),
        (("aabbdcccedda", "babbbccceddd"), 0.692),
        (("123321412...", "123322412 5.3", ".33323422 51.", "123324412 51."), 0.743),
    ],
)
def test_published_examples(answers: tuple[str, ...], alpha: float) -> None:
    found = agreement(patterns(*answers))
    assert found.alpha == pytest.approx(alpha, abs=0.0005)
    assert found.low is not None
    assert found.alpha is not None
    assert found.high is not None
    assert found.low < found.alpha < found.high <= 1


def test_percent_counts_what_both_answered() -> None:
    found = agreement(patterns("aab.c", "ab.cc"))
    assert (found.classes, found.same, found.differ) == (3, 2, 1)
    assert found.percent == pytest.approx(2 / 3)


def test_agreement_without_a_difference_is_not_certain() -> None:
    found = agreement(patterns("abcabc", "abcabc"))
    assert (found.alpha, found.high) == (1, 1)
    assert found.low is not None
    assert 0.3 < found.low < 0.6  # 6 classes tell little


def test_interval_narrows_with_classes() -> None:
    few, many = (agreement(patterns("aabbc" * n, "aabbb" * n)) for n in (4, 400))
    assert few.alpha == pytest.approx(many.alpha, abs=0.02)
    assert few.low is not None
    assert many.low is not None
    assert few.low < many.low - 0.1


@pytest.mark.parametrize("answers", [("", ""), ("..", "ab"), ("a.", ".b"), ("aaa", "aaa")])
def test_nothing_to_tell_from_chance_has_no_alpha(answers: tuple[str, str]) -> None:
    found = agreement(patterns(*answers))
    assert (found.alpha, found.low, found.high) == (None, None, None)
    assert found.percent == (1 if answers[0] == "aaa" else None)


def test_opinions_at_odds_are_worse_than_chance() -> None:
    found = agreement(patterns("aabb", "bbaa"))
    assert found.alpha is not None
    assert found.alpha < 0


def test_three_opinions_agree_where_all_who_answered_say_the_same() -> None:
    found = agreement(patterns("aab.", "aac.", "a..d"))
    assert (found.classes, found.same) == (3, 2)


def test_mistaken_labels_most_first() -> None:
    found = mistaken(patterns("aaabb.", "bbacca"))
    assert found == [Mistaken("a", "b", 2), Mistaken("b", "c", 2)]


def test_two_of_three() -> None:
    assert project(patterns("ab", "cd", "ef"), (2, 0)) == {("e", "a"): 1, ("f", "b"): 1}
