"""How people differ in leniency: some find nearly everything fitting, some hardly anything."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def between_people(people: NDArray[np.int64], strata: NDArray[np.int64], is_yes: NDArray[np.bool_]) -> float:
    """The variance that differences in leniency add to the mean of these answers; 0 for fewer than 2 people.

    Each answer (v,) has a person (0…m−1), the stratum of its question, and whether it is yes. A person's
    leniency is how many more yeses they gave than the strata of their questions lead to expect: a person who
    was asked about unsure photos is not strict. The spread of these means beyond chance is the variance of
    leniency (method of moments, W. G. Cochran 1977, 10.6). It adds to the variance of the mean with the
    factor Σn² / (Σn)², where n is the number of one person's answers.
    """
    if not len(people):
        return 0.0
    yes = is_yes.astype(float)
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
