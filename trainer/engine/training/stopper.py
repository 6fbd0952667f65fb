"""Decides when to stop early. Pure: it depends only on the epochs so far, so a resumed run stops at the same
one.
"""

from __future__ import annotations

from collections.abc import Sequence

from trainer.engine.recipe import Recipe

ROUNDING = 1e-12


def reason_to_stop(recipe: Recipe, values: Sequence[float | None]) -> str | None:
    """The reason to stop after these values of ``stop_metric``, one per epoch; None to continue.

    An epoch whose held-out photos were not tested has the value None: a run never stops after one.

    The thesis's Stopper: the metric has not grown by at least ε in the last n epochs. With ε = 0 any growth
    counts.
    """
    n = recipe.stop_after
    if not n or not values or values[-1] is None:
        return None
    earlier = [value for value in values[:-n] if value is not None]
    recent = [value for value in values[-n:] if value is not None]
    if not earlier:
        return None
    growth = max(recent) - max(earlier)
    if growth >= recipe.stop_epsilon - ROUNDING and growth > 0:
        return None
    metric = recipe.stop_metric.replace("_", " ")
    by = f" by {recipe.stop_epsilon:g}" if recipe.stop_epsilon else ""
    return f"{metric} has not grown{by} in {n} epoch{'s' * (n != 1)}"
