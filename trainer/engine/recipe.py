"""The settings of a training as one frozen value, stored as JSON in every checkpoint and every report.

Imports nothing heavy, so that a web form can check a recipe without loading PyTorch.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from formats.texts import Text
from trainer.engine.backbones import BACKBONES
from trainer.engine.errors import RecipeError

Kind = Literal["frozen", "finetune"]
# torchvision's networks that the founding thesis names. Any other name is looked up in timm.
TORCHVISION = ("resnet18", "resnet34", "resnet50", "inception_v3", "vgg11", "vgg13")
# The views in which a frozen backbone may see a training photo. It sees test photos whole.
VIEWS = ("whole", "flip", "small", "zoom")
# Settings that one kind obeys and the other ignores.
ONLY: dict[Kind, tuple[str, ...]] = {
    "frozen": ("backbone", "views", "hidden", "dropout", "scene_loss"),
    "finetune": (
        *("network", "weights", "image_size", "augment", "tta", "tta_strength", "num_workers"),
        *("precision", "channels_last", "clip_norm", "accumulate", "ema"),
        *("weighted_loss", "balanced_sampling", "layer_decay", "unfreeze", "first_size", "photo_cache"),
        *("mask_loss", "segmenter_after"),
        *("processes", "nodes", "sync_batchnorm"),
    ),
}
HAVE_VIEWS = ("augment", "tta")  # instead of which frozen recipes have views
WITHOUT_EFFECT = ("num_workers",)  # on the result: a run may continue with another value, bit for bit
# k may be any number from 0 to this one, at which every transform of engine.photos.augment has probability 1.
STRONGEST = 6


@dataclass(frozen=True)
class Recipe:
    """All settings of a run. ``from_dict`` checks each of them; an unknown name is an error."""

    kind: Kind = "frozen"
    seed: int = 0  # for the split, the first weights, the order of photos and their distortion
    split: str = "random"  # random | sun-01 … sun-10 (SUN397's own partitions) | fold-2-of-5
    test_share: float = 0.2  # held out in a random split
    epochs: int = 25
    batch_size: int = 256
    optimizer: str = "adamw"  # adamw | adam | sgd
    lr: float = 0.002  # the highest learning rate
    momentum: float = 0.9  # for sgd
    weight_decay: float = 0.2
    # cosine: half a wave by step, from lr to lr_min at the end | constant | annealing: the thesis's
    # equation 14 by epoch, from lr to lr_min in period epochs and back
    schedule: str = "cosine"
    lr_min: float = 0.0
    period: int = 0  # epochs; T of equation 14
    warmup: float = 1.25  # epochs in which the rate rises linearly from zero
    # epochs from one test on the held-out photos to the next; the last epoch is tested in any case
    test_every: int = 1
    stop_after: int = 0  # stop if stop_metric has not grown for so many epochs; 0: never stop early
    stop_epsilon: float = 0.0  # what counts as growth
    stop_metric: str = "accuracy"  # decides on stopping, and which tested epoch is the best
    loss: str = "cross_entropy"  # | absolute | squared, the thesis's equations 4 and 5: training.losses
    label_smoothing: float = 0.05
    negatives: float = 1.0  # weight in the loss of training photos out of scope (folders `_other`)
    # 0 predicts as if labels were as common as in training, 1 as if all were equally common. A higher value
    # raises the recall of rare labels (balanced accuracy) at the cost of common ones (accuracy): see
    # LabelLayer.
    balance: float = 0.35
    # which epoch becomes the model; "best" is chosen by the test photos, so its figures are too good
    keep: str = "last"
    mixup: float = 0.4  # strength alpha of mixing pairs of photos (or their features); 0: none
    # --- frozen backbone
    backbone: str = "efficientnet_lite0"
    views: tuple[str, ...] = ("whole",)
    hidden: int = 0  # units of a hidden layer between features and labels; 0: none
    dropout: float = 0.5
    scene_loss: float = 1.0  # weight of the loss over scene classes; 0: hashtags only
    # --- fine-tuning
    network: str = "resnet18"  # a name in TORCHVISION or BACKBONES, or any that timm knows
    weights: str = "imagenet"  # imagenet | none | path of a file with a state dict
    image_size: int = 224
    augment: float = 0.0  # strength k of the distortion of training photos; 0: none
    # Test-time augmentation: copies of each test photo whose probabilities are averaged, for an extra figure
    # in the report. An exported model does not use it. 0: none
    tta: int = 0
    tta_strength: float = 1.0  # k of those copies
    num_workers: int = 0
    # --- the thesis's new schemes
    level_loss: float = 0.0  # weight of the losses over SUN's levels: training.levels; 0: none
    # Fine-tuning: weight of the loss that pulls the attention to masked objects: training.attention; 0: none
    mask_loss: float = 0.0
    # Epochs after which a segmenter stands in for the masks that photos lack; 0: it never does
    segmenter_after: int = 0
    # Photos without labels, for pseudo-labels or for the teacher: a folder, a table with their paths; in the
    # browser also a photo set or a campaign
    unlabelled: str = ""
    # They learn the label that a first training gives them with at least this confidence: training.pseudo;
    # 0: none do
    pseudo_confidence: float = 0.0
    # --- learning from another model: training.teaching
    teacher: str = ""  # the folder of a model; in the browser a model's number, such as "model 3"
    # Its share in the loss of a photo with a label, which has the rest. Photos without labels learn from it
    # alone; 0: there is no teacher
    teacher_weight: float = 0.0
    teacher_temperature: float = 1.0  # both networks' logits are divided by it before they are compared
    # --- the pace of fine-tuning
    # Of the numbers in a step: fp32 | bf16 | fp16, on a GPU only | auto: bf16 where it pays, else fp32, see
    # training.precision. Weights and tests are fp32 in any case
    precision: str = "auto"
    channels_last: bool = True  # colours of a pixel beside each other in memory
    clip_norm: float = 0.0  # the longest gradient, over all weights; longer ones are shortened. 0: any length
    accumulate: int = 1  # batches whose gradients make one step
    ema: float = 0.0  # what the running average of weights keeps at each step; it is the model. 0: no average
    # Powers x: a photo weighs, or is drawn, by its label's number of photos to the power of -x. 0: all photos
    # alike, 1: all labels alike
    weighted_loss: float = 0.0
    balanced_sampling: float = 0.0
    layer_decay: float = 1.0  # the rate of a part (networks.stages), as a share of that of the one behind it
    unfreeze: float = 0.0  # epochs until one more part learns, from the last to the first; 0: all at once
    first_size: int = 0  # px of photos in the first epoch; they grow to image_size. 0: always image_size
    photo_cache: int = 0  # MB on disk for photos that are decoded and made small once; 0: none
    # --- several processes, among which each batch is divided: engine.ranks
    processes: int = 1  # on each machine; where it has GPUs, each process has one
    nodes: int = 1  # machines
    sync_batchnorm: bool = False  # norms see the whole batch, not only their own process's share

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Recipe:
        """A checked recipe. Raises RecipeError, which names the wrong field."""
        if not isinstance(data, dict):
            raise RecipeError("recipe", Text("must be an object of settings"))
        fields = {field.name: field for field in dataclasses.fields(cls)}
        for name in data:
            if name not in fields:
                raise RecipeError(
                    name,
                    Text("there is no such setting"),
                    hint=Text("settings: %(names)s", names=", ".join(fields)),
                )
        values = {name: _typed(name, value, fields[name].default) for name, value in data.items()}
        recipe = cls(**values)
        for name, is_right, rule in _RULES:
            if not is_right(getattr(recipe, name)):
                raise RecipeError(
                    name, Text("%(value)s must be %(rule)s", value=f"{getattr(recipe, name)!r}", rule=rule)
                )
        _check_together(recipe)
        return recipe

    def as_dict(self) -> dict[str, Any]:
        return {**dataclasses.asdict(self), "views": list(self.views)}

    @property
    def world_size(self) -> int:
        """The processes on all machines together."""
        return self.processes * self.nodes

    @property
    def backbones(self) -> tuple[str, ...]:
        return tuple(self.backbone.split("+"))


def changed_settings(old: dict[str, Any], new: Recipe) -> list[Text]:
    """In words, each setting with an effect on the result that is not what it was in the recipe `old`.

    A setting that `old` lacks came later, and had its default.
    """
    before, now = Recipe().as_dict() | old, new.as_dict()
    names = [name for name in before if name not in WITHOUT_EFFECT and before[name] != now.get(name)]
    return [
        Text(
            "%(name)s was %(before)s, now it is %(now)s",
            name=name,
            before=str(before[name]),
            now=str(now[name]) if name in now else Text("no longer a setting"),
        )
        for name in names
    ]


def _typed(name: str, value: Any, default: Any) -> Any:
    """``value`` as the type of the setting's default; a number in a string is not a number."""
    if isinstance(default, tuple):
        if isinstance(value, (list, tuple)) and all(isinstance(x, str) for x in value):
            return tuple(value)
        raise RecipeError(name, Text("must be a list of words"))
    if isinstance(default, float) and isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if type(value) is not type(default):
        raise RecipeError(
            name,
            Text(
                "must be of type %(type)s, not %(given)s",
                type=type(default).__name__,
                given=type(value).__name__,
            ),
        )
    return value


def _within(low: float, high: float) -> tuple[Callable[[Any], bool], str]:
    first, last = (f"{number:.7f}".rstrip("0").rstrip(".") for number in (low, high))
    return (lambda value: low <= value <= high), Text("from %(low)s to %(high)s", low=first, high=last)


def _one_of(*allowed: str) -> tuple[Callable[[Any], bool], str]:
    return (lambda value: value in allowed), Text("one of %(names)s", names=", ".join(allowed))


_YES_OR_NO = (lambda value: isinstance(value, bool)), Text("true or false")


def _is_backbone(value: str) -> bool:
    parts = value.split("+")
    return len(set(parts)) == len(parts) and all(part in BACKBONES for part in parts)


def _are_views(value: tuple[str, ...]) -> bool:
    return "whole" in value and len(set(value)) == len(value) and all(view in VIEWS for view in value)


def _is_split(value: str) -> bool:
    if value == "random" or re.fullmatch(r"sun-(0[1-9]|10)", value):
        return True
    fold = re.fullmatch(r"fold-(\d{1,2})-of-(\d{1,2})", value)
    return fold is not None and 1 <= int(fold[1]) <= int(fold[2]) and int(fold[2]) >= 2


def _is_name(value: str) -> bool:
    """Checks the spelling only: engine.networks.finetuned asks torchvision and timm if the network exists."""
    return re.fullmatch(r"[A-Za-z0-9_.]{3,100}", value) is not None


_RULES: list[tuple[str, Callable[[Any], bool], str]] = [
    ("kind", *_one_of("frozen", "finetune")),
    ("seed", *_within(0, 2**31 - 1)),
    ("split", _is_split, Text("random, sun-01 to sun-10, or a fold like fold-2-of-5")),
    ("test_share", *_within(0.05, 0.9)),
    ("epochs", *_within(1, 1000)),
    ("batch_size", *_within(2, 4096)),
    ("optimizer", *_one_of("adamw", "adam", "sgd")),
    ("lr", *_within(1e-7, 10)),
    ("momentum", *_within(0, 0.999)),
    ("weight_decay", *_within(0, 10)),
    ("schedule", *_one_of("cosine", "constant", "annealing")),
    ("lr_min", *_within(0, 10)),
    ("period", *_within(0, 1000)),
    ("warmup", *_within(0, 1000)),
    ("test_every", *_within(1, 1000)),
    ("stop_after", *_within(0, 1000)),
    ("stop_epsilon", *_within(0, 1)),
    ("stop_metric", *_one_of("accuracy", "balanced_accuracy")),
    ("loss", *_one_of("cross_entropy", "absolute", "squared")),
    ("label_smoothing", *_within(0, 0.5)),
    ("negatives", *_within(0, 10)),
    ("balance", *_within(0, 2)),
    ("keep", *_one_of("last", "best")),
    ("backbone", _is_backbone, Text("one of %(names)s, or several joined by +", names=", ".join(BACKBONES))),
    ("views", _are_views, Text("'whole' and any of %(names)s", names=", ".join(VIEWS[1:]))),
    ("hidden", *_within(0, 4096)),
    ("dropout", *_within(0, 0.9)),
    ("mixup", *_within(0, 2)),
    ("scene_loss", *_within(0, 10)),
    ("network", _is_name, Text("the name of a network: letters, digits, _ and .")),
    ("weights", lambda value: bool(value.strip()), Text("imagenet, none, or the path of a file")),
    ("image_size", *_within(32, 1024)),
    ("augment", *_within(0, STRONGEST)),
    ("tta", *_within(0, 64)),
    ("tta_strength", *_within(0, STRONGEST)),
    ("num_workers", *_within(0, 64)),
    ("level_loss", *_within(0, 10)),
    ("mask_loss", *_within(0, 10)),
    ("segmenter_after", *_within(0, 1000)),
    ("unlabelled", lambda value: len(value) <= 500, Text("a folder or a table, or empty")),
    ("pseudo_confidence", *_within(0, 1)),
    ("teacher", lambda value: len(value) <= 500, Text("a model's folder, or empty")),
    ("teacher_weight", *_within(0, 1)),
    ("teacher_temperature", *_within(0.5, 20)),
    ("precision", *_one_of("auto", "fp32", "bf16", "fp16")),
    ("channels_last", *_YES_OR_NO),
    ("clip_norm", *_within(0, 1000)),
    ("accumulate", *_within(1, 1024)),
    ("ema", *_within(0, 0.99999)),
    ("weighted_loss", *_within(0, 1)),
    ("balanced_sampling", *_within(0, 1)),
    ("layer_decay", *_within(0.01, 1)),
    ("unfreeze", *_within(0, 1000)),
    ("first_size", lambda value: value == 0 or 32 <= value <= 1024, Text("0 or from 32 to 1024")),
    ("photo_cache", *_within(0, 1_000_000)),
    ("processes", *_within(1, 64)),
    ("nodes", *_within(1, 64)),
    ("sync_batchnorm", *_YES_OR_NO),
]
RULES: dict[str, str] = {name: words for name, _, words in _RULES}  # what each may be, in words for people


def _check_together(recipe: Recipe) -> None:
    """Check the rules that concern several fields. Raises RecipeError."""
    if recipe.lr_min > recipe.lr:
        raise RecipeError(
            "lr_min",
            Text(
                "%(lr_min)s is above the learning rate %(lr)s",
                lr_min=f"{recipe.lr_min:g}",
                lr=f"{recipe.lr:g}",
            ),
        )
    if recipe.schedule == "annealing" and not recipe.period:
        raise RecipeError(
            "period", Text("annealing needs the epochs from the highest rate to the lowest (T)")
        )
    if recipe.kind == "finetune" and recipe.network == "inception_v3" and recipe.image_size < 75:
        raise RecipeError("image_size", Text("inception_v3 needs at least 75 px"))
    if recipe.kind == "frozen":
        # An exported model gives all of its backbones the same pixels.
        inputs = [BACKBONES[name].input for name in recipe.backbones]
        if len({(spec.mean, spec.std, spec.resize) for spec in inputs}) > 1:
            raise RecipeError(
                "backbone", Text("joined backbones must expect the same mean, std and resize rule")
            )
    _check_kind(recipe)
    _check_schemes(recipe)
    _check_pace(recipe)
    _check_processes(recipe)


def _check_schemes(recipe: Recipe) -> None:
    """Check the rules of the thesis's new schemes. Raises RecipeError."""
    if recipe.kind == "frozen" and recipe.level_loss and not recipe.scene_loss:
        raise RecipeError("level_loss", Text("needs a scene_loss: the levels are sums over scene classes"))
    if recipe.mask_loss and recipe.mixup:
        raise RecipeError("mask_loss", Text("does not go with mixup: a mixture of two photos has no mask"))
    if recipe.segmenter_after and not recipe.mask_loss:
        raise RecipeError("segmenter_after", Text("needs a mask_loss"))
    if recipe.pseudo_confidence and not recipe.unlabelled.strip():
        raise RecipeError("unlabelled", Text("is missing: pseudo-labels need photos without labels"))
    if recipe.unlabelled.strip() and not (recipe.pseudo_confidence or recipe.teacher_weight):
        reason = Text("is 0 and there is no teacher, so the photos without labels would not be used")
        raise RecipeError("pseudo_confidence", reason)
    if recipe.teacher_weight and not recipe.teacher.strip():
        raise RecipeError("teacher", Text("is missing: a teacher_weight needs a model to learn from"))
    if recipe.teacher.strip() and not recipe.teacher_weight:
        raise RecipeError("teacher_weight", Text("is 0, so the teacher would not be asked"))
    if recipe.teacher_weight and recipe.pseudo_confidence:
        reason = Text("does not go with a teacher: photos without labels learn what it says of them")
        raise RecipeError("pseudo_confidence", reason)
    if recipe.teacher_weight and recipe.level_loss and recipe.unlabelled.strip():
        reason = Text("does not go with a teacher of photos without labels: nobody knows their levels")
        raise RecipeError("level_loss", reason)
    if recipe.pseudo_confidence and recipe.photo_cache:
        raise RecipeError(
            "photo_cache", Text("does not go with pseudo-labels: its photos are chosen before them")
        )
    if recipe.photo_cache and recipe.mask_loss and recipe.augment:
        reason = Text("its photos are turned as squares, and masks as the whole photo")
        raise RecipeError(
            "photo_cache", Text("does not go with masks of distorted photos: %(reason)s", reason=reason)
        )


def _check_kind(recipe: Recipe) -> None:
    """Refuse settings that the recipe's kind ignores, unless they are off or as they are by default."""
    other: Kind = "finetune" if recipe.kind == "frozen" else "frozen"
    for name in ONLY[other]:
        value = getattr(recipe, name)
        if value and value != getattr(Recipe, name):
            if other == "frozen":
                reason = Text("is for frozen backbones only; this recipe is for fine-tuning")
            elif name in HAVE_VIEWS:
                reason = Text(
                    "is for fine-tuning only (frozen recipes have views); this recipe is for frozen backbones"
                )
            else:
                reason = Text("is for fine-tuning only; this recipe is for frozen backbones")
            raise RecipeError(name, reason)


def _check_pace(recipe: Recipe) -> None:
    if recipe.first_size > recipe.image_size:
        raise RecipeError(
            "first_size",
            Text(
                "%(first_size)s is above the photo size %(image_size)s",
                first_size=recipe.first_size,
                image_size=recipe.image_size,
            ),
        )
    if recipe.network == "inception_v3" and 0 < recipe.first_size < 75:
        raise RecipeError("first_size", Text("inception_v3 needs at least 75 px"))
    if recipe.network == "inception_v3" and 0 < recipe.first_size < 299 <= recipe.image_size:
        raise RecipeError(
            "first_size", Text("inception_v3 has a second output from 299 px: begin there, or end below")
        )


def _check_processes(recipe: Recipe) -> None:
    count = recipe.world_size
    if count == 1:
        if recipe.sync_batchnorm:
            raise RecipeError(
                "sync_batchnorm", Text("needs several processes: one sees the whole batch anyway")
            )
        return
    if recipe.batch_size < 2 * count:
        reason = Text("%(n)s processes need two photos of each batch", n=count)
        raise RecipeError(
            "batch_size",
            Text("%(batch_size)s is too small: %(reason)s", batch_size=recipe.batch_size, reason=reason),
        )
    for name in ("mask_loss", "pseudo_confidence", "teacher_weight", "photo_cache"):
        if getattr(recipe, name):
            raise RecipeError(
                name, Text("does not go with several processes, and there are %(count)s", count=count)
            )
