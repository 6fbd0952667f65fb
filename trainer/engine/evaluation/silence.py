"""Scores by which a model may decide to stay silent, and how good such a score is.

A score (n,) is higher for photos whose suggestion is likelier right. Outputs (n, c) are logits; features
(n, f) are those of a frozen backbone. Two figures judge a score, given whether each photo's suggestion is
wrong (n,):

- AURC, the area under the risk-coverage curve: the mean share of wrong suggestions over all coverages;
- AUGRC, the area under the generalised risk-coverage curve (Traub et al. 2024): the mean over all coverages
  of the wrong suggestions' share of all photos, so that few suggestions do not weigh as much as many.

Lower is better for both. Photos with equal scores count as if their order were drawn at random.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
SMALLEST = 1e-12


def aurc(score: Floats, wrong: NDArray[Any]) -> float:
    """The mean over i of the share of wrong ones among the i highest scores; 0 without photos."""
    if not len(score):
        return 0.0
    risk = _ranked(score, wrong).cumsum() / np.arange(1, len(score) + 1)
    return float(risk.mean())


def augrc(score: Floats, wrong: NDArray[Any]) -> float:
    """The area (by trapezoids) under wrong suggestions / all photos over coverage; 0 without photos."""
    count = len(score)
    if not count:
        return 0.0
    mistakes = np.concatenate([[0.0], _ranked(score, wrong).cumsum()]) / count
    return float((mistakes[1:] + mistakes[:-1]).sum() / 2 / count)


def _ranked(score: Floats, wrong: NDArray[Any]) -> Floats:
    """The share of wrong ones at each rank (n,), the highest score first; equal scores share their mean."""
    _, group, counts = np.unique(-score, return_inverse=True, return_counts=True)
    means = np.bincount(group, wrong.astype(float)) / counts
    return np.repeat(means, counts)


def silent_share(score: Floats, coverage: float, outside: NDArray[np.bool_]) -> float:
    """The share of photos out of scope (n,) without a suggestion if the others get one at this coverage.

    The threshold is the score that leaves ⌈coverage × m⌉ of the m photos in scope; those that equal it speak.
    """
    inside = np.sort(score[~outside])[::-1]
    place = max(0, int(np.ceil(coverage * len(inside) - 1e-9)) - 1)
    return float((score[outside] < inside[place]).mean())


# --- scores ----------------------------------------------------------------------------------------


def energy(outputs: Floats) -> Floats:
    """log Σ exp of the outputs (n, c): Liu et al. 2020, with the sign turned."""
    from scipy.special import logsumexp  # takes 0.2 s, which most commands do not need

    return np.asarray(logsumexp(outputs, axis=1))


def margin(probabilities: Floats, chosen: NDArray[np.int64]) -> Floats:
    """The chosen label's probability minus the highest of the other labels', from (n, c) and (n,)."""
    rows = np.arange(len(chosen))
    others = probabilities.copy()
    others[rows, chosen] = -np.inf
    return np.asarray(probabilities[rows, chosen] - others.max(1))


def mahalanobis(features: Floats, known: Floats, labels: NDArray[np.int64]) -> Floats:
    """Minus the squared distance of features (n, f) to the nearest class mean of known photos (m, f), (m,).

    In units of the covariance within classes, which all classes share (Lee et al. 2018). It is shrunk towards
    its diagonal by a tenth, so that it can be inverted with few photos.
    """
    classes, group = np.unique(labels, return_inverse=True)
    means = np.stack([known[group == at].mean(0) for at in range(len(classes))])
    inner = known - means[group]
    covariance = inner.T @ inner / len(known)
    covariance = 0.9 * covariance + 0.1 * np.diag(np.diag(covariance)) + SMALLEST * np.eye(len(covariance))
    root = np.linalg.cholesky(np.linalg.inv(covariance))
    ours, theirs = features @ root, means @ root
    squares = (ours**2).sum(1)[:, None] + (theirs**2).sum(1) - 2 * ours @ theirs.T
    return np.asarray(-squares.min(1))


def neighbours(features: Floats, known: Floats, *, k: int = 10) -> Floats:
    """Minus the distance of features (n, f) to the k-th nearest known photo (m, f), all scaled to length 1.

    Sun et al. 2022, "Out-of-distribution detection with deep nearest neighbors".
    """
    ours, theirs = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (features, known))
    k = min(k, len(known))
    nearest = [np.partition(-(part @ theirs.T), k - 1, axis=1)[:, k - 1] for part in _parts(ours)]
    return np.asarray(-np.sqrt(np.maximum(2 + 2 * np.concatenate(nearest), 0)))


def _parts(rows: Floats) -> list[Floats]:
    return [rows[at : at + 512] for at in range(0, len(rows), 512)]
