"""Hierarchical clustering of senses, and how well clusters agree with the labels of the mapping.

scipy and scikit-learn are imported where they are called: they take a second, and every process of the site
imports this module.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from django.utils.translation import gettext_noop
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

BOUNDED = ("path", "wup", "lin")  # similarities within [0, 1]
Method = Literal["average", "complete", "ward"]
METHODS: tuple[Method, ...] = ("average", "complete", "ward")


def distances(similarity: Floats, measure: str) -> Floats:
    """Symmetric n × n distances from similarities s, 0 on the diagonal and at most 1.

    1 − s for path, wup and lin. 1 − s / max s for lch and res, whose maximum means "the same". jcn is an
    inverse distance: 1/s, divided by its maximum. wup is first averaged over its two directions.
    """
    symmetric = (similarity + similarity.T) / 2
    if measure in BOUNDED:
        distance = 1 - symmetric
    elif measure == "jcn":
        distance = np.divide(1.0, symmetric, out=np.full_like(symmetric, np.nan), where=symmetric > 0)
        distance = np.where(np.isnan(distance), np.nanmax(distance), distance)
    else:
        distance = 1 - symmetric / (symmetric.max() or 1.0)
    distance = np.clip(distance, 0.0, None)
    np.fill_diagonal(distance, 0.0)
    return distance / (distance.max() or 1.0) if measure not in BOUNDED else distance


def is_euclidean(distance: Floats, tolerance: float = 1e-8) -> bool:
    """Whether points with these distances exist, which Ward's method assumes.

    True if −½ J D² J has no negative eigenvalue (Gower 1985), up to a tolerance relative to the greatest.
    """
    size = len(distance)
    centring = np.eye(size) - 1 / size
    values = np.linalg.eigvalsh(-0.5 * centring @ (distance**2) @ centring)
    return bool(values[0] >= -tolerance * max(values[-1], 1e-300))


@dataclass(frozen=True)
class Tree:
    """A dendrogram. links is scipy's linkage, (n − 1) × 4."""

    links: Floats
    method: Method

    @property
    def leaves(self) -> int:
        return len(self.links) + 1

    def cut_by_distance(self, height: float) -> Ints:
        """The cluster number of each leaf, from 1. Members are joined at or below this height."""
        from scipy.cluster.hierarchy import fcluster

        return np.asarray(fcluster(self.links, height, "distance"), dtype=np.int64)

    def cut_by_number(self, clusters: int) -> Ints:
        """The cluster number of each leaf, from 1. Fewer clusters if several joins have the same height."""
        from scipy.cluster.hierarchy import fcluster

        return np.asarray(fcluster(self.links, clusters, "maxclust"), dtype=np.int64)

    def drawing(self) -> tuple[list[list[float]], list[list[float]], list[int]]:
        """scipy's U shapes: four x values each (leaf k is at 5 + 10 k), four heights each; leaf order."""
        from scipy.cluster.hierarchy import dendrogram

        drawing = dendrogram(self.links, no_plot=True)
        return drawing["icoord"], drawing["dcoord"], drawing["leaves"]  # type: ignore[return-value]  # floats


class NotEuclidean(ValueError):
    """Ward's method was requested for distances that are not Euclidean."""


def cluster(distance: Floats, method: Method) -> Tree:
    """Cluster n items. Raises NotEuclidean if ward is not valid; ValueError for a bad method or n < 2."""
    from scipy.cluster.hierarchy import linkage
    from scipy.spatial.distance import squareform

    if method not in METHODS:
        raise ValueError(f"method is one of {', '.join(METHODS)}")
    if len(distance) < 2:
        raise ValueError("At least two senses are needed to cluster.")
    if method == "ward" and not is_euclidean(distance):
        raise NotEuclidean(gettext_noop("Ward's method needs Euclidean distances, and these are not."))
    return Tree(np.asarray(linkage(squareform(distance, checks=False), method)), method)


@dataclass(frozen=True)
class Quality:
    """How well groups agree with labels. Values are in [0, 1]; ari is 0 for chance and can be negative.

    answered: share of the classes that their groups answer. A group answers a class if one label is the most
    frequent among its other members, and answers right if that is the class's own. right: share of the
    answers that are right. coverage: share of the classes that are in any group; purity: share of these that
    have the most frequent label of their group; nmi: arithmetic normalisation; ari: adjusted Rand index.
    """

    coverage: float
    groups: int
    purity: float
    nmi: float
    ari: float
    answered: float = 0.0
    right: float = 0.0

    @property
    def helps(self) -> float:
        """Share of all classes that get an answer, and the right one."""
        return self.answered * self.right


def quality(groups: Sequence[str | int | None], labels: Sequence[str]) -> Quality:
    """The quality of a grouping. A group of None counts in coverage only. Both sequences have length n."""
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

    pairs = [(group, label) for group, label in zip(groups, labels, strict=True) if group is not None]
    if not pairs:
        return Quality(0.0, 0, 0.0, 0.0, 0.0)
    _, group = np.unique([str(g) for g, _ in pairs], return_inverse=True)
    _, label = np.unique([name for _, name in pairs], return_inverse=True)
    answered, right = answers(group, label)
    return Quality(
        answered=answered.sum() / len(labels),
        right=right.sum() / max(1, answered.sum()),
        coverage=len(pairs) / len(labels),
        groups=int(group.max()) + 1,
        purity=purity(group, label),
        nmi=float(normalized_mutual_info_score(label, group)),
        ari=float(adjusted_rand_score(label, group)),
    )


def answers(groups: Ints, labels: Ints) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """For each member: do the others of its group agree on a most frequent label, and is it the member's own?

    Groups and labels are numbered from 0. Without the member itself, or a group of one would always be right.
    """
    counts = np.zeros((groups.max() + 1, labels.max() + 2), dtype=np.int64)  # a column more: two at least
    np.add.at(counts, (groups, labels), 1)
    others = counts[groups]
    others[np.arange(len(groups)), labels] -= 1
    second, first = np.sort(others, axis=1)[:, -2:].T
    answered = first > second
    return answered, answered & (others.argmax(axis=1) == labels)


def purity(groups: Ints, labels: Ints) -> float:
    """Share of members with the most frequent label of their group. Groups and labels are numbered from 0."""
    table = np.zeros((groups.max() + 1, labels.max() + 1), dtype=np.int64)
    np.add.at(table, (groups, labels), 1)
    return float(table.max(axis=1).sum() / len(groups))
