"""What classes look like, as coordinates: alike or not, and how much is chance."""

from __future__ import annotations

import numpy as np

from mapping.downstream import Look
from mapping.suggester.looks import coordinates

NAN = float("nan")


def look(*mean: float, agreement: float = 0.5, photos: int = 8) -> Look:
    return Look(np.array(mean, np.float32), agreement, photos)


def test_alike_classes_have_a_high_product_and_those_without_photos_none() -> None:
    rows = coordinates([look(1, 0, 0.1), look(1, 0.1, 0), None, look(0, 1, 0)])
    assert rows is not None
    products = rows @ rows.T
    assert products[0, 1] > 0.5 > 0 > products[0, 3]
    assert not rows[2].any()


def test_few_or_differing_photos_say_less() -> None:
    means = {"many": look(1, 0), "few": look(0, 1, photos=1), "differ": look(1, 1, agreement=0.1)}
    rows = coordinates(list(means.values()))
    assert rows is not None
    lengths = dict(zip(means, np.linalg.norm(rows, axis=1), strict=True))
    assert 0.9 < lengths["many"] < 1
    assert lengths["few"] < lengths["many"]
    assert lengths["differ"] < lengths["many"]


def test_single_photos_count_with_the_usual_agreement() -> None:
    rows = coordinates([look(1, 0, agreement=NAN, photos=1), look(0, 1, agreement=NAN, photos=1)])
    assert rows is not None
    assert np.isfinite(rows).all()
    assert rows.any()


def test_without_looks_there_is_nothing_to_compare() -> None:
    assert coordinates([None, None]) is None
