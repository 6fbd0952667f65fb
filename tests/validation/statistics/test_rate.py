"""The edges of a rate; how rates are made of photos is in test_estimators.py."""

from __future__ import annotations

from validation.statistics.rate import FEW, Rate, majority


def test_majority() -> None:
    assert [majority(2, 1), majority(1, 2), majority(1, 1)] == [1.0, 0.0, 0.5]


def test_few() -> None:
    assert Rate(1, 0, 1, FEW - 1).is_few
    assert not Rate(1, 0, 1, FEW).is_few
