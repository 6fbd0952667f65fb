"""Ridge regression from one view of the classes to their answers, each confirmed row scored without itself.

With hashtags as further rows whose answer is known. Exact products: the dual solution, α = (K + λ)⁻¹ Y, and
without row i  y_i − α_i / (K + λ)⁻¹_ii (Rasmussen and Williams 2006, eq. 5.12). Sketched: the primal one.
After a few more answers the inverse of before is changed by a rank of one for each (Hager 1989). Our own,
because scikit-learn's RidgeCV starts anew at each answer, and a curator waits for the next suggestion.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from mapping.suggester.space import Rows, Space

FEW = 8  # so many rows more or less change an inverse; for more of them it is found anew

Array = NDArray[np.float64]


def _with(inverse: Array, column: Array, corner: float) -> Array:
    """The inverse of a symmetric matrix with one row and column more."""
    turned = inverse @ column
    rest = corner - float(column @ turned)
    side = -turned[:, None] / rest
    return np.block([[inverse - side * turned, side], [side.T, np.array([[1 / rest]])]])


def _without(inverse: Array, at: int) -> Array:
    kept = np.delete(inverse, at, 0)
    column = kept[:, at]
    found: Array = np.delete(kept, at, 1) - np.outer(column, column) / inverse[at, at]
    return found


class Ridge:
    """Learned once, and then only asked."""

    def __init__(
        self,
        space: Space,
        view: str,
        truth: Mapping[int, int],
        answers: int,
        strength: float,
        last: Ridge | None,
    ) -> None:
        """truth: row of the space → number of its answer; last: what was learned before, if anything."""
        self._space, self._view, self._answers, self._strength = space, view, answers, strength
        self._version = space.version
        self._inverse, rows = self._fresh(list(truth)) if last is None else self._changed(last, truth)
        self._taught = np.array(rows, np.int64)
        self._truth = np.array([truth[row] for row in rows], np.int64)
        self._place = {row: at for at, row in enumerate(rows)}
        if space.exact:
            wanted = np.eye(answers)[self._truth]
            self._weights: Array = self._inverse @ wanted
            self._scores_without: Array = wanted - self._weights / np.diag(self._inverse)[:, None]
        else:
            self._weights = (self._inverse @ self._sums().T).astype(np.float32)

    def _fresh(self, rows: list[int]) -> tuple[Array, list[int]]:
        taught = np.array(rows, np.int64)
        if self._space.exact:
            square = self._space.products(self._view, taught, taught).astype(float)
        else:
            sketch = self._space.sketch(self._view)[taught]
            square = (sketch.T @ sketch).astype(float)
        return np.linalg.inv(square + self._strength * np.eye(len(square))).astype(float), rows

    def _changed(self, last: Ridge, truth: Mapping[int, int]) -> tuple[Array, list[int]]:
        """By the few rows that came and went since."""
        went = [row for row in last._place if row not in truth]
        came = [row for row in truth if row not in last._place]
        if len(went) + len(came) > FEW or last._version != self._version:
            return self._fresh(list(truth))
        rows = list(last._place)
        inverse: Array = last._inverse
        if not self._space.exact:
            sketch = self._space.sketch(self._view)
            for row, sign in [(row, -1) for row in went] + [(row, 1) for row in came]:
                turned: Array = inverse @ sketch[row].astype(float)
                change: Array = np.outer(turned, turned) / (sign + float(sketch[row] @ turned))
                inverse = inverse - change
            return inverse, [row for row in rows if row not in set(went)] + came
        for row in went:
            inverse = _without(inverse, rows.index(row))
            rows.remove(row)
        for row in came:
            column = self._space.products(self._view, np.array([row]), np.array([*rows, row]))[0].astype(
                float
            )
            inverse = _with(inverse, column[:-1], float(column[-1]) + self._strength)
            rows.append(row)
        return inverse, rows

    def _sums(self) -> NDArray[np.float32]:
        """Sketched rows added up by answer."""
        rows = self._space.sketch(self._view)
        order = np.argsort(self._truth, kind="stable")
        present, starts = np.unique(self._truth[order], return_index=True)
        found = np.zeros((self._answers, rows.shape[1]), np.float32)
        found[present] = np.add.reduceat(rows[self._taught[order]], starts, axis=0)
        return found

    def scores(self, rows: Rows) -> Array:
        """(rows, answers); a row it was taught is scored as if it had not been."""
        places = np.array([self._place.get(int(row), -1) for row in rows], np.int64)
        own = np.flatnonzero(places >= 0)
        if self._space.exact:
            found: Array = self._space.products(self._view, rows, self._taught) @ self._weights
            found[own] = self._scores_without[places[own]]
            return found
        sketch = self._space.sketch(self._view)[rows]
        found = (sketch @ self._weights).astype(float)
        lever = np.einsum("rd,rd->r", sketch[own] @ self._inverse, sketch[own])[:, None]
        wanted = np.eye(self._answers)[self._truth[places[own]]]
        found[own] = (found[own] - lever * wanted) / (1 - lever)
        return found
