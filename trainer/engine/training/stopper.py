"""Decides when to stop early. Pure: it depends only on the epochs so far, so a resumed run stops at the same
one.
"""

from __future__ import annotations

from collections.abc import Sequence

from formats.texts import Text
from trainer.engine.recipe import Recipe

ROUNDING = 1e-12


def reason_to_stop(recipe: Recipe, values: Sequence[float | None]) -> Text | None:
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
    metric = Text("accuracy") if recipe.stop_metric == "accuracy" else Text("balanced accuracy")
    time = Text("1 epoch") if n == 1 else Text("%(n)s epochs", n=n)
    if not recipe.stop_epsilon:
        return Text("%(metric)s has not grown in %(time)s", metric=metric, time=time)
    by = f"{recipe.stop_epsilon:g}"
    return Text("%(metric)s has not grown by %(by)s in %(time)s", metric=metric, by=by, time=time)
