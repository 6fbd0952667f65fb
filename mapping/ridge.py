"""Ridge regression from one view of the classes to their answers, each confirmed row scored without itself.

With hashtags as further rows whose answer is known. Exact products: the dual solution, α = (K + λ)⁻¹ Y, and
without row i  y_i − α_i / (K + λ)⁻¹_ii (Rasmussen and Williams 2006, eq. 5.12). Sketched: the primal one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mapping.space import Rows, Space

Array = NDArray[np.float64]


class Ridge:
    """Learned once, and then only asked."""

    def __init__(
        self, space: Space, view: str, *, taught: Rows, truth: Rows, answers: int, strength: float
    ) -> None:
        """taught: rows of the space; truth: numbers of their answers, of which there are so many."""
        self._space, self._view, self._answers = space, view, answers
        self._taught, self._truth = taught, truth
        self._place = {int(row): at for at, row in enumerate(taught)}
        if self._space.exact:
            products = self._space.products(self._view, taught, taught).astype(float)
            inverse = np.linalg.inv(products + strength * np.eye(len(taught)))
            wanted = np.eye(self._answers)[truth]
            self._weights: Array = inverse @ wanted
            self._without: Array = wanted - self._weights / np.diag(inverse)[:, None]
        else:
            rows = self._space.sketch(self._view)[taught]
            self._inverse = np.linalg.inv(rows.T @ rows + np.float32(strength) * np.eye(rows.shape[1]))
            sums = np.zeros((self._answers, rows.shape[1]), np.float32)
            order = np.argsort(truth, kind="stable")
            present, starts = np.unique(truth[order], return_index=True)
            sums[present] = np.add.reduceat(rows[order], starts, axis=0)
            self._weights = self._inverse @ sums.T

    def scores(self, rows: Rows) -> Array:
        """(rows, answers); a row it was taught is scored as if it had not been."""
        places = np.array([self._place.get(int(row), -1) for row in rows], np.int64)
        own = np.flatnonzero(places >= 0)
        if self._space.exact:
            found: Array = self._space.products(self._view, rows, self._taught) @ self._weights
            found[own] = self._without[places[own]]
            return found
        sketch = self._space.sketch(self._view)[rows]
        found = (sketch @ self._weights.astype(np.float32)).astype(float)
        lever = np.einsum("rd,rd->r", sketch[own] @ self._inverse, sketch[own])[:, None]
        wanted = np.eye(self._answers)[self._truth[places[own]]]
        found[own] = (found[own] - lever * wanted) / (1 - lever)
        return found
