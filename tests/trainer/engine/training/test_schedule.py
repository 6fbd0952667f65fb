"""The learning rate of every batch."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from trainer.engine.presets import PRESETS
from trainer.engine.recipe import Recipe
from trainer.engine.training.schedule import photo_size, rate

STEPS = 7


def of_epochs(recipe: Recipe, epochs: int) -> list[float]:
    """The rate of every epoch; it must be the same for all of its batches."""
    found = []
    for epoch in range(epochs):
        rates = {rate(recipe, step=epoch * STEPS + at, steps=STEPS) for at in range(STEPS)}
        assert len(rates) == 1
        found.append(rates.pop())
    return found


@pytest.mark.parametrize(("preset", "period"), [("table4-row6", 3), ("table4-row9", 3), ("table4-row10", 50)])
def test_annealing_is_equation_14_at_every_epoch(preset: str, period: int) -> None:
    recipe = PRESETS[preset].recipe
    low, high = 0.001, 0.1
    expected = [low + 0.5 * (high - low) * (1 + math.cos(i * math.pi / period)) for i in range(recipe.epochs)]
    assert of_epochs(recipe, recipe.epochs) == pytest.approx(expected, rel=1e-12)


def test_with_a_period_of_three_it_falls_and_rises() -> None:
    rates = of_epochs(PRESETS["table4-row6"].recipe, 10)
    assert rates[:4] == sorted(rates[:4], reverse=True)
    assert rates[3:7] == sorted(rates[3:7])
    assert (rates[0], rates[3], rates[6], rates[9]) == pytest.approx((0.1, 0.001, 0.1, 0.001))


def test_with_a_period_of_all_epochs_it_only_falls() -> None:
    recipe = PRESETS["table4-row10"].recipe
    rates = of_epochs(recipe, recipe.epochs)
    assert rates == sorted(rates, reverse=True)


def test_constant_is_constant() -> None:
    assert set(of_epochs(PRESETS["table4-row8"].recipe, 30)) == {0.01}


def test_warm_up_is_a_straight_line() -> None:
    recipe = Recipe(schedule="constant", lr=0.1, warmup=2.0)
    rates = [rate(recipe, step=step, steps=5) for step in range(12)]
    assert rates == pytest.approx([0.1 * (n + 1) / 10 for n in range(10)] + [0.1, 0.1])


def test_cosine_ends_at_the_lowest_rate() -> None:
    recipe = Recipe(lr=0.1, lr_min=0.02, warmup=0.0, epochs=4)
    rates = [rate(recipe, step=step, steps=10) for step in range(41)]
    assert rates == sorted(rates, reverse=True)
    assert (rates[0], rates[20], rates[40]) == pytest.approx((0.1, 0.06, 0.02))


def test_the_everyday_recipe_warms_up_over_a_twentieth() -> None:
    recipe = replace(Recipe(), warmup=1.25, epochs=25)
    assert rate(recipe, step=0, steps=20) == pytest.approx(recipe.lr / 25)
    assert rate(recipe, step=12, steps=20) == pytest.approx(recipe.lr * 13 / 25)


def test_warm_up_of_less_than_a_batch_is_none() -> None:
    recipe = Recipe(schedule="constant", lr=0.1, warmup=0.01)
    assert [rate(recipe, step=step, steps=20) for step in range(2)] == [0.1, 0.1]


def test_photos_grow_until_the_last_third() -> None:
    recipe = Recipe(epochs=9, first_size=96, image_size=224)
    sizes = [photo_size(recipe, epoch=epoch) for epoch in range(9)]
    assert sizes == [96, 128, 128, 160, 192, 192, 224, 224, 224]
    assert {photo_size(replace(recipe, first_size=0), epoch=epoch) for epoch in range(9)} == {224}
    assert photo_size(replace(recipe, epochs=1), epoch=0) == 96  # one epoch has no last third


def test_sizes_stay_between_the_first_and_the_last() -> None:
    odd = Recipe(epochs=6, first_size=70, image_size=75)
    assert {photo_size(odd, epoch=epoch) for epoch in range(6)} <= {70, 75}
