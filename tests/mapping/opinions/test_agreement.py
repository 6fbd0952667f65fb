"""Agreement on published examples, and with few or no answers."""

from __future__ import annotations

from collections import Counter

import pytest

from mapping.opinions.agreement import Confusion, Pattern, agreement, find_confusions, project


def patterns(*answers: str) -> Counter[Pattern]:
    """One string per opinion, one letter per class. A dot means no answer."""
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
def test_alpha_equals_published_examples(answers: tuple[str, ...], alpha: float) -> None:
    result = agreement(patterns(*answers))
    assert result.alpha == pytest.approx(alpha, abs=0.0005)
    assert result.low is not None
    assert result.alpha is not None
    assert result.high is not None
    assert result.low < result.alpha < result.high <= 1


def test_percent_counts_classes_that_both_answered() -> None:
    result = agreement(patterns("aab.c", "ab.cc"))
    assert (result.classes, result.same, result.differ) == (3, 2, 1)
    assert result.percent == pytest.approx(2 / 3)


def test_full_agreement_on_few_classes_is_uncertain() -> None:
    result = agreement(patterns("abcabc", "abcabc"))
    assert (result.alpha, result.high) == (1, 1)
    assert result.low is not None
    assert 0.3 < result.low < 0.6  # 6 classes are little evidence


def test_interval_narrows_with_classes() -> None:
    of_few, of_many = (agreement(patterns("aabbc" * n, "aabbb" * n)) for n in (4, 400))
    assert of_few.alpha == pytest.approx(of_many.alpha, abs=0.02)
    assert of_few.low is not None
    assert of_many.low is not None
    assert of_few.low < of_many.low - 0.1


@pytest.mark.parametrize("answers", [("", ""), ("..", "ab"), ("a.", ".b"), ("aaa", "aaa")])
def test_alpha_is_none_without_variation(answers: tuple[str, str]) -> None:
    result = agreement(patterns(*answers))
    assert (result.alpha, result.low, result.high) == (None, None, None)
    assert result.percent == (1 if answers[0] == "aaa" else None)


def test_alpha_of_opposite_opinions_is_negative() -> None:
    result = agreement(patterns("aabb", "bbaa"))
    assert result.alpha is not None
    assert result.alpha < 0


def test_opinions_agree_if_all_answers_are_the_same() -> None:
    result = agreement(patterns("aab.", "aac.", "a..d"))
    assert (result.classes, result.same) == (3, 2)


def test_confused_labels_are_ordered_by_number_of_classes() -> None:
    confusions = find_confusions(patterns("aaabb.", "bbacca"))
    assert confusions == [Confusion("a", "b", 2), Confusion("b", "c", 2)]


def test_patterns_can_be_projected_to_two_opinions() -> None:
    assert project(patterns("ab", "cd", "ef"), (2, 0)) == {("e", "a"): 1, ("f", "b"): 1}
