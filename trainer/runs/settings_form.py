"""The settings of a recipe as labelled controls, which a run's form shows under "Change settings"."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django import forms

from trainer.engine.backbones import BACKBONES
from trainer.engine.errors import RecipeError
from trainer.engine.recipe import RULES, TORCHVISION, VIEWS, Recipe
from trainer.runs import unlabelled
from trainer.runs.start import ONE_MACHINE

BOTH, FROZEN, FINETUNE = ("frozen", "finetune"), ("frozen",), ("finetune",)
SUN = [f"sun-{n:02d}" for n in range(1, 11)]
FOLDS = [f"fold-{n}-of-5" for n in range(1, 6)]
NETWORKS = [*TORCHVISION, *BACKBONES, "mobilenetv3_large_100", "convnext_tiny"]


@dataclass(frozen=True)
class Setting:
    """How the form shows one field of a recipe. `choices`: all values; `proposals`: some of many values."""

    name: str
    label: str
    help: str = ""
    kinds: tuple[str, ...] = BOTH
    choices: tuple[tuple[str, str], ...] = ()
    proposals: tuple[str, ...] = ()

    @property
    def rule(self) -> str:
        """Between which numbers the value may be; empty for what is no number."""
        is_number = type(getattr(Recipe, self.name)) in (int, float)
        return RULES.get(self.name, "") if is_number else ""


GROUPS: dict[str, tuple[Setting, ...]] = {
    "Data": (
        Setting(
            "split",
            "Split",
            "Which photos are held out: random, sun-01 to sun-10, or a fold like fold-2-of-5.",
            proposals=("random", *SUN, *FOLDS),
        ),
        Setting("test_share", "Share held out", "In a random split."),
        Setting("seed", "Seed", "For the split, the first weights and the order of photos."),
    ),
    "Learning": (
        Setting("epochs", "Epochs", "The most there will be: a run may stop earlier, see below."),
        Setting("batch_size", "Photos in a batch"),
        Setting(
            "optimizer",
            "Optimizer",
            choices=(("adamw", "AdamW"), ("adam", "Adam"), ("sgd", "SGD with momentum")),
        ),
        Setting(
            "loss",
            "Loss",
            "What training makes small, over the labels' probabilities. Equations of the thesis.",
            choices=(
                ("cross_entropy", "Cross-entropy (equation 6)"),
                ("absolute", "Absolute differences (4)"),
                ("squared", "Squared differences (5)"),
            ),
        ),
        Setting("lr", "Learning rate", "The highest rate."),
        Setting(
            "schedule",
            "Learning rate over time",
            "Annealing: equation 14 of the thesis.",
            choices=(
                ("constant", "Constant"),
                ("cosine", "Cosine: falls by half a wave"),
                ("annealing", "Annealing: falls and rises"),
            ),
        ),
        Setting("lr_min", "Lowest learning rate", "Where cosine and annealing end."),
        Setting("period", "T of annealing", "Epochs from the highest rate to the lowest."),
        Setting("warmup", "Warm-up", "Epochs in which the rate rises from zero."),
        Setting("momentum", "Momentum", "For SGD."),
        Setting("weight_decay", "Weight decay"),
    ),
    "Tests and stopping": (
        Setting(
            "test_every",
            "Test every",
            "Epochs from one test on the held-out photos to the next. The last epoch is tested in any case.",
        ),
        Setting("stop_after", "Stop after", "Epochs without growth; 0: the run never stops early."),
        Setting("stop_epsilon", "Least growth", "What counts as growth: 0.005 is half a per cent."),
        Setting(
            "stop_metric",
            "Judged by",
            choices=(("accuracy", "Accuracy"), ("balanced_accuracy", "Balanced accuracy")),
        ),
        Setting(
            "keep",
            "The model is that of",
            "The held-out photos decide which epoch is best, so its figures are too good.",
            choices=(("last", "the last epoch"), ("best", "the best epoch")),
        ),
    ),
    "Rare labels and smoothing": (
        Setting("balance", "Balance", "0: labels count as often as they occur; 1: all count the same."),
        Setting(
            "weighted_loss",
            "Weigh rare labels",
            "0: the loss counts all photos alike; 1: all labels alike.",
            FINETUNE,
        ),
        Setting(
            "balanced_sampling",
            "Draw rare labels",
            "0: an epoch has every photo once; 1: it has all labels equally often.",
            FINETUNE,
        ),
        Setting("label_smoothing", "Label smoothing"),
        Setting(
            "negatives",
            "Weight of photos out of scope",
            "Those in folders _other: 1 counts each like any other photo, 0 not at all.",
        ),
        Setting("mixup", "Mixing pairs of photos", "Strength; 0: none."),
    ),
    "Network and photos": (
        Setting(
            "network",
            "Network",
            "One of these, or any name that timm knows.",
            FINETUNE,
            proposals=tuple(NETWORKS),
        ),
        Setting(
            "weights",
            "Initial weights",
            "imagenet, none, or the path of a file on the server.",
            FINETUNE,
            proposals=("imagenet", "none"),
        ),
        Setting("image_size", "Photo size", "Pixels per side.", FINETUNE),
        Setting("num_workers", "Processes that read photos", "0: the trainer reads them itself.", FINETUNE),
    ),
    "Distortion": (
        Setting(
            "augment",
            "Strength k for training",
            "k as in the thesis, for example 0.5; 0: no distortion.",
            FINETUNE,
        ),
        Setting("tta", "Copies at test time", "Their probabilities are averaged; 0: none.", FINETUNE),
        Setting("tta_strength", "Strength k of those copies", "", FINETUNE),
    ),
    "Pace": (
        Setting(
            "precision",
            "Numbers in a step",
            "Where GPU or processor have bf16, ResNets take half the time. Weights and tests are fp32.",
            FINETUNE,
            choices=(
                ("auto", "bf16 where it pays, else fp32"),
                ("fp32", "fp32"),
                ("bf16", "bf16"),
                ("fp16", "fp16, on a GPU only"),
            ),
        ),
        Setting("channels_last", "Colours of a pixel side by side", "Faster for most networks.", FINETUNE),
        Setting(
            "first_size",
            "Photo size in the first epoch",
            "Photos grow, and have their full size in the last third of the epochs; 0: in all.",
            FINETUNE,
        ),
        Setting(
            "unfreeze",
            "Unfreeze every",
            "Epochs until one more of the network's four parts learns, after the head; 0: all learn at once.",
            FINETUNE,
        ),
        Setting(
            "layer_decay",
            "Rate of an earlier part",
            "As a share of the rate of the part behind it; 1: all parts learn at the same rate.",
            FINETUNE,
        ),
        Setting("clip_norm", "Longest gradient", "Longer ones are shortened; 0: any length.", FINETUNE),
        Setting("accumulate", "Batches in a step", "Their gradients are added up.", FINETUNE),
        Setting(
            "ema",
            "Running average of weights",
            "What it keeps at each step, such as 0.99. It is tested and becomes the model; 0: none.",
            FINETUNE,
        ),
        Setting(
            "photo_cache",
            "Photos decoded once",
            "Megabytes on the worker's disk for their pixels while the run lasts; 0: none.",
            FINETUNE,
        ),
    ),
    "Several processes": (
        Setting(
            "processes",
            "Processes",
            "They divide each batch among them. On a machine with GPUs each has one.",
            FINETUNE,
        ),
        Setting(
            "sync_batchnorm",
            "Norms see the whole batch",
            "Otherwise those of each process see its own share only, which is faster.",
            FINETUNE,
        ),
        Setting("nodes", "Machines", "1 here; several are for trainings started in a terminal.", FINETUNE),
    ),
    "Frozen backbone": (
        Setting(
            "backbone",
            "Backbone",
            "One, or several joined by +.",
            FROZEN,
            proposals=(*BACKBONES, "efficientnet_lite0+efficientnet_lite2"),
        ),
        Setting("views", "A training photo is used whole, and also", "", FROZEN),
        Setting("hidden", "Hidden units", "Between features and labels; 0: none.", FROZEN),
        Setting("dropout", "Dropout", "", FROZEN),
        Setting("scene_loss", "Weight of scene classes", "0: hashtags only.", FROZEN),
    ),
    "The thesis's new schemes": (
        Setting(
            "level_loss",
            "Weight of SUN's levels",
            "Indoor or outdoor, group and scene class are predicted together; 0: they are not.",
        ),
        Setting(
            "unlabelled",
            "Photos without labels",
            "photo-set 3, campaign 2, or a folder on the server: its photos get pseudo-labels. Empty: none.",
        ),
        Setting(
            "pseudo_confidence",
            "Confidence of a pseudo-label",
            "Photos with at least this one are learned from in a second training; 0: none are.",
        ),
        Setting(
            "mask_loss",
            "Weight of object masks",
            "Pulls the attention to objects that LabelMe's files beside the photos outline; 0: none.",
            FINETUNE,
        ),
        Setting(
            "segmenter_after",
            "A segmenter stands in after",
            "Epochs, for photos without masks; 0: never.",
            FINETUNE,
        ),
    ),
}
SETTINGS = {setting.name: setting for group in GROUPS.values() for setting in group}
VIEW_WORDS = {"flip": "mirrored", "small": "smaller", "zoom": "nearer"}


class SettingsForm(forms.Form):
    """The settings that fit the kind of `source`, the recipe that fills the form.

    What a person changes is applied to `base`. Both are the same recipe, unless the person chose another
    preset in a browser without scripts after the form was shown.
    """

    def __init__(
        self, source: Recipe, base: Recipe | None = None, data: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(data, prefix="s", initial=source.as_dict(), use_required_attribute=False)
        self.source, self.base = source, base or source
        self.recipe = self.base
        for setting in SETTINGS.values():
            if source.kind in setting.kinds:
                self.fields[setting.name] = _field(setting, getattr(source, setting.name))

    def groups(self) -> Iterator[tuple[str, list[tuple[Setting, forms.BoundField]]]]:
        """(title, its settings with their controls), without the groups of the other kind."""
        for title, group in GROUPS.items():
            rows = [(setting, self[setting.name]) for setting in group if setting.name in self.fields]
            if rows:
                yield title, rows

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if "views" in data:
            data["views"] = ("whole", *data["views"])
        changes = {name: data[name] for name in data if data[name] != getattr(self.source, name)}
        while True:
            try:
                self.recipe = Recipe.from_dict(self.base.as_dict() | changes)
            except RecipeError as error:
                words = error.message.removeprefix(f"{error.field}: ")
                self.add_error(error.field if error.field in self.fields else None, words)
                if changes.pop(error.field, None) is None:
                    break  # two settings do not go together
                continue
            break
        if self.recipe.nodes > 1 and not self.errors:
            self.add_error("nodes", ONE_MACHINE)
        if self.recipe.unlabelled and not self.errors:
            try:
                unlabelled.check(self.recipe.unlabelled)
            except unlabelled.NoPhotos as error:
                self.add_error("unlabelled", str(error))
        return data


def _field(setting: Setting, value: Any) -> forms.Field:
    # Text boxes even for numbers: a number box discards what is not a number instead of showing it.
    attrs = {"data-filled": str(value), "autocomplete": "off"}  # an attribute that is True has no value
    if setting.name == "views":
        return forms.MultipleChoiceField(
            label=setting.label,
            choices=[(view, VIEW_WORDS[view]) for view in VIEWS if view != "whole"],
            required=False,
            widget=forms.CheckboxSelectMultiple,
        )
    if setting.choices:
        return forms.ChoiceField(
            label=setting.label, choices=setting.choices, widget=forms.Select(attrs=attrs)
        )
    # The setting's own type, not the value's: a preset may well say 1 where 0.5 is allowed.
    default = getattr(Recipe, setting.name)
    if isinstance(default, bool):
        return forms.TypedChoiceField(
            label=setting.label,
            choices=[("True", "yes"), ("False", "no")],
            coerce=lambda text: text == "True",
            widget=forms.Select(attrs=attrs),
        )
    if isinstance(default, int):
        number = forms.TextInput(attrs=attrs | {"inputmode": "numeric"})
        return forms.IntegerField(label=setting.label, widget=number)
    if isinstance(default, float):
        number = forms.TextInput(attrs=attrs | {"inputmode": "decimal"})
        return forms.FloatField(label=setting.label, widget=number)
    if setting.proposals:
        attrs["list"] = f"some-{setting.name}"
    text = forms.TextInput(attrs=attrs)
    return forms.CharField(label=setting.label, max_length=500, required=bool(default), widget=text)


def differences(recipe: Mapping[str, Any], other: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows {name, label, here, there} of the settings that differ, in the form's order.

    Settings that one of the recipes lacks, as an older run's may, are left out.
    """
    rows = []
    for name in ("kind", *SETTINGS):
        if name in recipe and name in other and recipe[name] != other[name]:
            label = SETTINGS[name].label if name in SETTINGS else "Kind"
            rows.append({"name": name, "label": label, "here": recipe[name], "there": other[name]})
    return rows
