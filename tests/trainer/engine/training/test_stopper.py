from __future__ import annotations

import pytest

from trainer.engine.presets import PRESETS
from trainer.engine.recipe import Recipe
from trainer.engine.training.stopper import reason_to_stop

STOP = "accuracy has not grown by 0.005 in 3 epochs"


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ([], None),  # too early to tell
        ([0.5], None),
        ([0.5, 0.5, 0.5], None),
        ([0.5, 0.5, 0.5, 0.5], STOP),
        ([0.5, 0.4, 0.3, 0.505], None),  # by exactly ε
        ([0.0, 0.0, 0.0, 0.005 - 1e-12], None),  # by ε, but for rounding
        ([0.0, 0.0, 0.0, 0.005 - 2e-12], STOP),
        ([0.5, 0.6, 0.5, 0.5], None),  # the best of the last three counts, not the last
        ([0.5, 0.502, 0.503, 0.504], STOP),  # grows, but by less
        ([0.5, 0.6, 0.55, 0.55], None),
        ([0.5, 0.6, 0.55, 0.55, 0.6], STOP),
        # Tested every second epoch: None where there is no figure.
        ([None, 0.5, None], None),
        ([None, 0.5, None, 0.5], None),  # nothing to compare with before the last three
        ([None, 0.5, None, 0.5, None], None),  # never after an epoch that was not tested
        ([None, 0.5, None, 0.5, None, 0.5], STOP),
        ([None, 0.5, None, 0.6, None, 0.6], None),
        ([None, 0.5, None, 0.6, None, 0.6, None, 0.6], STOP),
        # More seldom than every third: each test is compared with those before it.
        ([None, None, None, None, 0.5, None, None, None, None, 0.5], STOP),
        ([None, None, None, None, 0.5, None, None, None, None, 0.6], None),
    ],
)
def test_it_stops_when_the_metric_has_not_grown_enough(
    values: list[float | None], reason: str | None
) -> None:
    assert reason_to_stop(Recipe(stop_after=3, stop_epsilon=0.005), values) == reason


@pytest.mark.parametrize(("table", "epochs"), [(3, 5), (4, 15)])
def test_both_tables_ask_for_half_a_per_cent_of_balanced_accuracy(table: int, epochs: int) -> None:
    """Table 4 changes the number of epochs and nothing else."""
    recipes = [preset.recipe for preset in PRESETS.values() if preset.table == table]
    rules = {(r.stop_after, r.stop_epsilon, r.stop_metric, r.keep) for r in recipes}
    assert rules == {(epochs, 0.005, "balanced_accuracy", "best")}
    values = [0.5] * epochs
    assert reason_to_stop(recipes[0], [*values, 0.505]) is None
    assert (
        reason_to_stop(recipes[0], [*values, 0.5049])
        == f"balanced accuracy has not grown by 0.005 in {epochs} epochs"
    )


def test_without_epsilon_any_growth_continues_the_run() -> None:
    recipe = Recipe(stop_after=15)
    flat = [0.5] * 16
    assert reason_to_stop(recipe, flat) == "accuracy has not grown in 15 epochs"
    assert reason_to_stop(recipe, [*flat[:-1], 0.5001]) is None
    assert reason_to_stop(recipe, [0.5] + [0.5 - 1e-13] * 15)  # a fall, however small, is no growth


@pytest.mark.parametrize(("epochs", "words"), [(1, "in 1 epoch"), (2, "in 2 epochs")])
def test_it_says_in_how_many_epochs(epochs: int, words: str) -> None:
    reason = reason_to_stop(Recipe(stop_after=epochs), [0.5] * 3)
    assert reason is not None
    assert reason.endswith(words)


def test_it_never_stops_unless_asked() -> None:
    assert reason_to_stop(Recipe(), [0.9] * 500) is None
