from __future__ import annotations

import numpy as np
import pytest

from mapping.lexicon import clustering

LINE = np.abs(np.subtract.outer([0.0, 1, 10, 12], [0.0, 1, 10, 12]))


@pytest.mark.parametrize(("method", "top"), [("average", 10.5), ("complete", 12.0), ("ward", 10.5 * 2**0.5)])
def test_pairs_are_joined_first(method: clustering.Method, top: float) -> None:
    tree = clustering.cluster(LINE, method)
    assert tree.links[:2, 2].tolist() == [1, 2]
    assert tree.links[2, 2] == pytest.approx(top, abs=1e-3)
    groups = tree.cut_by_number(2)
    assert groups[0] == groups[1] != groups[2] == groups[3]
    assert len(set(tree.cut_by_distance(1.5))) == 3


def test_ward_is_refused_for_non_euclidean_distances() -> None:
    star = np.array([[0, 1, 1, 1], [1, 0, 2, 2], [1, 2, 0, 2], [1, 2, 2, 0]], dtype=float)  # a star
    assert not clustering.is_euclidean(star)
    with pytest.raises(clustering.NotEuclidean):
        clustering.cluster(star, "ward")
    assert clustering.is_euclidean(LINE)


def test_quality_equals_values_by_hand() -> None:
    quality = clustering.quality([1, 1, 1, 2, 2, None], list("aabbbb"))
    assert quality.coverage == pytest.approx(5 / 6)
    assert quality.groups == 2
    assert quality.purity == pytest.approx(4 / 5)
    # Two have a tie among the others, one is answered wrongly, two are alike, one is in no group.
    assert quality.answered == pytest.approx(3 / 6)
    assert quality.right == pytest.approx(2 / 3)
    assert quality.helps == pytest.approx(2 / 6)
    perfect = clustering.quality([3, 3, 7], list("xxy"))
    assert (perfect.purity, perfect.nmi, perfect.ari) == (1, 1, 1)
    assert (perfect.answered, perfect.right) == (2 / 3, 1)  # a group of one answers nobody
    assert clustering.quality([None], ["x"]).coverage == 0


@pytest.mark.parametrize("measure", ["path", "lch", "jcn"])
def test_distances_are_symmetric_and_zero_to_itself(measure: str) -> None:
    similarity = np.array([[4.0, 0.5, 0.1], [0.4, 4.0, 0.0], [0.1, 0.0, 4.0]])
    if measure == "path":
        similarity /= 4
    if measure == "jcn":
        np.fill_diagonal(similarity, 1e300)
    distance = clustering.distances(similarity, measure)
    assert np.allclose(distance, distance.T)
    assert distance[0, 1] < distance[0, 2] <= distance[1, 2] <= 1
    assert (np.diag(distance) == 0).all()
