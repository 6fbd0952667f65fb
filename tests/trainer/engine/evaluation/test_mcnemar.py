"""McNemar's exact test against figures that are known by hand."""

from __future__ import annotations

import pytest

from trainer.engine.evaluation.mcnemar import exact_p


@pytest.mark.parametrize(
    ("first", "second", "p"),
    [(0, 0, 1.0), (0, 5, 2 / 32), (5, 0, 2 / 32), (1, 7, 2 * 9 / 256), (40, 40, 1.0)],
)
def test_photos_that_only_one_gets_right_fall_to_either_side_by_a_coin(
    first: int, second: int, p: float
) -> None:
    assert exact_p(first, second) == pytest.approx(p)
