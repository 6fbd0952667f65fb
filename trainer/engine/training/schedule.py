"""Computes learning rates: pure functions of the recipe and the step."""

from __future__ import annotations

import math

from trainer.engine.recipe import Recipe

SIZE_STEP = 32  # px: what most networks halve five times without a rest


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


def photo_size(recipe: Recipe, *, epoch: int) -> int:
    """The side in px of training photos in ``epoch`` (from 0).

    From ``first_size`` it grows evenly, by multiples of 32 px, and is ``image_size`` in the last third of the
    epochs.
    """
    growing = max(1, round(recipe.epochs * 2 / 3))
    if not recipe.first_size or epoch >= growing:
        return recipe.image_size
    exact = recipe.first_size + (recipe.image_size - recipe.first_size) * epoch / growing
    return min(recipe.image_size, max(recipe.first_size, round(exact / SIZE_STEP) * SIZE_STEP))
