"""The similarity of senses by WordNet's six measures, computed as matrices instead of pair by pair.

path, wup (Wu & Palmer 1994), lch (Leacock & Chodorow 1998), res (Resnik 1995), lin (Lin 1998) and jcn
(Jiang & Conrath 1997), equal to nltk's. We follow nltk's peculiarities, so that figures can be compared:

- wup takes the common ancestor with the greatest *least* depth, but uses its *greatest* depth. Ties go to the
  first by name, or to the first sense itself. So wup can differ slightly between the two directions.
- jcn of a sense with itself is 1e300.

Pure numpy. Ancestors are visited once, most general first, and each overwrites the block of senses below it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MEASURES = ("path", "wup", "lch", "res", "lin", "jcn")
SAME = 1e300  # nltk's jcn of a sense with itself
FAR = 60  # longer than any path in WordNet, where two nouns are at most 2·19 steps apart


class Nouns(Protocol):
    """The part of the noun table of mapping.lexicon.nouns that is needed here."""

    @property
    def keys(self) -> Sequence[str]: ...
    @property
    def counts(self) -> NDArray[Any]: ...
    def index(self, key: str, /) -> int | None: ...
    def parents(self, i: int, /) -> NDArray[Any]: ...


@dataclass(frozen=True)
class Content:
    """Information content of every noun, and the depth of the whole tree.

    counted: −ln p, where p is the share of WordNet's tagged texts that use the noun or one below it, with
    one added to the count of each noun. intrinsic: 1 − ln(nouns below + 1) / ln(all nouns), Seco et al. 2004.
    """

    counted: Floats
    intrinsic: Floats
    depth: int


def information_content(nouns: Nouns) -> Content:
    """The information content of all nouns; 0 at the root. Takes almost a second for WordNet's 82,000."""
    size = len(nouns.keys)
    descendant, ancestor, depth = _closure([nouns.parents(i) for i in range(size)])
    occurrences = np.bincount(
        ancestor, weights=np.asarray(nouns.counts, float)[descendant] + 1, minlength=size
    )
    descendants = np.bincount(ancestor, minlength=size)  # includes the noun itself, which is Seco's + 1
    return Content(
        counted=np.abs(-np.log(occurrences / occurrences.max())),
        intrinsic=1 - np.log(descendants) / np.log(size),
        depth=depth,
    )


def _closure(parents: list[NDArray[Any]]) -> tuple[Ints, Ints, int]:
    """Every pair of a noun and an ancestor or itself, and the length of the longest path up."""
    size = len(parents)
    start = np.concatenate([[0], np.cumsum([len(up) for up in parents])]).astype(np.int64)
    flat = np.concatenate(parents).astype(np.int64)
    child = at = np.arange(size, dtype=np.int64)
    pair_codes, depth = [child * size + at], -1
    while len(child):
        depth += 1
        parent_counts = start[at + 1] - start[at]
        nth = np.arange(parent_counts.sum()) - np.repeat(
            np.cumsum(parent_counts) - parent_counts, parent_counts
        )
        child, at = np.repeat(child, parent_counts), flat[np.repeat(start[at], parent_counts) + nth]
        pair_codes.append(child * size + at)
    pairs = np.unique(np.concatenate(pair_codes))
    return pairs // size, pairs % size, depth


@dataclass(frozen=True)
class Ancestors:
    """The requested senses and all their hypernyms, m nouns.

    ids: their numbers among all nouns. at: the place of each requested sense among them, length n. under[a]:
    the nouns at or below a. up: m × m, steps from the row up to the column, FAR if it is not above.
    """

    ids: list[int]
    names: list[str]
    at: Ints
    under: list[Ints]
    up: NDArray[np.int8]
    least: Ints
    greatest: Ints


def ancestors(nouns: Nouns, keys: Sequence[str]) -> Ancestors:
    """Collect the hypernyms of these senses. Raises KeyError for a key that is not a noun of WordNet."""
    numbers = []
    for key in keys:
        number = nouns.index(key)
        if number is None:
            raise KeyError(key)
        numbers.append(number)
    parents: dict[int, list[int]] = {}
    order: list[int] = []  # each noun after all its hypernyms

    def visit(noun: int) -> None:
        if noun not in parents:
            parents[noun] = [int(up) for up in nouns.parents(noun)]
            for up in parents[noun]:
                visit(up)
            order.append(noun)

    for noun in numbers:
        visit(noun)
    place = {noun: i for i, noun in enumerate(order)}
    ups = [[place[up] for up in parents[noun]] for noun in order]
    steps, least, greatest = _steps_and_depths(ups)
    return Ancestors(
        ids=order,
        names=[nouns.keys[noun] for noun in order],
        at=np.array([place[noun] for noun in numbers], dtype=np.int64),
        under=[np.flatnonzero(steps[:, a] < FAR) for a in range(len(order))],
        up=steps,
        least=least,
        greatest=greatest,
    )


def _steps_and_depths(ups: list[list[int]]) -> tuple[NDArray[np.int8], Ints, Ints]:
    size = len(ups)
    steps = np.full((size, size), FAR, dtype=np.int8)
    least, greatest = np.zeros(size, dtype=np.int64), np.zeros(size, dtype=np.int64)
    for i, above in enumerate(ups):
        for up in above:
            steps[i] = np.minimum(steps[i], np.minimum(steps[up] + 1, FAR))
        steps[i, i] = 0
        if above:
            least[i] = 1 + min(least[up] for up in above)
            greatest[i] = 1 + max(greatest[up] for up in above)
    return steps, least, greatest


def distances(table: Ancestors) -> NDArray[np.int8]:
    """m × m: the least number of steps from one noun up to a common ancestor and down to the other."""
    steps = np.full(table.up.shape, 2 * FAR, dtype=np.int8)
    for a, under in enumerate(table.under):
        if len(under) > 1:
            block = np.ix_(under, under)
            steps_up = table.up[under, a]
            steps[block] = np.minimum(steps[block], steps_up[:, None] + steps_up[None, :])
    np.fill_diagonal(steps, 0)
    return steps


def shared_content(table: Ancestors, content: Floats) -> Floats:
    """m × m: information content of the most informative common ancestor."""
    pairs = np.zeros(table.up.shape)
    for a in np.argsort(content, kind="stable"):
        pairs[np.ix_(table.under[a], table.under[a])] = content[a]
    return pairs


def _wup(table: Ancestors, apart: NDArray[np.int8]) -> Floats:
    """2·depth / (depth₁ + depth₂), both counted through the common ancestor."""
    size = len(table.ids)
    lowest = np.zeros(table.up.shape, dtype=np.int64)
    by_name = np.argsort(np.argsort(np.array(table.names)))
    for a in np.lexsort((-by_name, table.least)):  # the deepest last; among equals, the first by name last
        lowest[np.ix_(table.under[a], table.under[a])] = a
    for i in range(size):
        mine = table.under[i]
        lowest[i, mine[table.least[lowest[i, mine]] == table.least[i]]] = i
    depth = table.greatest[lowest] + 1.0
    nth = np.arange(size)
    similarity: Floats = 2 * depth / (apart[nth[:, None], lowest] + apart[nth[None, :], lowest] + 2 * depth)
    return similarity


def similarities(nouns: Nouns, keys: Sequence[str], content: Floats, depth: int) -> dict[str, Floats]:
    """The six n × n matrices by name (MEASURES). A key may occur twice.

    content: of all nouns, counted or intrinsic. depth: Content.depth. path, wup and lin lie in [0, 1];
    lch, res and jcn have no common upper bound. Raises KeyError for a key that is not a noun.
    """
    table = ancestors(nouns, keys)
    apart = distances(table)
    own = content[table.ids]
    common = shared_content(table, own)
    steps = apart + 1.0
    both = own[:, None] + own[None, :]
    with np.errstate(divide="ignore", invalid="ignore"):
        lin = np.where(both > 0, 2 * common / both, 1.0)
        jcn = np.where(both - 2 * common == 0, SAME, 1 / (both - 2 * common))
    jcn[(own == 0)[:, None] | (own == 0)[None, :]] = 0.0
    np.fill_diagonal(jcn, SAME)
    matrices = {
        "path": 1 / steps,
        "wup": _wup(table, apart),
        "lch": -np.log(steps / (2.0 * depth)),
        "res": common,
        "lin": lin,
        "jcn": jcn,
    }
    rows_and_columns = np.ix_(table.at, table.at)
    return {name: matrix[rows_and_columns] for name, matrix in matrices.items()}
