"""Heads without training by gradients, to compare recipes with: nearest neighbours, and means of classes.

Both get features of training photos and give probabilities of labels, whose temperature is chosen on a part
of the training photos.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainer.engine.evaluation.report import softmax

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
NEIGHBOURS = 20
HEATS = (0.01, 0.02, 0.03, 0.05, 0.08, 0.12, 0.2)
PRIOR_PHOTOS = 3.0  # a class's mean counts its label's mean like so many photos, and that the mean of all
SMALLEST = 1e-6  # a label's probability, so that no logarithm is infinite


@dataclass(frozen=True)
class Taught:
    """Features (n, f) of training photos, their labels and scene classes, and the label of each class."""

    features: Floats
    labels: Ints
    scenes: Ints
    groups: Ints
    label_count: int

    def part(self, chosen: NDArray[np.bool_]) -> Taught:
        some = self.features[chosen], self.labels[chosen], self.scenes[chosen]
        return Taught(*some, self.groups, self.label_count)

    def few(self, each: int) -> Taught:
        """At most so many photos of each class, the first ones."""
        chosen = np.zeros(len(self.labels), bool)
        for scene in range(len(self.groups)):
            chosen[np.flatnonzero(self.scenes == scene)[:each]] = True
        return self.part(chosen)


Head = Callable[[Taught, Floats, float], Floats]


def nearest(taught: Taught, features: Floats, heat: float) -> Floats:
    """Probabilities (m, c): each of the nearest training photos votes for its label, by its cosine."""
    known = _unit(taught.features)
    rows = []
    for chunk in np.array_split(_unit(features), max(1, len(features) // 500)):
        cosines = chunk @ known.T
        near = np.argpartition(-cosines, min(NEIGHBOURS, cosines.shape[1] - 1), 1)[:, :NEIGHBOURS]
        weights = np.exp((np.take_along_axis(cosines, near, 1) - 1) / heat)
        votes = np.zeros((len(chunk), taught.label_count))
        for column in range(near.shape[1]):
            np.add.at(votes, (np.arange(len(chunk)), taught.labels[near[:, column]]), weights[:, column])
        rows.append(votes)
    return _shares(np.concatenate(rows))


def class_means(taught: Taught, features: Floats, heat: float) -> Floats:
    """Probabilities (m, c): each scene class by the cosine of its mean; a label's are added up.

    A class's mean is drawn towards its label's, and that towards the mean of all photos.
    """
    units = _unit(taught.features)
    everything = units.mean(0)
    of_labels = np.stack(
        [_drawn(units[taught.labels == label], everything) for label in range(taught.label_count)]
    )
    of_scenes = np.stack(
        [_drawn(units[taught.scenes == at], of_labels[label]) for at, label in enumerate(taught.groups)]
    )
    scenes = softmax(_unit(features) @ _unit(of_scenes).T / heat)
    member = np.eye(taught.label_count)[taught.groups]
    return _shares(scenes @ member)


def probabilities(head: Head, taught: Taught, features: Floats) -> Floats:
    """Of photos with these features (m, f) → (m, c), by the heat that is best on a tenth of the training."""
    mean, deviation = taught.features.mean(0), taught.features.std(0) + 1e-3
    standard = (taught.features - mean) / deviation
    taught = Taught(standard, taught.labels, taught.scenes, taught.groups, taught.label_count)
    tenth = np.random.default_rng(0).random(len(taught.labels)) < 0.1
    rest, tried = taught.part(~tenth), taught.part(tenth)

    def surprise(heat: float) -> float:
        rows = head(rest, tried.features, heat)
        return -float(np.log(rows[np.arange(len(rows)), tried.labels]).mean())

    return head(taught, (features - mean) / deviation, min(HEATS, key=surprise))


def _unit(rows: Floats) -> Floats:
    units: Floats = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
    return units


def _drawn(rows: Floats, towards: Floats) -> Floats:
    """The mean of the rows (n, f), drawn towards another (f,)."""
    mean: Floats = (rows.sum(0) + PRIOR_PHOTOS * towards) / (len(rows) + PRIOR_PHOTOS)
    return mean


def _shares(rows: Floats) -> Floats:
    rows = np.maximum(rows, SMALLEST * np.maximum(rows.sum(1, keepdims=True), 1e-300))
    shares: Floats = rows / rows.sum(1, keepdims=True)
    return shares
