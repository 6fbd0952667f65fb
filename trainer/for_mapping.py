"""Tells the mapping's pages about photos, runs and models: answers the questions of mapping.downstream."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from django.db.models import Count, F, Prefetch, QuerySet, Window
from django.db.models.functions import RowNumber
from django.urls import reverse
from django.utils.translation import gettext as _

from jobs.models import Job
from mapping.downstream import Example, Look, StaleRun
from mapping.models import Release
from trainer import looks
from trainer.models import Promotion, ScenePhoto, TrainedModel, TrainingRun
from trainer.stale import labels_by_release, photos_by_class

if TYPE_CHECKING:
    from mapping.downstream import User

Labels = Mapping[str, str | None]


class PhotosAndRuns:
    """The photos of all photo sets, and the runs trained on them."""

    def photo_counts(self) -> dict[str, int]:
        sets = list(ScenePhoto.objects.order_by().values_list("photo_set", flat=True).distinct()[:2])
        # A photo is in a set only once, so the photos of a single set are counted from its index alone.
        count = Count("sha256", distinct=True) if len(sets) > 1 else Count("*")
        photos = ScenePhoto.objects.exclude(scene_class=None).order_by()
        rows = photos.values_list("scene_class__key").annotate(photos=count)
        return dict(rows)

    def example_photos(
        self, scene_keys: Collection[str], *, user: User, per_class: int = 4
    ) -> dict[str, list[Example]]:
        if not scene_keys or not user.has_perm("trainer.view_photoset"):  # type: ignore[union-attr]
            return {}
        newest = Window(RowNumber(), partition_by="scene_class", order_by=[F("photo_set").desc(), F("pk")])
        photos = (
            ScenePhoto.objects.filter(scene_class__key__in=scene_keys)
            .annotate(nth=newest)
            .filter(nth__lte=2 * per_class)  # some may be in several sets
            .order_by("nth")
            .values_list("pk", "scene_class__key", "scene_class__name", "sha256")
        )
        examples: dict[str, list[Example]] = defaultdict(list)
        shown: set[tuple[str, str]] = set()
        for pk, key, name, sha256 in photos:
            if len(examples[key]) == per_class or (key, sha256) in shown:
                continue
            shown.add((key, sha256))
            url = reverse("trainer:small_photo", args=[pk])
            examples[key].append(Example(url, _("A photo of the class %(name)s") % {"name": name}))
        return dict(examples)

    def looks(self) -> dict[str, Look]:
        return looks.class_looks()

    def looks_version(self) -> str:
        return looks.version()

    def stale_runs(self, before: Release, after: Labels) -> list[StaleRun]:
        if not after:
            return []
        runs = list(_usable_runs(before))
        labels_of = labels_by_release({run.release_id for run in runs}, after)
        counts_of = photos_by_class({run.photo_set_id for run in runs}, after)
        promotion = Promotion.objects.first()
        active = promotion.model_id if promotion else None
        lines = []
        for run in runs:
            labels = labels_of[run.release_id]
            counts = counts_of[run.photo_set_id].items()
            if photos := sum(n for key, n in counts if labels.get(key) != after[key]):
                lines.append(_stale_run(run, photos, active))
        return lines


def _usable_runs(before: Release) -> QuerySet[TrainingRun]:
    return (
        TrainingRun.objects.filter(release__number__lte=before.number)
        .exclude(job__state__in=(Job.State.FAILED, Job.State.CANCELLED))
        .select_related("release")
        .defer("report", "recipe", "live", "right")
        .prefetch_related(Prefetch("models", TrainedModel.objects.defer("manifest", "card")))
    )


def _stale_run(run: TrainingRun, photos: int, active: int | None) -> StaleRun:
    exports = list(run.models.all())
    model = next((m for m in exports if m.pk == active), exports[0] if exports else None)
    return StaleRun(
        name=run.name,
        url=run.get_absolute_url(),
        release=run.release.number,
        photos=photos,
        model=model.name if model else "",
        model_url=model.get_absolute_url() if model else "",
        active=model is not None and model.pk == active,
    )
