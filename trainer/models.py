"""Photo sets, training runs, models, and which model is active."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import models
from django.urls import reverse

from formats.texts import with_words
from jobs.models import Job
from mapping.models import Release, SceneClass
from notices.words import shown
from trainer.shared import Tree, is_shared


class PhotoSetQuerySet(models.QuerySet["PhotoSet"]):
    def with_photos(self) -> PhotoSetQuerySet:
        """The sets that a run can use: fully registered and not empty."""
        photos = ScenePhoto.objects.filter(photo_set=models.OuterRef("pk"))
        return self.filter(models.Exists(photos)).exclude(job__state__in=Job.LIVE)


class PhotoSet(models.Model):
    """Photos sorted by scene class, for training. A folder stays where it is; a tar is unpacked."""

    name = models.CharField(max_length=100, unique=True)
    source = models.CharField(max_length=500)  # the folder or the tar it came from
    root = models.CharField(max_length=500, blank=True)  # the folder that its photos' paths start from
    report = models.JSONField(
        default=dict, blank=True
    )  # registered photos, and what was skipped and why: trainer.photosets.registration
    job = models.OneToOneField(Job, models.PROTECT, null=True, blank=True, related_name="photo_set")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = PhotoSetQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("trainer:photo_set", args=[self.pk])

    @property
    def folder(self) -> Path:
        """On this machine. `root` is relative if machines share the set: trainer.set_files."""
        return Path(settings.PHOTO_SETS_DIR) / self.root

    @property
    def shown_warning(self) -> str:
        """Why its tar was not read to the end, in the reader's language."""
        return shown(with_words(self.report.get("warning", ""), self.report.get("warning_words", {})))

    @property
    def archive(self) -> Path:
        """The tar that it came from, if it came from one."""
        return Path(settings.PHOTO_SETS_DIR) / self.source


class ScenePhoto(models.Model):
    photo_set = models.ForeignKey(PhotoSet, models.CASCADE, related_name="photos")
    scene_class = models.ForeignKey(SceneClass, models.PROTECT, null=True, blank=True, related_name="photos")
    # Instead of a class: the folder that gives the photo its label, `_other/pets` or `_hashtag/cars`
    label_folder = models.CharField(max_length=200, blank=True)
    path = models.CharField(max_length=500)  # relative to the set's root
    sha256 = models.CharField(max_length=64)
    width = models.PositiveIntegerField()
    height = models.PositiveIntegerField()

    class Meta:
        ordering = ["path"]
        constraints = [
            models.UniqueConstraint(fields=["photo_set", "sha256"], name="photo_once_in_a_set"),
            models.UniqueConstraint(fields=["photo_set", "path"], name="path_once_in_a_set"),
            models.CheckConstraint(
                condition=models.Q(scene_class=None) ^ models.Q(label_folder=""), name="class_or_label_folder"
            ),
        ]
        indexes = [models.Index(fields=["photo_set", "scene_class"])]  # counts without reading rows

    def __str__(self) -> str:
        return self.path

    @property
    def file(self) -> Path:
        return self.photo_set.folder / self.path

    @property
    def subject(self) -> str:
        """What it shows, for people: its class, or its folder."""
        return self.scene_class.title if self.scene_class else self.label_folder


class ClassLooks(models.Model):
    """What each class of a photo set looks like to a backbone: trainer.looks."""

    photo_set = models.ForeignKey(PhotoSet, models.CASCADE, related_name="looks")
    backbone = models.CharField(max_length=50)
    job = models.OneToOneField(Job, models.PROTECT, related_name="looks")
    classes = models.PositiveIntegerField(default=0)
    photos = models.PositiveIntegerField(default=0)  # how many were looked at
    content = models.BinaryField(default=bytes)  # Looks.to_bytes(); empty until the job has ended
    looked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["photo_set", "backbone"], name="looked_at_once_by_a_backbone")
        ]

    def __str__(self) -> str:
        return f"{self.photo_set_id} by {self.backbone}"


class Sweep(models.Model):
    """Runs launched together, to be read as one table: the thesis's, or one recipe over several splits."""

    name = models.CharField(max_length=100)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("trainer:sweep", args=[self.pk])


class TestSet(models.Model):
    """The held-out photos that runs were measured on, stored once for all runs that share them."""

    __test__ = False  # not one of pytest's

    digest = models.CharField(max_length=64, unique=True)  # SHA-256 of keys
    photos = models.PositiveIntegerField()
    keys = models.BinaryField()  # the first 8 bytes of each photo's SHA-256, as sorted uint64

    def __str__(self) -> str:
        return f"{self.photos} photos {self.digest[:8]}"


class TrainingRun(models.Model):
    """One training: photos × frozen labels × recipe. Its results are in its folder and its report."""

    name = models.CharField(max_length=100)
    notes = models.TextField(blank=True, max_length=5000)  # what people write about it: trainer.runs.notes
    sweep = models.ForeignKey(Sweep, models.SET_NULL, null=True, blank=True, related_name="runs")
    based_on = models.ForeignKey("self", models.SET_NULL, null=True, blank=True, related_name="variants")
    photo_set = models.ForeignKey(PhotoSet, models.PROTECT, related_name="runs")
    release = models.ForeignKey(Release, models.PROTECT, related_name="runs")
    preset = models.CharField(max_length=50)
    recipe = models.JSONField()
    job = models.OneToOneField(Job, models.PROTECT, related_name="run")
    report = models.JSONField(default=dict, blank=True)  # the engine's report.json
    accuracy = models.FloatField(null=True, blank=True)
    balanced_accuracy = models.FloatField(null=True, blank=True)
    live = models.JSONField(
        default=dict, blank=True
    )  # the running epoch, thinned by trainer.runs.supervision
    code_version = models.CharField(max_length=50, blank=True)
    test_set = models.ForeignKey(TestSet, models.SET_NULL, null=True, blank=True, related_name="runs")
    right = models.BinaryField(null=True, blank=True)  # a bit per photo of the test set: predicted right?
    weights_removed_at = models.DateTimeField(null=True, blank=True)  # to limit disk use: trainer.runs.disk
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("trainer:run", args=[self.pk])

    @property
    def folder(self) -> Path:
        return Path(settings.RUNS_DIR) / str(self.pk)

    @property
    def shown_stop(self) -> str:
        """Why it ended before its last epoch, in the reader's language."""
        kept = self.report.get("stopped_early_words", {})
        return shown(with_words(self.report.get("stopped_early") or "", kept))

    @property
    def has_weights(self) -> bool:
        """Whether the weights to export are still there: trainer.runs.disk may have removed them."""
        if (self.folder / "best.pt").exists():
            return True
        index = Tree("runs", self.pk).index() if is_shared() else None
        return index is not None and "best.pt" in index.files

    @property
    def model(self) -> TrainedModel | None:
        """The run's newest export. Lists of runs prefetch `models`."""
        return next((model for model in self.models.all() if not model.is_derived), None)


class RunTag(models.Model):
    """A short word that people gave to a run, to find it again."""

    run = models.ForeignKey(TrainingRun, models.CASCADE, related_name="tags")
    name = models.CharField(max_length=30, db_index=True)  # in lower case, without spaces

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["run", "name"], name="tag_once_on_a_run")]

    def __str__(self) -> str:
        return self.name


class Epoch(models.Model):
    run = models.ForeignKey(TrainingRun, models.CASCADE, related_name="epochs")
    number = models.PositiveIntegerField()
    loss = models.FloatField()
    # The figures on the held-out photos are None if the recipe has not tested this epoch.
    test_loss = models.FloatField(null=True, blank=True)
    accuracy = models.FloatField(null=True, blank=True)
    balanced_accuracy = models.FloatField(null=True, blank=True)
    lr = models.FloatField(null=True, blank=True)
    photos_per_second = models.FloatField(null=True, blank=True)
    train_accuracy = models.FloatField(null=True, blank=True)  # on the distorted photos it learned from
    seconds = models.FloatField(null=True, blank=True)
    memory_mb = models.FloatField(null=True, blank=True)  # the trainer's peak so far
    gpu_memory_mb = models.FloatField(null=True, blank=True)

    class Meta:
        ordering = ["number"]
        constraints = [models.UniqueConstraint(fields=["run", "number"], name="epoch_once_in_a_run")]

    def __str__(self) -> str:
        return f"{self.run_id} epoch {self.number}"


class HeldOutPrediction(models.Model):
    """What a finished run says about one of its test photos."""

    run = models.ForeignKey(TrainingRun, models.CASCADE, related_name="held_out")
    photo = models.ForeignKey(ScenePhoto, models.CASCADE, related_name="+")
    true = models.CharField(max_length=50)
    predicted = models.CharField(max_length=50)
    confidence = models.FloatField()

    class Meta:
        ordering = ["-confidence"]
        constraints = [models.UniqueConstraint(fields=["run", "photo"], name="photo_once_held_out")]
        indexes = [models.Index(fields=["run", "true", "predicted"])]

    def __str__(self) -> str:
        return f"{self.true} → {self.predicted}"


class TrainedModel(models.Model):
    """An exported network with its thresholds: what serving and campaigns predict with."""

    name = models.CharField(max_length=100)
    run = models.ForeignKey(TrainingRun, models.PROTECT, null=True, blank=True, related_name="models")
    # The model whose network it has, with other thresholds or labels: trainer.registry.derive
    derived_from = models.ForeignKey("self", models.SET_NULL, null=True, blank=True, related_name="derived")
    is_derived = models.BooleanField(default=False)  # stays when the other model is deleted
    imported_from = models.CharField(max_length=200, blank=True)  # the file's name, if it was imported
    target_precision = models.FloatField(default=0.9)  # of its suggestions; it determines the thresholds
    promise = models.CharField(max_length=10, default="none")  # a kind of trainer.engine.evaluation.promise
    job = models.OneToOneField(Job, models.PROTECT, null=True, blank=True, related_name="model")
    manifest = models.JSONField(default=dict, blank=True)  # empty until the export has ended
    card = models.TextField(blank=True)  # Markdown
    # Of a relabelled model: the release of its labels
    release = models.ForeignKey(Release, models.PROTECT, null=True, blank=True, related_name="+")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-created_at"]
        permissions = [("suggest", "Can ask for hashtag suggestions")]
        constraints = [
            models.UniqueConstraint(
                fields=["run", "target_precision", "promise"],
                condition=models.Q(is_derived=False),
                name="one_export_per_target_and_promise",
            ),
            models.UniqueConstraint(
                fields=["derived_from", "release"],
                condition=models.Q(job__isnull=False),  # which the job of relabelling has made
                name="relabelled_once_with_a_release",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("trainer:model", args=[self.pk])

    @property
    def folder(self) -> Path:
        return Path(settings.MODELS_DIR) / str(self.pk)

    @property
    def is_ready(self) -> bool:
        return bool(self.manifest)

    @property
    def network_names(self) -> list[str]:
        """The files of its networks: a cascade has two."""
        return ["model.onnx", *["first.onnx"] * ("cascade" in self.manifest)]

    @property
    def file_names(self) -> list[str]:
        """The files of its networks, and what it says of scene classes if it can be relabelled."""
        return [*self.network_names, *["scenes.npz"] * ("scenes_sha256" in self.manifest)]

    @property
    def labels_release(self) -> Release | None:
        """The release of its labels; None if they came with it from elsewhere."""
        return self.release or (self.run.release if self.run else None)

    @property
    def has_files(self) -> bool:
        """On this machine, or in the bucket that machines share."""
        if is_shared() and Tree("models", self.pk).index():
            return True
        return all((self.folder / name).exists() for name in ("manifest.json", *self.network_names))


class PromotionQuerySet(models.QuerySet["Promotion"]):
    def current(self) -> Promotion | None:
        return self.select_related("model", "promoted_by").first()


class Promotion(models.Model):
    """The newest row names the active model; the older rows are the history for rolling back."""

    model = models.ForeignKey(TrainedModel, models.PROTECT, related_name="promotions")
    promoted_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True)
    promoted_at = models.DateTimeField(auto_now_add=True)

    objects = PromotionQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]

    def __str__(self) -> str:
        return f"{self.model_id} promoted"

    def as_dict(self) -> dict[str, Any]:
        return {"model": self.model_id, "name": self.model.name, "promoted_at": self.promoted_at.isoformat()}
