from __future__ import annotations

import numpy as np
import pytest

from mapping.lexicon import clustering

LINE = np.abs(np.subtract.outer([0.0, 1, 10, 12], [0.0, 1, 10, 12]))


@pytest.mark.parametrize(("method", "top"), [("average", 10.5), ("complete", 12.0), ("ward", 10.5 * 2**0.5)])
def test_two_pairs_join_last(method: clustering.Method, top: float) -> None:
    tree = clustering.cluster(LINE, method)
    assert tree.links[:2, 2].tolist() == [1, 2]
    assert tree.links[2, 2] == pytest.approx(top, abs=1e-3)
    groups = tree.cut_by_number(2)
    assert groups[0] == groups[1] != groups[2] == groups[3]
    assert len(set(tree.cut_by_distance(1.5))) == 3


def test_ward_is_refused_where_no_points_have_the_distances() -> None:
    far = np.array([[0, 1, 1, 1], [1, 0, 2, 2], [1, 2, 0, 2], [1, 2, 2, 0]], dtype=float)  # a star
    assert not clustering.is_euclidean(far)
    with pytest.raises(clustering.NotEuclidean):
        clustering.cluster(far, "ward")
    assert clustering.is_euclidean(LINE)


def test_quality_by_hand() -> None:
    found = clustering.quality([1, 1, 1, 2, 2, None], list("aabbbb"))
    assert found.coverage == pytest.approx(5 / 6)
    assert found.groups == 2
    assert found.purity == pytest.approx(4 / 5)
    same = clustering.quality([3, 3, 7], list("xxy"))
    assert (same.purity, same.nmi, same.ari) == (1, 1, 1)
    assert clustering.quality([None], ["x"]).coverage == 0


@pytest.mark.parametrize("measure", ["path", "lch", "jcn"])
def test_distances_are_symmetric_and_same_is_nearest(measure: str) -> None:
    alike = np.array([[4.0, 0.5, 0.1], [0.4, 4.0, 0.0], [0.1, 0.0, 4.0]])
    if measure == "path":
        alike /= 4
    if measure == "jcn":
        np.fill_diagonal(alike, 1e300)
    found = clustering.distances(alike, measure)
    assert np.allclose(found, found.T)
    assert found[0, 1] < found[0, 2] <= found[1, 2] <= 1
    assert (np.diag(found) == 0).all()
