"""What a training does, as one frozen value: it travels in JSON, in every checkpoint and every report.

Imports nothing heavy, so a web form can check a recipe without loading PyTorch.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from .errors import RecipeError
from .preprocess import BACKBONE_SIZES

Kind = Literal["frozen", "finetune"]
NETWORKS = ("resnet18", "resnet34", "resnet50")
# How a frozen backbone may look at a training photo. Test photos are always seen whole.
VIEWS = ("whole", "flip", "small", "zoom")


@dataclass(frozen=True)
class Recipe:
    """All settings of a run. ``from_dict`` checks every one; unknown names are an error, not ignored."""

    kind: Kind = "frozen"
    seed: int = 0  # of the split, the first weights, the order of photos and their distortion
    test_share: float = 0.2
    epochs: int = 25
    batch_size: int = 256
    lr: float = 0.002
    optimizer: str = "adam"
    weight_decay: float = 0.2
    label_smoothing: float = 0.05
    # 0 judges photos as if labels came as often as in training; 1 as if all came equally often. Raises the
    # recall of rare labels (balanced accuracy) at the cost of common ones (accuracy): see LabelLayer.
    balance: float = 0.35
    keep: str = "last"  # the epoch that becomes the model; "best" picks by the test photos: flatters itself
    mixup: float = 0.4  # strength alpha of mixing pairs of photos (or their features); 0: none
    # --- frozen backbone
    backbone: str = "efficientnet_lite0"
    views: tuple[str, ...] = ("whole",)
    hidden: int = 0  # units of a hidden layer between features and labels; 0: none
    dropout: float = 0.5
    scene_loss: float = 1.0  # weight of also telling scene classes apart; 0: hashtags only
    # --- fine-tuning
    network: str = "resnet18"
    weights: str = "imagenet"  # imagenet | none | path of a file with a state dict
    image_size: int = 224
    num_workers: int = 0

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Recipe:
        """A checked recipe; raises RecipeError naming the field that is wrong."""
        if not isinstance(data, dict):
            raise RecipeError("recipe", "must be an object of settings")
        fields = {field.name: field for field in dataclasses.fields(cls)}
        for name in data:
            if name not in fields:
                raise RecipeError(name, "there is no such setting", hint=f"settings: {', '.join(fields)}")
        values = {name: _typed(name, value, fields[name].default) for name, value in data.items()}
        recipe = cls(**values)
        for name, is_right, rule in _RULES:
            if not is_right(getattr(recipe, name)):
                raise RecipeError(name, f"{getattr(recipe, name)!r} must be {rule}")
        return recipe

    def as_dict(self) -> dict[str, Any]:
        return {**dataclasses.asdict(self), "views": list(self.views)}

    @property
    def backbones(self) -> tuple[str, ...]:
        return tuple(self.backbone.split("+"))


def _typed(name: str, value: Any, default: Any) -> Any:
    """``value`` as the type of the setting's default; a number in a string is not a number."""
    if isinstance(default, tuple):
        if isinstance(value, (list, tuple)) and all(isinstance(x, str) for x in value):
            return tuple(value)
        raise RecipeError(name, "must be a list of words")
    if isinstance(default, float) and isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, bool) or type(value) is not type(default):
        raise RecipeError(name, f"must be of type {type(default).__name__}, not {type(value).__name__}")
    return value


def _within(low: float, high: float) -> tuple[Callable[[Any], bool], str]:
    return (lambda value: low <= value <= high), f"from {low:g} to {high:g}"


def _one_of(*allowed: str) -> tuple[Callable[[Any], bool], str]:
    return (lambda value: value in allowed), f"one of {', '.join(allowed)}"


def _is_backbone(value: str) -> bool:
    parts = value.split("+")
    return len(set(parts)) == len(parts) and all(part in BACKBONE_SIZES for part in parts)


def _are_views(value: tuple[str, ...]) -> bool:
    return "whole" in value and len(set(value)) == len(value) and all(view in VIEWS for view in value)


_RULES: list[tuple[str, Callable[[Any], bool], str]] = [
    ("kind", *_one_of("frozen", "finetune")),
    ("seed", *_within(0, 2**31 - 1)),
    ("test_share", *_within(0.05, 0.9)),
    ("epochs", *_within(1, 1000)),
    ("batch_size", *_within(2, 4096)),
    ("lr", *_within(1e-7, 10)),
    ("optimizer", *_one_of("adam", "sgd")),
    ("weight_decay", *_within(0, 10)),
    ("label_smoothing", *_within(0, 0.5)),
    ("balance", *_within(0, 2)),
    ("keep", *_one_of("last", "best")),
    ("backbone", _is_backbone, f"one of {', '.join(BACKBONE_SIZES)}, or several joined by +"),
    ("views", _are_views, f"'whole' and any of {', '.join(VIEWS[1:])}"),
    ("hidden", *_within(0, 4096)),
    ("dropout", *_within(0, 0.9)),
    ("mixup", *_within(0, 2)),
    ("scene_loss", *_within(0, 10)),
    ("network", *_one_of(*NETWORKS)),
    ("weights", lambda value: bool(value.strip()), "imagenet, none, or the path of a file"),
    ("image_size", *_within(32, 1024)),
    ("num_workers", *_within(0, 64)),
]


@dataclass(frozen=True)
class Preset:
    """A recipe with a name that people choose by."""

    name: str
    title: str
    description: str
    recipe: Recipe


def _presets(*presets: Preset) -> dict[str, Preset]:
    return {preset.name: preset for preset in presets}


DEFAULT_PRESET = "frozen-lite0"
PRESETS = _presets(
    Preset(
        "frozen-lite0",
        "Frozen EfficientNet-Lite0",
        "A linear layer on the features of a pretrained network. Minutes on a laptop, nothing to download.",
        Recipe(),
    ),
    Preset(
        "frozen-lite2",
        "Frozen EfficientNet-Lite2",
        "The same with a larger network at 260 px: a little more accurate, twice the time.",
        Recipe(backbone="efficientnet_lite2"),
    ),
    Preset(
        "resnet18-finetune",
        "Fine-tuned ResNet-18",
        "All weights are trained, from ImageNet's: best with a GPU. Downloads the weights once.",
        Recipe(
            kind="finetune",
            epochs=20,
            batch_size=64,
            lr=0.01,
            optimizer="sgd",
            weight_decay=1e-4,
            mixup=0.0,
            num_workers=2,
        ),
    ),
    Preset(
        "resnet34-finetune",
        "Fine-tuned ResNet-34",
        "The founding study's network. Needs a GPU to end the same day.",
        Recipe(
            kind="finetune",
            network="resnet34",
            epochs=30,
            batch_size=64,
            lr=0.01,
            optimizer="sgd",
            weight_decay=1e-4,
            mixup=0.0,
            image_size=256,
            num_workers=4,
        ),
    ),
    Preset(
        "resnet18-scratch-quick",
        "ResNet-18 from scratch, small photos",
        "No pretrained weights: a trial of the training program, or a baseline to compare with.",
        Recipe(
            kind="finetune",
            weights="none",
            epochs=5,
            batch_size=64,
            lr=0.001,
            weight_decay=0.01,
            mixup=0.0,
            image_size=96,
        ),
    ),
)
