"""Hierarchical clustering of senses, and how well clusters agree with the labels of the mapping.

scipy and scikit-learn are imported where they are called: they take a second, and every process of the site
imports this module.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

BOUNDED = ("path", "wup", "lin")  # similarities within [0, 1]
Method = Literal["average", "complete", "ward"]
METHODS: tuple[Method, ...] = ("average", "complete", "ward")


def distances(similarity: Floats, measure: str) -> Floats:
    """Symmetric n × n distances, 0 on the diagonal and at most 1.

    1 − s for path, wup and lin; 1 − s / max s for lch and res, whose greatest value stands for "the same";
    jcn is an inverse distance: 1/s over its greatest. wup is first averaged over its two directions.
    """
    same = (similarity + similarity.T) / 2
    if measure in BOUNDED:
        found = 1 - same
    elif measure == "jcn":
        found = np.divide(1.0, same, out=np.full_like(same, np.nan), where=same > 0)
        found = np.where(np.isnan(found), np.nanmax(found), found)
    else:
        found = 1 - same / (same.max() or 1.0)
    found = np.clip(found, 0.0, None)
    np.fill_diagonal(found, 0.0)
    return found / (found.max() or 1.0) if measure not in BOUNDED else found


def is_euclidean(distance: Floats, tolerance: float = 1e-8) -> bool:
    """Whether points with these distances exist, which Ward's method presumes.

    True when −½ J D² J has no negative eigenvalue (Gower 1985), up to the tolerance relative to the greatest.
    """
    size = len(distance)
    centred = np.eye(size) - 1 / size
    values = np.linalg.eigvalsh(-0.5 * centred @ (distance**2) @ centred)
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
        """Cluster numbers from 1, of length n: members are joined at or below that height."""
        from scipy.cluster.hierarchy import fcluster

        return np.asarray(fcluster(self.links, height, "distance"), dtype=np.int64)

    def cut_by_number(self, clusters: int) -> Ints:
        """At most that many clusters, fewer where joins are at one height."""
        from scipy.cluster.hierarchy import fcluster

        return np.asarray(fcluster(self.links, clusters, "maxclust"), dtype=np.int64)

    def drawing(self) -> tuple[list[list[float]], list[list[float]], list[int]]:
        """scipy's U shapes: across (four each; leaf k stands at 5 + 10 k), height (four each), leaf order."""
        from scipy.cluster.hierarchy import dendrogram

        drawn = dendrogram(self.links, no_plot=True)
        return drawn["icoord"], drawn["dcoord"], drawn["leaves"]  # type: ignore[return-value]  # floats


class NotEuclidean(ValueError):
    """Ward's method was asked for with distances that no points have."""


def cluster(distance: Floats, method: Method) -> Tree:
    """Raises NotEuclidean for ward where it is not valid, ValueError for an unknown method or n < 2."""
    from scipy.cluster.hierarchy import linkage
    from scipy.spatial.distance import squareform

    if method not in METHODS:
        raise ValueError(f"method is one of {', '.join(METHODS)}")
    if len(distance) < 2:
        raise ValueError("Two senses are the least that can be clustered.")
    if method == "ward" and not is_euclidean(distance):
        raise NotEuclidean("Ward's method needs Euclidean distances, and these are not.")
    return Tree(np.asarray(linkage(squareform(distance, checks=False), method)), method)


@dataclass(frozen=True)
class Quality:
    """How groups agree with labels, each 0 to 1 (ari can be below 0; 0 is chance).

    coverage: share of the classes that the assistant puts in a group at all; purity: share of those that
    carry their group's most frequent label; nmi: arithmetic normalisation; ari: adjusted Rand index.
    """

    coverage: float
    groups: int
    purity: float
    nmi: float
    ari: float


def quality(groups: Sequence[str | int | None], labels: Sequence[str]) -> Quality:
    """None: in no group, counted in coverage alone. Sequences of one length n."""
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

    pairs = [(group, label) for group, label in zip(groups, labels, strict=True) if group is not None]
    if not pairs:
        return Quality(0.0, 0, 0.0, 0.0, 0.0)
    _, group = np.unique([str(g) for g, _ in pairs], return_inverse=True)
    _, label = np.unique([name for _, name in pairs], return_inverse=True)
    return Quality(
        coverage=len(pairs) / len(labels),
        groups=int(group.max()) + 1,
        purity=purity(group, label),
        nmi=float(normalized_mutual_info_score(label, group)),
        ari=float(adjusted_rand_score(label, group)),
    )


def purity(groups: Ints, labels: Ints) -> float:
    """Share of members whose label is their group's most frequent; both numbered from 0, of one length."""
    table = np.zeros((groups.max() + 1, labels.max() + 1), dtype=np.int64)
    np.add.at(table, (groups, labels), 1)
    return float(table.max(axis=1).sum() / len(groups))
