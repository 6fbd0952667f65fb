"""The settings of a recipe as labelled controls, which a run's form shows under "Change settings"."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django import forms
from django.utils.translation import gettext, gettext_noop
from django.utils.translation import gettext_lazy as _

from formats.texts import text_of
from notices.words import shown
from trainer.engine.backbones import BACKBONES
from trainer.engine.errors import RecipeError
from trainer.engine.recipe import RULES, TORCHVISION, VIEWS, Recipe
from trainer.runs import teachers, unlabelled

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

ONE_MACHINE = "must be 1 here: a training on several machines is started in a terminal (docs/engine.md)"
BOTH, FROZEN, FINETUNE = ("frozen", "finetune"), ("frozen",), ("finetune",)
SUN = [f"sun-{n:02d}" for n in range(1, 11)]
FOLDS = [f"fold-{n}-of-5" for n in range(1, 6)]
NETWORKS = [*TORCHVISION, *BACKBONES, "mobilenetv3_large_100", "convnext_tiny"]


@dataclass(frozen=True)
class Setting:
    """How the form shows one field of a recipe. `choices`: all values; `proposals`: some of many values."""

    name: str
    label: StrOrPromise
    help: StrOrPromise = ""
    kinds: tuple[str, ...] = BOTH
    choices: tuple[tuple[str, StrOrPromise], ...] = ()
    proposals: tuple[str, ...] = ()

    @property
    def rule(self) -> str:
        """Between which numbers the value may be; empty for what is no number."""
        is_number = type(getattr(Recipe, self.name)) in (int, float)
        return shown(RULES.get(self.name, "")) if is_number else ""


GROUPS: dict[str, tuple[Setting, ...]] = {
    gettext_noop("Data"): (
        Setting(
            "split",
            _("Split"),
            _("Which photos are held out: random, sun-01 to sun-10, or a fold like fold-2-of-5."),
            proposals=("random", *SUN, *FOLDS),
        ),
        Setting("test_share", _("Share held out"), _("In a random split.")),
        Setting("seed", _("Seed"), _("For the split, the first weights and the order of photos.")),
    ),
    gettext_noop("Learning"): (
        Setting("epochs", _("Epochs"), _("The most there will be: a run may stop earlier, see below.")),
        Setting("batch_size", _("Photos in a batch")),
        Setting(
            "optimizer",
            _("Optimizer"),
            choices=(("adamw", "AdamW"), ("adam", "Adam"), ("sgd", _("SGD with momentum"))),
        ),
        Setting(
            "loss",
            _("Loss"),
            _("What training makes small, over the labels' probabilities. Equations of the thesis."),
            choices=(
                ("cross_entropy", _("Cross-entropy (equation 6)")),
                ("absolute", _("Absolute differences (4)")),
                ("squared", _("Squared differences (5)")),
            ),
        ),
        Setting("lr", _("Learning rate"), _("The highest rate.")),
        Setting(
            "schedule",
            _("Learning rate over time"),
            _("Annealing: equation 14 of the thesis."),
            choices=(
                ("constant", _("Constant")),
                ("cosine", _("Cosine: falls by half a wave")),
                ("annealing", _("Annealing: falls and rises")),
            ),
        ),
        Setting("lr_min", _("Lowest learning rate"), _("Where cosine and annealing end.")),
        Setting("period", _("T of annealing"), _("Epochs from the highest rate to the lowest.")),
        Setting("warmup", _("Warm-up"), _("Epochs in which the rate rises from zero.")),
        Setting("momentum", _("Momentum"), _("For SGD.")),
        Setting("weight_decay", _("Weight decay")),
    ),
    gettext_noop("Tests and stopping"): (
        Setting(
            "test_every",
            _("Test every"),
            _(
                "Epochs from one test on the held-out photos to the next. "
                "The last epoch is tested in any case."
            ),
        ),
        Setting("stop_after", _("Stop after"), _("Epochs without growth; 0: the run never stops early.")),
        Setting("stop_epsilon", _("Least growth"), _("What counts as growth: 0.005 is half a per cent.")),
        Setting(
            "stop_metric",
            _("Judged by"),
            choices=(("accuracy", _("Accuracy")), ("balanced_accuracy", _("Balanced accuracy"))),
        ),
        Setting(
            "keep",
            _("The model is that of"),
            _("The held-out photos decide which epoch is best, so its figures are too good."),
            choices=(("last", _("the last epoch")), ("best", _("the best epoch"))),
        ),
    ),
    gettext_noop("Rare labels and smoothing"): (
        Setting("balance", _("Balance"), _("0: labels count as often as they occur; 1: all count the same.")),
        Setting(
            "weighted_loss",
            _("Weigh rare labels"),
            _("0: the loss counts all photos alike; 1: all labels alike."),
            FINETUNE,
        ),
        Setting(
            "balanced_sampling",
            _("Draw rare labels"),
            _("0: an epoch has every photo once; 1: it has all labels equally often."),
            FINETUNE,
        ),
        Setting("label_smoothing", _("Label smoothing")),
        Setting(
            "negatives",
            _("Weight of photos out of scope"),
            _("Those in folders _other: 1 counts each like any other photo, 0 not at all."),
        ),
        Setting("mixup", _("Mixing pairs of photos"), _("Strength; 0: none.")),
    ),
    gettext_noop("Network and photos"): (
        Setting(
            "network",
            _("Network"),
            _("One of these, or any name that timm knows."),
            FINETUNE,
            proposals=tuple(NETWORKS),
        ),
        Setting(
            "weights",
            _("Initial weights"),
            _("imagenet, none, or the path of a file on the server."),
            FINETUNE,
            proposals=("imagenet", "none"),
        ),
        Setting("image_size", _("Photo size"), _("Pixels per side."), FINETUNE),
        Setting(
            "num_workers", _("Processes that read photos"), _("0: the trainer reads them itself."), FINETUNE
        ),
    ),
    gettext_noop("Distortion"): (
        Setting(
            "augment",
            _("Strength k for training"),
            _("k as in the thesis, for example 0.5; 0: no distortion."),
            FINETUNE,
        ),
        Setting("tta", _("Copies at test time"), _("Their probabilities are averaged; 0: none."), FINETUNE),
        Setting("tta_strength", _("Strength k of those copies"), "", FINETUNE),
    ),
    gettext_noop("Pace"): (
        Setting(
            "precision",
            _("Numbers in a step"),
            _("Where GPU or processor have bf16, ResNets take half the time. Weights and tests are fp32."),
            FINETUNE,
            choices=(
                ("auto", _("bf16 where it pays, else fp32")),
                ("fp32", "fp32"),
                ("bf16", "bf16"),
                ("fp16", _("fp16, on a GPU only")),
            ),
        ),
        Setting(
            "channels_last", _("Colours of a pixel side by side"), _("Faster for most networks."), FINETUNE
        ),
        Setting(
            "first_size",
            _("Photo size in the first epoch"),
            _("Photos grow, and have their full size in the last third of the epochs; 0: in all."),
            FINETUNE,
        ),
        Setting(
            "unfreeze",
            _("Unfreeze every"),
            _(
                "Epochs until one more of the network's four parts learns, after the head; "
                "0: all learn at once."
            ),
            FINETUNE,
        ),
        Setting(
            "layer_decay",
            _("Rate of an earlier part"),
            _("As a share of the rate of the part behind it; 1: all parts learn at the same rate."),
            FINETUNE,
        ),
        Setting("clip_norm", _("Longest gradient"), _("Longer ones are shortened; 0: any length."), FINETUNE),
        Setting("accumulate", _("Batches in a step"), _("Their gradients are added up."), FINETUNE),
        Setting(
            "ema",
            _("Running average of weights"),
            _("What it keeps at each step, such as 0.99. It is tested and becomes the model; 0: none."),
            FINETUNE,
        ),
        Setting(
            "photo_cache",
            _("Photos decoded once"),
            _("Megabytes on the worker's disk for their pixels while the run lasts; 0: none."),
            FINETUNE,
        ),
    ),
    gettext_noop("Several processes"): (
        Setting(
            "processes",
            _("Processes"),
            _("They divide each batch among them. On a machine with GPUs each has one."),
            FINETUNE,
        ),
        Setting(
            "sync_batchnorm",
            _("Norms see the whole batch"),
            _("Otherwise those of each process see its own share only, which is faster."),
            FINETUNE,
        ),
        Setting(
            "nodes", _("Machines"), _("1 here; several are for trainings started in a terminal."), FINETUNE
        ),
    ),
    gettext_noop("Frozen backbone"): (
        Setting(
            "backbone",
            _("Backbone"),
            _("One, or several joined by +."),
            FROZEN,
            proposals=(*BACKBONES, "efficientnet_lite0+efficientnet_lite2"),
        ),
        Setting("views", _("A training photo is used whole, and also"), "", FROZEN),
        Setting("hidden", _("Hidden units"), _("Between features and labels; 0: none."), FROZEN),
        Setting("dropout", _("Dropout"), "", FROZEN),
        Setting("scene_loss", _("Weight of scene classes"), _("0: hashtags only."), FROZEN),
    ),
    gettext_noop("The thesis's new schemes"): (
        Setting(
            "level_loss",
            _("Weight of SUN's levels"),
            _("Indoor or outdoor, group and scene class are predicted together; 0: they are not."),
        ),
        Setting(
            "unlabelled",
            _("Photos without labels"),
            _(
                "photo-set 3, campaign 2, or a folder on the server: its photos get pseudo-labels, "
                "or the teacher is asked about them. Empty: none."
            ),
        ),
        Setting(
            "pseudo_confidence",
            _("Confidence of a pseudo-label"),
            _("Photos with at least this one are learned from in a second training; 0: none are."),
        ),
        Setting(
            "teacher",
            _("Teacher"),
            _("model 3: the run also learns what this model says of its training photos. Empty: none."),
        ),
        Setting(
            "teacher_weight",
            _("Weight of the teacher"),
            _("Its share in the loss of a photo with a label; 0: there is no teacher."),
        ),
        Setting(
            "teacher_temperature",
            _("Temperature of the teacher"),
            _("Above 1, unlikely labels count more; 1: as it says."),
        ),
        Setting(
            "mask_loss",
            _("Weight of object masks"),
            _("Pulls the attention to objects that LabelMe's files beside the photos outline; 0: none."),
            FINETUNE,
        ),
        Setting(
            "segmenter_after",
            _("A segmenter stands in after"),
            _("Epochs, for photos without masks; 0: never."),
            FINETUNE,
        ),
    ),
}
SETTINGS = {setting.name: setting for group in GROUPS.values() for setting in group}
VIEW_WORDS = {"flip": _("mirrored"), "small": _("smaller"), "zoom": _("nearer")}


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
                yield gettext(title), rows

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if "views" in data:
            data["views"] = ("whole", *data["views"])
        changes = {name: data[name] for name in data if data[name] != getattr(self.source, name)}
        while True:
            try:
                self.recipe = Recipe.from_dict(self.base.as_dict() | changes)
            except RecipeError as error:
                self.add_error(error.field if error.field in self.fields else None, shown(error.reason))
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
                self.add_error("unlabelled", shown(text_of(error)))
        if self.recipe.teacher and not self.errors:
            try:
                teachers.check(self.recipe.teacher)
            except teachers.NoTeacher as error:
                self.add_error("teacher", shown(text_of(error)))
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
            choices=[("True", _("yes")), ("False", _("no"))],
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
            label = SETTINGS[name].label if name in SETTINGS else _("Kind")
            rows.append({"name": name, "label": label, "here": recipe[name], "there": other[name]})
    return rows
