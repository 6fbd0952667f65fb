"""Similarities compared with nltk on the real WordNet, and information content with sums by hand."""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from mapping.lexicon import similarity, wordnet

if TYPE_CHECKING:
    from nltk.corpus.reader.wordnet import WordNetCorpusReader

# fmt: off
KEYS = [
    "abbey.n.01", "airport.n.01", "aquarium.n.01", "shop.n.01", "toyshop.n.01", "shoe_shop.n.01",
    "volleyball_court.n.01", "beach.n.01", "forest.n.02", "rain_forest.n.01", "bamboo.n.01",
    "mountain.n.01", "river.n.01", "lake.n.01", "ocean.n.01", "kitchen.n.01", "bedroom.n.01",
    "street.n.01", "highway.n.01", "railroad_track.n.01", "train_station.n.01", "sky.n.01",
    "stadium.n.01", "gymnasium.n.02", "restaurant.n.01", "bar.n.01", "church.n.02", "cathedral.n.01",
    "castle.n.02", "palace.n.01", "library.n.01", "museum.n.01", "office.n.01", "hospital.n.01",
    "garden.n.01", "park.n.02", "everest.n.01", "paris.n.01", "dog.n.01", "woman.n.01", "entity.n.01",
]
# fmt: on


class Table:
    """A noun table with these parents: number → numbers."""

    def __init__(self, keys: list[str], parents: list[list[int]], counts: list[int]) -> None:
        self.keys = keys
        self.counts = np.array(counts)
        self._parents = [np.array(up, dtype=np.int64) for up in parents]

    def index(self, key: str) -> int | None:
        return self.keys.index(key) if key in self.keys else None

    def parents(self, i: int) -> Any:
        return self._parents[i]


@pytest.fixture(scope="module")
def table(reader: WordNetCorpusReader) -> Table:
    """The senses and all their hypernyms, read with nltk."""
    synsets = {key: reader.synset(key) for key in KEYS}
    for synset in list(synsets.values()):
        synsets |= {s.name(): s for path in synset.hypernym_paths() for s in path}
    keys = sorted(synsets)
    ups = [synsets[key].hypernyms() + synsets[key].instance_hypernyms() for key in keys]
    parents = [[keys.index(up.name()) for up in above] for above in ups]
    return Table(keys, parents, [sum(x.count() for x in synsets[key].lemmas()) for key in keys])


@pytest.mark.integration  # nltk takes seconds to start
@pytest.mark.parametrize("kind", ["counted", "intrinsic"])
def test_six_measures_agree_with_nltk(
    reader: WordNetCorpusReader, table: Table, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nltk.corpus.reader.wordnet import Synset

    content = similarity.information_content(table)
    values = getattr(content, kind)
    # nltk would walk all nouns to compute this number, which takes many seconds.
    monkeypatch.setitem(reader._max_depth, ("n", False), content.depth)
    matrices = similarity.similarities(table, KEYS, values, content.depth)
    # It also need not read the version of its files and walk up from a sense for each pair.
    monkeypatch.setattr(reader, "get_version", cache(reader.get_version))
    for name in ("_shortest_hypernym_paths", "common_hypernyms", "lowest_common_hypernyms"):
        monkeypatch.setattr(Synset, name, cache(getattr(Synset, name)))
    synsets = [reader.synset(key) for key in KEYS]
    shares = {reader.synset(key).offset(): math.exp(-v) for key, v in zip(table.keys, values, strict=True)}
    ic = {"n": {**shares, 0: 1.0}}
    for measure in similarity.MEASURES if kind == "counted" else ("res", "lin", "jcn"):
        more = (ic,) if measure in ("res", "lin", "jcn") else ()
        root = KEYS.index("entity.n.01")
        for i, one in enumerate(synsets):
            for j, other in enumerate(synsets):
                if measure == "lin" and i == j == root:
                    continue  # nltk divides by zero
                nltk_value = getattr(one, f"{measure}_similarity")(other, *more)
                assert matrices[measure][i, j] == pytest.approx(nltk_value, rel=1e-9, abs=1e-12), (
                    measure,
                    one,
                    other,
                )


def test_information_content_counts_each_noun_below_once() -> None:
    # d is below both b and c, which are below a
    diamond = Table(["a", "b", "c", "d"], [[], [0], [0], [1, 2]], [0, 3, 0, 2])
    content = similarity.information_content(diamond)
    assert content.depth == 2
    # Own count + 1 each; d counts once in a.
    assert np.exp(-content.counted) * 9 == pytest.approx([9, 7, 4, 3])
    assert content.intrinsic == pytest.approx([0, *(1 - np.log([2, 2, 1]) / np.log(4))])


@pytest.mark.integration
def test_root_is_the_same_as_itself(table: Table) -> None:
    content = similarity.information_content(table)
    matrices = similarity.similarities(table, ["entity.n.01", "entity.n.01"], content.counted, content.depth)
    assert (matrices["lin"] == 1).all()
    assert (matrices["jcn"] == similarity.SAME).all()


def test_unknown_sense_is_named() -> None:
    with pytest.raises(KeyError, match="jacuzzi"):
        similarity.ancestors(wordnet.nouns(), ["shop.n.01", "jacuzzi.n.01"])
