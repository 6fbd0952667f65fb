"""How alike senses are: the six measures of WordNet, as whole matrices instead of pair by pair.

path, wup (Wu & Palmer 1994), lch (Leacock & Chodorow 1998), res (Resnik 1995), lin (Lin 1998) and jcn
(Jiang & Conrath 1997), equal to nltk's. Where nltk is peculiar we follow it, so that figures compare:

- wup takes the common ancestor whose *least* depth is greatest, but counts with its *greatest* depth; of
  equals the first by name, or the first sense itself. So wup can differ a little in the two directions.
- jcn of a sense with itself is 1e300.

Pure numpy. Each ancestor is visited once, most general first, and overwrites the block of senses below it.
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
FAR = 60  # more than any path in WordNet: two nouns are at most 2·19 apart


class Nouns(Protocol):
    """The part of mapping.lexicon.wordnet's noun table that is needed here."""

    @property
    def keys(self) -> Sequence[str]: ...
    @property
    def counts(self) -> NDArray[Any]: ...
    def index(self, key: str, /) -> int | None: ...
    def parents(self, i: int, /) -> NDArray[Any]: ...


@dataclass(frozen=True)
class Content:
    """Information content of every noun, and the depth of the whole tree.

    counted: −ln p, p from how often WordNet's tagged texts use the noun or one below it, each noun counted
    once more than it was seen. intrinsic: 1 − ln(nouns below + 1) / ln(all nouns), Seco et al. 2004.
    """

    counted: Floats
    intrinsic: Floats
    depth: int


def information_content(nouns: Nouns) -> Content:
    """For all nouns; 0 at the root. Takes under a second for WordNet's 82,000, so keep the result."""
    size = len(nouns.keys)
    child, ancestor, depth = _closure([nouns.parents(i) for i in range(size)])
    seen = np.bincount(ancestor, weights=np.asarray(nouns.counts, float)[child] + 1, minlength=size)
    below = np.bincount(ancestor, minlength=size)  # itself included, which is Seco's + 1
    return Content(
        counted=np.abs(-np.log(seen / seen.max())),
        intrinsic=1 - np.log(below) / np.log(size),
        depth=depth,
    )


def _closure(parents: list[NDArray[Any]]) -> tuple[Ints, Ints, int]:
    """Every (noun, ancestor) once, each noun its own; and the longest way up."""
    size = len(parents)
    start = np.concatenate([[0], np.cumsum([len(up) for up in parents])]).astype(np.int64)
    flat = np.concatenate(parents).astype(np.int64)
    child = at = np.arange(size, dtype=np.int64)
    found, depth = [child * size + at], -1
    while len(child):
        depth += 1
        many = start[at + 1] - start[at]
        nth = np.arange(many.sum()) - np.repeat(np.cumsum(many) - many, many)
        child, at = np.repeat(child, many), flat[np.repeat(start[at], many) + nth]
        found.append(child * size + at)
    pairs = np.unique(np.concatenate(found))
    return pairs // size, pairs % size, depth


@dataclass(frozen=True)
class Ancestors:
    """The senses asked for and all that is above them, m nouns.

    ids: their numbers among all nouns; at: where each asked sense stands among them, of length n;
    under[a]: those at or below a; up: m × m, steps from the row up to the column, FAR where it is not above.
    """

    ids: list[int]
    names: list[str]
    at: Ints
    under: list[Ints]
    up: NDArray[np.int8]
    least: Ints
    greatest: Ints


def ancestors(nouns: Nouns, keys: Sequence[str]) -> Ancestors:
    """Raises KeyError for a key that is no noun of WordNet."""
    asked = []
    for key in keys:
        found = nouns.index(key)
        if found is None:
            raise KeyError(key)
        asked.append(found)
    parents: dict[int, list[int]] = {}
    order: list[int] = []  # each after all above it

    def visit(noun: int) -> None:
        if noun not in parents:
            parents[noun] = [int(up) for up in nouns.parents(noun)]
            for up in parents[noun]:
                visit(up)
            order.append(noun)

    for noun in asked:
        visit(noun)
    place = {noun: i for i, noun in enumerate(order)}
    ups = [[place[up] for up in parents[noun]] for noun in order]
    steps, least, greatest = _steps_and_depths(ups)
    return Ancestors(
        ids=order,
        names=[nouns.keys[noun] for noun in order],
        at=np.array([place[noun] for noun in asked], dtype=np.int64),
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
    """m × m: the fewest steps from one noun up to a common ancestor and down to the other."""
    found = np.full(table.up.shape, 2 * FAR, dtype=np.int8)
    for a, under in enumerate(table.under):
        if len(under) > 1:
            block = np.ix_(under, under)
            far = table.up[under, a]
            found[block] = np.minimum(found[block], far[:, None] + far[None, :])
    np.fill_diagonal(found, 0)
    return found


def shared_content(table: Ancestors, content: Floats) -> Floats:
    """m × m: information content of the most informative common ancestor."""
    found = np.zeros(table.up.shape)
    for a in np.argsort(content, kind="stable"):
        found[np.ix_(table.under[a], table.under[a])] = content[a]
    return found


def _wup(table: Ancestors, apart: NDArray[np.int8]) -> Floats:
    """2·depth / (depth₁ + depth₂), both counted through the common ancestor."""
    size = len(table.ids)
    lowest = np.zeros(table.up.shape, dtype=np.int64)
    by_name = np.argsort(np.argsort(np.array(table.names)))
    for a in np.lexsort((-by_name, table.least)):  # deepest last; of equals the first by name last
        lowest[np.ix_(table.under[a], table.under[a])] = a
    for i in range(size):
        mine = table.under[i]
        lowest[i, mine[table.least[lowest[i, mine]] == table.least[i]]] = i
    depth = table.greatest[lowest] + 1.0
    nth = np.arange(size)
    found: Floats = 2 * depth / (apart[nth[:, None], lowest] + apart[nth[None, :], lowest] + 2 * depth)
    return found


def similarities(nouns: Nouns, keys: Sequence[str], content: Floats, depth: int) -> dict[str, Floats]:
    """The six n × n matrices by name (MEASURES). A key may occur twice.

    content: of all nouns, one of Content's two; depth: Content.depth. path, wup and lin lie in [0, 1];
    lch, res and jcn have no common upper bound. Raises KeyError for a key that is no noun.
    """
    table = ancestors(nouns, keys)
    apart = distances(table)
    own = content[table.ids]
    shared = shared_content(table, own)
    steps = apart + 1.0
    both = own[:, None] + own[None, :]
    with np.errstate(divide="ignore", invalid="ignore"):
        lin = np.where(both > 0, 2 * shared / both, 1.0)
        jcn = np.where(both - 2 * shared == 0, SAME, 1 / (both - 2 * shared))
    jcn[(own == 0)[:, None] | (own == 0)[None, :]] = 0.0
    np.fill_diagonal(jcn, SAME)
    found = {
        "path": 1 / steps,
        "wup": _wup(table, apart),
        "lch": -np.log(steps / (2.0 * depth)),
        "res": shared,
        "lin": lin,
        "jcn": jcn,
    }
    asked = np.ix_(table.at, table.at)
    return {name: matrix[asked] for name, matrix in found.items()}
