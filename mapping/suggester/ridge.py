"""Ridge regression from one view of the classes to their answers. A confirmed row is scored without itself.

Hashtags are additional rows with known answers. Exact products use the dual solution, α = (K + λ)⁻¹ Y; the
score of row i without itself is y_i − α_i / (K + λ)⁻¹_ii (Rasmussen and Williams 2006, eq. 5.12). Sketched
rows use the primal solution. A few new answers update the inverse by rank one each (Hager 1989). Our own,
because scikit-learn's RidgeCV starts anew at each answer, and a curator waits for the next suggestion.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from mapping.suggester.space import Rows, Space

FEW = 8  # the inverse is updated for at most this many added or removed rows, else recomputed

Array = NDArray[np.float64]


def _with(inverse: Array, column: Array, corner: float) -> Array:
    """The inverse of a symmetric matrix after adding a row and column."""
    product = inverse @ column
    remainder = corner - float(column @ product)
    side = -product[:, None] / remainder
    return np.block([[inverse - side * product, side], [side.T, np.array([[1 / remainder]])]])


def _without(inverse: Array, at: int) -> Array:
    """The inverse of a symmetric matrix after removing a row and column."""
    remaining_rows = np.delete(inverse, at, 0)
    column = remaining_rows[:, at]
    smaller: Array = np.delete(remaining_rows, at, 1) - np.outer(column, column) / inverse[at, at]
    return smaller


class Ridge:
    """Immutable once built, so that threads can share it."""

    def __init__(
        self,
        space: Space,
        view: str,
        truth: Mapping[int, int],
        answers: int,
        strength: float,
        previous: Ridge | None,
    ) -> None:
        """truth: row of the space → number of its answer. previous: the regression to update, if any."""
        self._space, self._view, self._answers, self._strength = space, view, answers, strength
        self._version = space.version
        self._inverse, rows = self._fresh(list(truth)) if previous is None else self._update(previous, truth)
        self._training_rows = np.array(rows, np.int64)
        self._truth = np.array([truth[row] for row in rows], np.int64)
        self._place = {row: at for at, row in enumerate(rows)}
        if space.exact:
            targets = np.eye(answers)[self._truth]
            self._weights: Array = self._inverse @ targets
            self._scores_without: Array = targets - self._weights / np.diag(self._inverse)[:, None]
        else:
            self._weights = (self._inverse @ self._sums().T).astype(np.float32)

    def _fresh(self, rows: list[int]) -> tuple[Array, list[int]]:
        training_rows = np.array(rows, np.int64)
        if self._space.exact:
            square = self._space.products(self._view, training_rows, training_rows).astype(float)
        else:
            sketch = self._space.sketch(self._view)[training_rows]
            square = (sketch.T @ sketch).astype(float)
        return np.linalg.inv(square + self._strength * np.eye(len(square))).astype(float), rows

    def _update(self, previous: Ridge, truth: Mapping[int, int]) -> tuple[Array, list[int]]:
        """Update the previous inverse for the few rows that were added or removed."""
        removals = [row for row in previous._place if row not in truth]
        additions = [row for row in truth if row not in previous._place]
        if len(removals) + len(additions) > FEW or previous._version != self._version:
            return self._fresh(list(truth))
        rows = list(previous._place)
        inverse: Array = previous._inverse
        if not self._space.exact:
            sketch = self._space.sketch(self._view)
            for row, sign in [(row, -1) for row in removals] + [(row, 1) for row in additions]:
                product: Array = inverse @ sketch[row].astype(float)
                change: Array = np.outer(product, product) / (sign + float(sketch[row] @ product))
                inverse = inverse - change
            return inverse, [row for row in rows if row not in set(removals)] + additions
        for row in removals:
            inverse = _without(inverse, rows.index(row))
            rows.remove(row)
        for row in additions:
            column = self._space.products(self._view, np.array([row]), np.array([*rows, row]))[0].astype(
                float
            )
            inverse = _with(inverse, column[:-1], float(column[-1]) + self._strength)
            rows.append(row)
        return inverse, rows

    def _sums(self) -> NDArray[np.float32]:
        """The sums of the sketched rows per answer."""
        rows = self._space.sketch(self._view)
        order = np.argsort(self._truth, kind="stable")
        present, starts = np.unique(self._truth[order], return_index=True)
        sums = np.zeros((self._answers, rows.shape[1]), np.float32)
        sums[present] = np.add.reduceat(rows[self._training_rows[order]], starts, axis=0)
        return sums

    def scores(self, rows: Rows) -> Array:
        """(rows, answers). A training row is scored as if it were not one."""
        places = np.array([self._place.get(int(row), -1) for row in rows], np.int64)
        own = np.flatnonzero(places >= 0)
        if self._space.exact:
            scores: Array = self._space.products(self._view, rows, self._training_rows) @ self._weights
            scores[own] = self._scores_without[places[own]]
            return scores
        sketch = self._space.sketch(self._view)[rows]
        scores = (sketch @ self._weights).astype(float)
        leverage = np.einsum("rd,rd->r", sketch[own] @ self._inverse, sketch[own])[:, None]
        targets = np.eye(self._answers)[self._truth[places[own]]]
        scores[own] = (scores[own] - leverage * targets) / (1 - leverage)
        return scores
