"""Recipes with names: everyday ones, and every row of tables 3 and 4 of the founding thesis.

What the thesis leaves open is chosen here, the same for all of its rows: batches of 64, momentum 0.9, no
weight decay, and in table 3 Adam with PyTorch's default rate. Balanced accuracy, the thesis's "weighted", has
priority in the thesis: in every preset it decides when to stop and which epoch is the best. As in the
thesis's trainer, the rows of its tables keep the best epoch.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from trainer.engine.backbones import BACKBONES
from trainer.engine.recipe import Recipe


@dataclass(frozen=True)
class Thesis:
    """The figures that the thesis printed for a row: shares, and minutes on one GTX 1080 Ti."""

    row: int
    accuracy: float
    balanced_accuracy: float
    minutes: int


@dataclass(frozen=True)
class Preset:
    name: str
    title: str
    description: str
    recipe: Recipe
    table: int = 0  # the thesis's table that it belongs to; 0: none
    thesis: Thesis | None = None  # None also for a variant of a row, whose figures the thesis did not print


FROZEN = Recipe(stop_metric="balanced_accuracy")
FINETUNE = Recipe(
    kind="finetune",
    epochs=20,
    batch_size=64,
    lr=0.01,
    optimizer="sgd",
    weight_decay=1e-4,
    warmup=1.0,
    stop_metric="balanced_accuracy",
    mixup=0.0,
    augment=1,
    num_workers=2,
)
# Its steps are cheaper, see docs/experiments.md; its accuracy for its time is not measured yet.
FAST = replace(
    FINETUNE,
    network="efficientnet_lite0",
    epochs=6,
    lr=0.02,
    batch_size=32,
    first_size=128,
    unfreeze=0.5,
    layer_decay=0.7,
    clip_norm=5.0,
    ema=0.98,
)
# Common to the thesis's rows. Table 4 changes the 5 epochs of table 3's stopper to 15 and keeps its 0.5 %.
THESIS = Recipe(
    kind="finetune",
    epochs=50,
    batch_size=64,
    optimizer="sgd",
    weight_decay=0.0,
    schedule="constant",
    warmup=0.0,
    stop_after=15,
    stop_epsilon=0.005,
    stop_metric="balanced_accuracy",
    label_smoothing=0.0,
    balance=0.0,
    keep="best",
    mixup=0.0,
    scene_loss=0.0,
    network="resnet34",
    image_size=256,
    num_workers=2,
)
TABLE_3 = replace(THESIS, optimizer="adam", lr=0.001, stop_after=5)
STOPPER = "stops when balanced accuracy has not grown by 0.5 % in {} epochs."
NAMES = {
    "inception_v3": "Inception v3",
    "vgg11": "VGG 11",
    "vgg13": "VGG 13",
    "resnet18": "ResNet 18",
    "resnet34": "ResNet 34",
    "resnet50": "ResNet 50",
}


def _table_3(row: int, network: str, accuracy: float, balanced: float, minutes: int) -> Preset:
    # Inception v3 was made for 299 px; the thesis gives 256 for the whole table.
    size = 299 if network == "inception_v3" else 256
    return Preset(
        f"table3-{network}",
        f"Table 3: {NAMES[network]}",
        f"Adam, {size} px, no augmentation; {STOPPER.format(5)}",
        replace(TABLE_3, network=network, image_size=size),
        3,
        Thesis(row, accuracy, balanced, minutes),
    )


def _table_4(
    row: int,
    optimizer: str,
    lr: float,
    k: float,
    size: int,
    figures: tuple[float, float, int],
    period: int = 0,
) -> Preset:
    words = "Adam" if optimizer == "adam" else "SGD"
    rate = f"annealing T = {period}" if period else f"{lr:g}"
    recipe = replace(
        THESIS, optimizer=optimizer, lr=lr, augment=k, image_size=size, epochs=30 if size == 512 else 50
    )
    if period:
        recipe = replace(recipe, schedule="annealing", lr=0.1, lr_min=0.001, period=period)
    return Preset(
        f"table4-row{row}",
        f"Table 4, row {row}: {words} {rate}, k = {k:g}, {size} px",
        f"ResNet 34; {STOPPER.format(15)}" + (" The thesis's chosen model." if row == 8 else ""),
        recipe,
        4,
        Thesis(row, *figures),
    )


def _with_copies(preset: Preset, copies: int) -> Preset:
    """The same training, and an additional figure with test-time augmentation."""
    return Preset(
        f"tta{copies}-{preset.name}",
        f"{preset.title}, with {copies} test copies",
        f"The same training. Its report also has the figures with {copies} distorted copies of each test "
        "photo; the thesis gained about 0.01 by them.",
        replace(preset.recipe, tta=copies),
        preset.table,
    )


def _by_name(*presets: Preset) -> dict[str, Preset]:
    return {preset.name: preset for preset in presets}


ROW_8 = _table_4(8, "sgd", 0.01, 1, 512, (0.810, 0.781, 698))
DEFAULT_PRESET = "frozen-lite0"
PRESETS = _by_name(
    *(
        Preset(
            backbone.preset,
            f"Frozen {backbone.title}",
            backbone.advice,
            replace(FROZEN, backbone=backbone.name),
        )
        for backbone in BACKBONES.values()
        if backbone.preset
    ),
    Preset(
        "finetune-fast",
        "Fine-tuned EfficientNet-Lite0, fast",
        "Small photos first, the head before the rest, rates by part. No download.",
        FAST,
    ),
    Preset(
        "lite0-finetune",
        "Fine-tuned EfficientNet-Lite0",
        "Trains all weights, starting from the installed ones of ImageNet. Best with a GPU; no download.",
        replace(FINETUNE, network="efficientnet_lite0"),
    ),
    Preset(
        "resnet18-finetune",
        "Fine-tuned ResNet-18",
        "Trains all weights, starting from those of ImageNet, which it downloads once. Best with a GPU.",
        FINETUNE,
    ),
    Preset(
        "resnet34-finetune",
        "Fine-tuned ResNet-34",
        "The founding study's network with a recipe of ours. Needs a GPU to finish within a day.",
        replace(FINETUNE, network="resnet34", epochs=30, image_size=256, num_workers=4),
    ),
    Preset(
        "resnet18-scratch-quick",
        "ResNet-18 from scratch, small photos",
        "Starts without pretrained weights: to try the training program, or as a baseline to compare with.",
        replace(
            FINETUNE,
            weights="none",
            epochs=5,
            lr=0.001,
            optimizer="adamw",
            weight_decay=0.01,
            warmup=0.25,
            image_size=96,
            num_workers=0,
        ),
    ),
    _table_3(1, "inception_v3", 0.743, 0.667, 239),
    _table_3(2, "vgg11", 0.678, 0.565, 154),
    _table_3(3, "vgg13", 0.637, 0.478, 450),
    _table_3(4, "resnet18", 0.692, 0.602, 35),
    _table_3(5, "resnet34", 0.703, 0.634, 119),
    _table_3(6, "resnet50", 0.659, 0.593, 114),
    _table_4(1, "adam", 0.01, 1, 256, (0.756, 0.682, 232)),
    _table_4(2, "sgd", 0.01, 1, 256, (0.800, 0.739, 320)),
    _table_4(3, "sgd", 0.1, 1, 256, (0.802, 0.739, 412)),
    _table_4(4, "sgd", 0.01, 3, 256, (0.815, 0.747, 302)),
    _table_4(5, "sgd", 0.01, 5, 256, (0.771, 0.695, 369)),
    _table_4(6, "sgd", 0.1, 1, 256, (0.8113, 0.752, 275), period=3),
    _table_4(7, "adam", 0.001, 2, 256, (0.745, 0.688, 266)),
    ROW_8,
    _with_copies(ROW_8, 8),
    _table_4(9, "sgd", 0.1, 2, 512, (0.830, 0.766, 867), period=3),
    _table_4(10, "sgd", 0.1, 2, 512, (0.818, 0.762, 889), period=50),
    _table_4(11, "sgd", 0.01, 2, 512, (0.820, 0.764, 813)),
)
