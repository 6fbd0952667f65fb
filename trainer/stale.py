"""Runs and models whose labels are out of date: a newer release labels some of their classes otherwise."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from django.db.models import Count
from django.urls import reverse

from formats.classes import is_beside_classes
from mapping.models import OTHER, Release, ReleaseLabel
from trainer.models import ScenePhoto, TrainedModel, TrainingRun

Labels = Mapping[str, str]
FEW = 500  # a query names up to this many keys; with more of them, reading all rows is cheaper


@dataclass(frozen=True)
class Stale:
    """How labels differ from the newest release. `own`: the release that they are of, None if not known.

    photos: of the photo set, those of the classes that differ; None if the set is not here.
    """

    own: Release | None
    newest: Release
    classes: int
    photos: int | None

    @property
    def compare_url(self) -> str:
        """The page of the difference; of the newest release alone if `own` is not known."""
        if self.own is None:
            return self.newest.get_absolute_url()
        return f"{reverse('mapping:compare')}?before={self.own.number}&after={self.newest.number}"


def stale_runs(runs: Collection[TrainingRun]) -> dict[int, Stale]:
    """Run → how its labels differ from the newest release's, without runs that are up to date. A constant
    number of queries.
    """
    newest = Release.objects.first()
    old = [run for run in runs if newest and run.release_id != newest.pk]
    if not newest or not old:
        return {}
    labels = labels_by_release({newest.pk, *(run.release_id for run in old)})
    counts = photos_by_class({run.photo_set_id for run in old})
    found = {}
    for run in old:
        before, photos = labels[run.release_id], counts[run.photo_set_id]
        if stale := _difference(run.release, newest, before, labels[newest.pk], photos):
            found[run.pk] = stale
    return found


def stale_models(models: Iterable[TrainedModel]) -> dict[int, Stale]:
    """Model → how its labels differ from the newest release's, without models that are up to date. A constant
    number of queries, and one more for each step between a derived model and the run behind it.

    A model that tells scene classes is judged by the labels of these, one that was trained here by those of
    its photo set's classes; of others nothing is known.
    """
    newest = Release.objects.first()
    if not newest:
        return {}
    old = [
        model
        for model in models
        if model.is_ready and (model.labels_release is None or model.labels_release.pk != newest.pk)
    ]
    runs = {model.pk: run for model in old if (run := _run_of(model))}
    if not old:
        return {}
    labels = labels_by_release({newest.pk, *(run.release_id for run in runs.values())})
    counts = photos_by_class({run.photo_set_id for run in runs.values()})
    found = {}
    for model in old:
        run = runs.get(model.pk)
        photos = counts[run.photo_set_id] if run else None
        after = labels[newest.pk]
        if own := _scene_labels(model):
            # What a mapping leaves out counts for other: trainer.engine.serving.relabel.
            after = {key: after.get(key, OTHER) for key in own}
        elif model.run:
            own = labels[model.run.release_id]
        else:
            continue
        if stale := _difference(model.labels_release, newest, own, after, photos):
            found[model.pk] = stale
    return found


def _run_of(model: TrainedModel) -> TrainingRun | None:
    return model.run or (_run_of(model.derived_from) if model.derived_from else None)


def _scene_labels(model: TrainedModel) -> dict[str, str]:
    """The label of each scene class that the model tells; empty if it tells none or does not say."""
    pairs = zip(model.manifest.get("scenes", []), model.manifest.get("scene_labels", []), strict=False)
    return {scene: label for scene, label in pairs if not is_beside_classes(scene)}


def _difference(
    own: Release | None, newest: Release, before: Labels, after: Labels, counts: Mapping[str, int] | None
) -> Stale | None:
    """None if nothing differs. Classes without photos in the set do not matter to it."""
    keys = before.keys() | after.keys() if counts is None else counts.keys()
    differing = [key for key in keys if before.get(key) != after.get(key)]
    if not differing:
        return None
    photos = None if counts is None else sum(counts[key] for key in differing)
    return Stale(own, newest, len(differing), photos)


def labels_by_release(
    releases: Collection[int], keys: Collection[str] | None = None
) -> dict[int, dict[str, str]]:
    """Release → scene key → label, for the classes in `keys` or for all."""
    rows = ReleaseLabel.objects.order_by().filter(release__in=releases)
    if keys is not None and len(keys) <= FEW:
        rows = rows.filter(scene_key__in=keys)
    labels: dict[int, dict[str, str]] = {pk: {} for pk in releases}
    for release, key, label in rows.values_list("release", "scene_key", "label"):
        labels[release][key] = label
    return labels


def photos_by_class(sets: Collection[int], keys: Collection[str] | None = None) -> dict[int, dict[str, int]]:
    """Photo set → scene key → number of photos, for the classes in `keys` or for all."""
    photos = ScenePhoto.objects.order_by().filter(photo_set__in=sets).exclude(scene_class=None)
    if keys is not None and len(keys) <= FEW:
        photos = photos.filter(scene_class__key__in=keys)
    counts: dict[int, dict[str, int]] = {pk: {} for pk in sets}
    for photo_set, key, n in photos.values_list("photo_set", "scene_class__key").annotate(n=Count("*")):
        if keys is None or key in keys:
            counts[photo_set][key] = n
    return counts
