"""How people differ: some find nearly everything fitting, some hardly anything."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def between_people(
    people: NDArray[np.int64], strata: NDArray[np.int64], said_yes: NDArray[np.bool_]
) -> float:
    """The variance that people's differing leniency adds to the mean of these answers; 0 for fewer than two.

    From answers (v,): who gave them (0…m−1), what kind of question they were about, and if they were yes.
    Each person's yeses beyond what their own questions' strata lead to expect: whoever was asked about unsure
    photos is not strict. The spread of these means over people beyond chance is the variance of leniency
    (method of moments, W. G. Cochran 1977, 10.6), which counts for the mean as Σn² / (Σn)², n the answers of
    one person.
    """
    if not len(people):
        return 0.0
    yes = said_yes.astype(float)
    kinds, n_kinds = int(strata.max()) + 1, np.bincount(strata)
    expected = np.bincount(strata, yes, kinds) / np.maximum(n_kinds, 1)
    n = np.bincount(people).astype(float)
    beyond = np.bincount(people, yes - expected[strata])
    chance = np.bincount(people, (expected * (1 - expected))[strata])
    beyond, chance, n = beyond[n > 0], chance[n > 0], n[n > 0]
    if len(n) < 2:
        return 0.0
    total = float(n.sum())
    by_chance = float((chance / n) @ (1 - n / total))
    spread = float((beyond**2 / n).sum()) - by_chance
    variance = max(0.0, spread / (total - float(n @ n) / total))
    return variance * float(n @ n) / total**2
