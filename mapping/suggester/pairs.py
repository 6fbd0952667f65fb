"""A choice among candidates with shared weights: conditional logit, fitted by Newton's method.

McFadden (1974): the probability of candidate c of row r is softmax over c of w·f(r, c). Our own,
because scikit-learn has no conditional logit.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

STEPS = 12
ENOUGH = 1e-4

Array = NDArray[np.float64]


def probabilities(features: Array, weights: Array) -> Array:
    """features (rows, candidates, f) → probabilities (rows, candidates); each row sums to 1."""
    from scipy.special import softmax  # takes 0.2 s to import, and most commands do not need it

    return np.asarray(softmax(features @ weights, axis=1))


def fit(features: Array, truth: NDArray[np.int64], prior: Array, strength: float, start: Array) -> Array:
    """The weights that maximize log likelihood − strength/2·|w − prior|². truth (rows,): right candidates."""
    rows, _, size = features.shape
    weights = start.copy()
    observed = features[np.arange(rows), truth].sum(0)
    for _ in range(STEPS):
        chances = probabilities(features, weights)
        expectation = np.einsum("rc,rcf->rf", chances, features)
        gradient = observed - expectation.sum(0) - strength * (weights - prior)
        weighted = features * chances[:, :, None]
        hessian = weighted.reshape(-1, size).T @ features.reshape(-1, size) - expectation.T @ expectation
        step = np.linalg.solve(hessian + strength * np.eye(size), gradient)
        weights += step * min(1.0, 5.0 / float(np.abs(step).max() + 1e-12))
        if float(np.abs(step).max()) < ENOUGH:
            break
    return weights
