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
        ("teacher_weight", 1.1),
        ("teacher_temperature", 0),
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
        ({"processes": 2}, "processes"),
        ({"nodes": 2}, "nodes"),
        ({"kind": "finetune", "processes": 2, "nodes": 3, "batch_size": 11}, "batch_size"),
        ({"kind": "finetune", "sync_batchnorm": True}, "sync_batchnorm"),
        ({"kind": "finetune", "processes": 2, "photo_cache": 9}, "photo_cache"),
        ({"kind": "finetune", "nodes": 2, "mask_loss": 1, "mixup": 0.0}, "mask_loss"),
        ({"kind": "finetune", "nodes": 2, "unlabelled": "p", "pseudo_confidence": 1}, "pseudo_confidence"),
        ({"mask_loss": 1}, "mask_loss"),
        ({"segmenter_after": 1}, "segmenter_after"),
        ({"kind": "finetune", "mask_loss": 1, "mixup": 0.2}, "mask_loss"),
        ({"kind": "finetune", "segmenter_after": 3}, "segmenter_after"),
        ({"pseudo_confidence": 0.9}, "unlabelled"),
        ({"unlabelled": "photos"}, "pseudo_confidence"),
        ({"teacher_weight": 0.5}, "teacher"),
        ({"teacher": "model"}, "teacher_weight"),
        (
            {"teacher": "m", "teacher_weight": 0.5, "unlabelled": "p", "pseudo_confidence": 0.9},
            "pseudo_confidence",
        ),
        ({"teacher": "m", "teacher_weight": 0.5, "unlabelled": "p", "level_loss": 1}, "level_loss"),
        ({"kind": "finetune", "processes": 2, "teacher": "m", "teacher_weight": 1}, "teacher_weight"),
        (
            {"kind": "finetune", "pseudo_confidence": 0.9, "unlabelled": "photos", "photo_cache": 100},
            "photo_cache",
        ),
        (
            {"kind": "finetune", "mask_loss": 1, "mixup": 0, "augment": 1, "photo_cache": 100},
            "photo_cache",
        ),
    ],
)
def test_schemes_that_cannot_work_are_refused(settings: dict[str, Any], field: str) -> None:
    with pytest.raises(RecipeError) as error:
        Recipe.from_dict(settings)
    assert error.value.field == field


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        ("frozen", "augment", 1),
        ("frozen", "tta", 2),
        ("frozen", "image_size", 96),
        ("frozen", "network", "resnet34"),
        ("frozen", "num_workers", 2),
        ("frozen", "precision", "bf16"),
        ("frozen", "accumulate", 2),
        ("frozen", "unfreeze", 0.5),
        ("frozen", "mask_loss", 1),
        ("frozen", "segmenter_after", 1),
        ("finetune", "dropout", 0.3),
        ("finetune", "backbone", "efficientnet_lite2"),
        ("finetune", "views", ["whole", "flip"]),
        ("finetune", "scene_loss", 0.5),
    ],
)
def test_what_its_kind_ignores_is_refused(kind: str, field: str, value: Any) -> None:
    words = {"frozen": "fine-tuning", "finetune": "frozen backbones"}[kind]
    with pytest.raises(RecipeError, match=f"{field}: is for {words} only") as error:
        Recipe.from_dict({"kind": kind, field: value})
    assert error.value.field == field


def test_what_is_off_is_not_ignored() -> None:
    """The thesis's rows have no loss over scene classes."""
    assert Recipe.from_dict({"kind": "finetune", "scene_loss": 0.0, "hidden": 0}).scene_loss == 0


@pytest.mark.parametrize(
    ("settings", "field", "words"),
    [
        ({"first_size": 256}, "first_size", "256 is above the photo size 224"),
        ({"first_size": 16}, "first_size", "0 or from 32 to 1024"),
        ({"network": "inception_v3", "first_size": 64}, "first_size", "at least 75 px"),
        (
            {"network": "inception_v3", "first_size": 128, "image_size": 299},
            "first_size",
            "second output from 299 px",
        ),
        ({"precision": "fp64"}, "precision", "one of auto, fp32, bf16, fp16"),
        ({"channels_last": 1}, "channels_last", "must be of type bool, not int"),
        ({"ema": 1}, "ema", "from 0 to 0.99999"),
        ({"accumulate": 0}, "accumulate", "from 1 to 1024"),
        ({"layer_decay": 0}, "layer_decay", "from 0.01 to 1"),
    ],
)
def test_wrong_settings_of_pace_are_named(settings: dict[str, Any], field: str, words: str) -> None:
    with pytest.raises(RecipeError, match=words) as error:
        Recipe.from_dict({"kind": "finetune", **settings})
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
