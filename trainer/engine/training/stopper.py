"""When to stop early. Pure: it depends on the epochs so far alone, so a resumed run stops at the same one."""

from __future__ import annotations

from collections.abc import Sequence

from trainer.engine.recipe import Recipe

ROUNDING = 1e-12


def reason_to_stop(recipe: Recipe, values: Sequence[float]) -> str | None:
    """Why to stop after these values of ``stop_metric``, one an epoch; None to go on.

    The thesis's Stopper: the metric has not grown by at least ε in the last n epochs. With ε = 0 any growth
    counts.
    """
    n = recipe.stop_after
    if not n or len(values) <= n:
        return None
    growth = max(values[-n:]) - max(values[:-n])
    if growth >= recipe.stop_epsilon - ROUNDING and growth > 0:
        return None
    metric = recipe.stop_metric.replace("_", " ")
    by = f" by {recipe.stop_epsilon:g}" if recipe.stop_epsilon else ""
    return f"{metric} has not grown{by} in {n} epoch{'s' * (n != 1)}"
