"""Classes and hashtags in one space: the products of their rows under several views, and coordinates."""

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
    Profile,
    Sparse,
    batches,
    length_one,
    texts,
)

# Each view and the weights of its blocks.
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
    "looks": {"looks": 1.0},
}
COSTLY = frozenset({"descriptions"})  # worth the time only with exact products
Rows = NDArray[np.int64]


class Space:
    """Rows 0..classes-1 are classes; the rows after them are hashtags."""

    def __init__(
        self,
        profiles: Sequence[Profile],
        nouns: Nouns,
        *,
        classes: int,
        embed: Embed | None,
        looks: Floats | None = None,
    ) -> None:
        """looks (classes, f): what their photos look like, in rows of length 1, or 0 without photos."""
        self._profiles, self._nouns, self._embed = list(profiles), nouns, embed
        self.exact = len(profiles) <= EXACT
        self.version = 0  # grows whenever a row is replaced
        self._blocks = {
            name: Sparse((features(row, nouns) for row in profiles), rare=rare, documents=classes)
            for name, (features, rare) in BLOCKS.items()
        }
        self._embedded = dict(zip(EMBEDDED, self._texts(range(len(profiles))), strict=False))
        if looks is not None:
            hashtags = np.zeros((len(profiles) - classes, looks.shape[1]), np.float32)
            self._embedded["looks"] = np.concatenate([looks, hashtags])
        self.views = self._views()
        self._products: dict[str, Floats] = {}
        self._sketches: dict[str, Floats] = {}

    def _views(self) -> list[str]:
        """Names of the views that have any block; "all" first."""
        present = {*(name for name, block in self._blocks.items() if block), *self._embedded}
        views = [name for name, blocks in VIEWS.items() if present & blocks.keys()]
        return [name for name in views if self.exact or name not in COSTLY]

    def _texts(self, rows: Sequence[int]) -> list[Floats]:
        """These rows of the embedded blocks, or an empty list without embeddings."""
        if self._embed is None:
            return []
        pairs = [texts(self._profiles[row], self._nouns) for row in rows]
        embedded = [self._embed(list(column)) for column in zip(*pairs, strict=True)]
        return [length_one(rows) for rows in embedded if rows is not None]

    def _weights(self, view: str) -> dict[str, float]:
        present = {n: w for n, w in VIEWS[view].items() if n in self._blocks or n in self._embedded}
        total = sum(present.values())
        return {name: weight / total for name, weight in present.items()}

    def _block(self, name: str) -> Floats:
        """The exact products of all rows of a block."""
        if name in self._embedded:
            rows = self._embedded[name]
        else:
            rows = self._blocks[name].dense(range(len(self._profiles)))
        return rows @ rows.T

    def _of(self, view: str) -> Floats:
        """The exact products of all rows of a view."""
        if view not in self._products:
            parts = [weight * self._block(name) for name, weight in self._weights(view).items()]
            self._products[view] = np.sum(parts, axis=0, dtype=np.float32)
        return self._products[view]

    def _sketch(self, view: str) -> Floats:
        """Beyond EXACT: the sketch of all rows; its products approximate those of the view."""
        if view not in self._sketches:
            parts = [self._rows(view, batch) for batch in batches(len(self._profiles))]
            self._sketches[view] = np.concatenate(parts)
        return self._sketches[view]

    def _rows(self, view: str, rows: Sequence[int]) -> Floats:
        width = SKETCH if view == "all" else SKETCH // 3
        generator = np.random.default_rng(0)
        sketch = np.zeros((len(rows), width), np.float32)
        for seed, (name, weight) in enumerate(self._weights(view).items()):
            if name in self._embedded:
                embedded = self._embedded[name]
                projection = generator.standard_normal((embedded.shape[1], width)).astype(np.float32)
                sketch += np.sqrt(weight / width).astype(np.float32) * (embedded[np.array(rows)] @ projection)
            else:
                sketch += np.float32(weight**0.5) * self._blocks[name].dense(rows, width, seed)
        return sketch

    def products(self, view: str, rows: Rows, others: Rows) -> Floats:
        """(rows, others): their similarity under this view, 1 for equal rows."""
        if self.exact:
            return self._of(view)[np.ix_(rows, others)]
        sketch = self.sketch(view)
        return sketch[rows] @ sketch[others].T

    def seen(self, rows: Rows) -> NDArray[np.bool_]:
        """(rows,): whether there are photos of the class."""
        if "looks" not in self._embedded:
            return np.zeros(len(rows), bool)
        return np.asarray(self._embedded["looks"][rows].any(1))

    def sketch(self, view: str) -> Floats:
        """Beyond EXACT: coordinates (all rows, d) whose products approximate those of the view."""
        blocks = self._weights(view)
        if len(blocks) == 1 and view in self._embedded:
            return self._embedded[view]
        return self._sketch(view)

    def replace(self, row: int, profile: Profile) -> None:
        """Replace the profile of a class. Exact products are recomputed when they are next needed."""
        self._profiles[row] = profile
        for name, (features, _) in BLOCKS.items():
            self._blocks[name].replace(row, features(profile, self._nouns))
        for name, rows in zip(EMBEDDED, self._texts([row]), strict=False):
            self._embedded[name][row] = rows[0]
        self._products.clear()
        self.version += 1
        for view, sketch in self._sketches.items():
            sketch[row] = self._rows(view, [row])[0]
