"""Computes learning rates: pure functions of the recipe and the step."""

from __future__ import annotations

import math

from trainer.engine.recipe import Recipe


def annealed(epoch: int, *, low: float, high: float, period: int) -> float:
    """The thesis's equation 14, lr_i = lr_min + ½ (lr_max − lr_min)(1 + cos(i π / T)).

    i = ``epoch`` from 0, lr_min = ``low``, lr_max = ``high``, T = ``period``. From ``high`` it falls to
    ``low`` in ``period`` epochs, rises again in as many, and so on.
    """
    return low + 0.5 * (high - low) * (1 + math.cos(epoch * math.pi / period))


def rates(recipe: Recipe, *, steps: int = 100) -> list[float]:
    """The learning rate of every epoch's last batch, as a run records it: the thesis's figure 9."""
    return [rate(recipe, step=steps * epoch - 1, steps=steps) for epoch in range(1, recipe.epochs + 1)]


def rate(recipe: Recipe, *, step: int, steps: int) -> float:
    """The learning rate of batch ``step`` (from 0) of a run with ``steps`` batches per epoch.

    Warm-up: in the first ``warmup`` epochs the rate stays below a straight line from zero to ``lr``.
    """
    if recipe.schedule == "annealing":
        value = annealed(step // steps, low=recipe.lr_min, high=recipe.lr, period=recipe.period)
    elif recipe.schedule == "constant":
        value = recipe.lr
    else:
        done = step / (steps * recipe.epochs)
        value = recipe.lr_min + 0.5 * (recipe.lr - recipe.lr_min) * (1 + math.cos(math.pi * done))
    if not recipe.warmup:
        return value
    return min(value, recipe.lr * (step + 1) / max(1, int(steps * recipe.warmup)))
