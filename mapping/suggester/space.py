"""Classes and hashtags in one space: products of their rows under several views, and coordinates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mapping.lexicon.nouns import Nouns
from mapping.suggester.facts import (
    BLOCKS,
    EMBEDDED,
    EXACT,
    SKETCH,
    Embed,
    Floats,
    Known,
    Sparse,
    batches,
    length_one,
    texts,
)

# Each view and the weights of its blocks. "all" is what is learned from.
ALL = {
    **{"closure": 1.0, "decayed": 1.0, "groups": 1.0, "photo": 1.0, "gloss": 1.0, "domains": 0.5},
    **{"tokens": 0.5, "chars": 0.5, "described": 0.5, "lexname": 0.2, "sides": 0.2},
}
VIEWS: dict[str, dict[str, float]] = {
    "all": ALL,
    "kinds": {"closure": 1.0, "decayed": 1.0},
    "words": {"tokens": 1.0, "chars": 1.0},
    "descriptions": {"described": 1.0},
    "domains": {"domains": 1.0},
    "groups": {"groups": 1.0},
    "photo": {"photo": 1.0},
    "gloss": {"gloss": 1.0},
}
COSTLY = frozenset({"descriptions"})  # worth its time only where products are exact
Rows = NDArray[np.int64]


class Space:
    """Rows 0..classes-1 are classes, those behind them hashtags."""

    def __init__(self, known: Sequence[Known], nouns: Nouns, *, classes: int, embed: Embed | None) -> None:
        self._known, self._nouns, self._embed = list(known), nouns, embed
        self.exact = len(known) <= EXACT
        self.version = 0  # one more whenever a row is replaced
        self._blocks = {
            name: Sparse((features(row, nouns) for row in known), rare=rare, documents=classes)
            for name, (features, rare) in BLOCKS.items()
        }
        self._embedded = dict(zip(EMBEDDED, self._texts(range(len(known))), strict=False))
        self.views = self._views()
        self._products: dict[str, Floats] = {}
        self._sketches: dict[str, Floats] = {}

    def _views(self) -> list[str]:
        """Names of the views of which any block is there; "all" first."""
        present = {*(name for name, block in self._blocks.items() if block), *self._embedded}
        there = [name for name, blocks in VIEWS.items() if present & blocks.keys()]
        return [name for name in there if self.exact or name not in COSTLY]

    def _texts(self, rows: Sequence[int]) -> list[Floats]:
        """The rows of the embedded blocks, or none."""
        if self._embed is None:
            return []
        pairs = [texts(self._known[row], self._nouns) for row in rows]
        found = [self._embed(list(column)) for column in zip(*pairs, strict=True)]
        return [length_one(rows) for rows in found if rows is not None]

    def _weights(self, view: str) -> dict[str, float]:
        present = {n: w for n, w in VIEWS[view].items() if n in self._blocks or n in self._embedded}
        total = sum(present.values())
        return {name: weight / total for name, weight in present.items()}

    def _block(self, name: str) -> Floats:
        """Exact products of all rows of a block."""
        if name in self._embedded:
            rows = self._embedded[name]
        else:
            rows = self._blocks[name].dense(range(len(self._known)))
        return rows @ rows.T

    def _of(self, view: str) -> Floats:
        """Exact: all products of a view."""
        if view not in self._products:
            parts = [weight * self._block(name) for name, weight in self._weights(view).items()]
            self._products[view] = np.sum(parts, axis=0, dtype=np.float32)
        return self._products[view]

    def _sketch(self, view: str) -> Floats:
        """Beyond EXACT: rows whose products are nearly those of the view."""
        if view not in self._sketches:
            parts = [self._rows(view, batch) for batch in batches(len(self._known))]
            self._sketches[view] = np.concatenate(parts)
        return self._sketches[view]

    def _rows(self, view: str, rows: Sequence[int]) -> Floats:
        width = SKETCH if view == "all" else SKETCH // 3
        generator = np.random.default_rng(0)
        found = np.zeros((len(rows), width), np.float32)
        for seed, (name, weight) in enumerate(self._weights(view).items()):
            if name in self._embedded:
                whole = self._embedded[name]
                turn = generator.standard_normal((whole.shape[1], width)).astype(np.float32)
                found += np.sqrt(weight / width).astype(np.float32) * (whole[np.array(rows)] @ turn)
            else:
                found += np.float32(weight**0.5) * self._blocks[name].dense(rows, width, seed)
        return found

    def products(self, view: str, rows: Rows, others: Rows) -> Floats:
        """(rows, others): how alike they are under this view, 1 for the same."""
        if self.exact:
            return self._of(view)[np.ix_(rows, others)]
        sketch = self.sketch(view)
        return sketch[rows] @ sketch[others].T

    def sketch(self, view: str) -> Floats:
        """Beyond EXACT: (all rows, d), whose products are nearly those of the view."""
        blocks = self._weights(view)
        if len(blocks) == 1 and view in self._embedded:
            return self._embedded[view]
        return self._sketch(view)

    def replace(self, row: int, known: Known) -> None:
        """Another sense for a class. Exact products are computed anew when next asked for."""
        self._known[row] = known
        for name, (features, _) in BLOCKS.items():
            self._blocks[name].replace(row, features(known, self._nouns))
        for name, rows in zip(EMBEDDED, self._texts([row]), strict=False):
            self._embedded[name][row] = rows[0]
        self._products.clear()
        self.version += 1
        for view, sketch in self._sketches.items():
            sketch[row] = self._rows(view, [row])[0]
