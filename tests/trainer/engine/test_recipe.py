"""A recipe is checked field by field, without PyTorch."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest

from trainer.engine.errors import RecipeError
from trainer.engine.presets import DEFAULT_PRESET, PRESETS
from trainer.engine.recipe import Recipe, changed_settings


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("kind", "magic"),
        ("epochs", 0),
        ("epochs", "20"),
        ("epochs", True),
        ("lr", -0.1),
        ("lr", float("nan")),
        ("test_share", 1.0),
        ("backbone", "efficientnet_lite9"),
        ("backbone", "efficientnet_lite0+efficientnet_lite0"),
        ("views", ["flip"]),
        ("views", "whole"),
        ("network", "vgg 11"),
        ("weights", " "),
        ("learning_rate", 0.1),
        ("loss", "mse"),
        ("test_every", 0),
        ("test_every", 1.5),
        ("augment", -0.5),
        ("augment", 6.01),
        ("augment", "0.5"),
        ("augment", float("inf")),
        ("tta_strength", 7),
    ],
)
def test_an_error_names_its_field(field: str, value: Any) -> None:
    with pytest.raises(RecipeError) as error:
        Recipe.from_dict({field: value})
    assert error.value.field == field
    assert field in str(error.value)


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"level_loss": 1, "scene_loss": 0}, "level_loss"),
        ({"mask_loss": 1}, "mask_loss"),
        ({"segmenter_after": 1}, "segmenter_after"),
        ({"kind": "finetune", "mask_loss": 1, "mixup": 0.2}, "mask_loss"),
        ({"kind": "finetune", "segmenter_after": 3}, "segmenter_after"),
        ({"pseudo_confidence": 0.9}, "unlabelled"),
        ({"unlabelled": "photos"}, "pseudo_confidence"),
    ],
)
def test_a_scheme_that_would_have_no_effect_is_refused(settings: dict[str, Any], field: str) -> None:
    with pytest.raises(RecipeError) as error:
        Recipe.from_dict(settings)
    assert error.value.field == field


def test_a_recipe_survives_its_dictionary() -> None:
    for preset in PRESETS.values():
        assert Recipe.from_dict(preset.recipe.as_dict()) == preset.recipe
    assert DEFAULT_PRESET in PRESETS


def test_whole_numbers_are_fine_where_numbers_are_wanted() -> None:
    assert Recipe.from_dict({"lr": 1}).lr == 1.0


@pytest.mark.parametrize("k", [0, 0.5, 1, 2.75, 6])
def test_a_strength_is_any_number_from_0_to_6(k: float) -> None:
    recipe = Recipe.from_dict({"kind": "finetune", "augment": k, "tta": 2, "tta_strength": k})
    assert (recipe.augment, recipe.tta_strength) == (k, k)


def test_balanced_accuracy_decides_in_every_preset() -> None:
    assert {preset.recipe.stop_metric for preset in PRESETS.values()} == {"balanced_accuracy"}


def test_row_8_comes_with_test_copies_too() -> None:
    row, copies = PRESETS["table4-row8"], PRESETS["tta8-table4-row8"]
    assert replace(copies.recipe, tta=0) == row.recipe
    assert (copies.recipe.tta, copies.table, copies.thesis) == (8, 4, None)


def test_recipes_and_predictions_need_no_torch() -> None:
    program = (
        "import sys; import trainer.engine.recipe; "
        "import trainer.engine.serving.predict, trainer.engine.serving.evaluate; "
        "sys.exit('torch' in sys.modules or 'django' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_a_changed_setting_is_named_unless_it_has_no_effect() -> None:
    old = Recipe(lr=0.1, epochs=5).as_dict()
    new = Recipe(lr=0.2, epochs=5, num_workers=3, views=("whole", "flip"))
    assert changed_settings(old, new) == [
        "lr was 0.1, now it is 0.2",
        "views was ['whole'], now it is ['whole', 'flip']",
    ]
    del old["views"]  # written before there were views
    assert changed_settings(old, Recipe(lr=0.1, epochs=5)) == []
    gone = changed_settings(old | {"spin": 1}, Recipe(lr=0.1, epochs=5))
    assert gone == ["spin was 1, now it is no longer a setting"]
