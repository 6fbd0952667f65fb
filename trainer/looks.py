"""What the classes of a photo set look like to a frozen backbone: evidence for the mapping's suggester.

A job looks at some photos of each class once the set is registered, and again with a run's backbone once the
run has computed features anyway. Pages only read the result.
"""

from __future__ import annotations

import csv
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Count, Max, QuerySet
from django.utils import timezone

from formats.storage import for_own_files
from formats.texts import Text
from jobs.lease import Lease
from jobs.models import Job
from jobs.processes import Event, run_process
from jobs.queue import enqueue
from jobs.shards import ShardLease
from mapping.downstream import Look
from trainer import feature_shards, features
from trainer.engine.backbones import BACKBONES
from trainer.engine.errors import WeightsError
from trainer.engine.looks import Looks, sample
from trainer.engine.photos.manifest import Photo
from trainer.models import ClassLooks, PhotoSet, ScenePhoto
from trainer.programs import engine_command
from trainer.set_files import bring

LISTED = ("pk", "path", "scene_class__key")  # of a photo, for the engine
# The backbones that may look at a new set, best first.
EYES = ("clip_b16", "efficientnet_lite2", "efficientnet_lite0")


def eye() -> str:
    """The best backbone whose weights are at hand, or ""."""
    for name in EYES:
        try:
            BACKBONES[name].weights()
        except WeightsError:
            continue
        return name
    return ""


def look_at(*, photo_set: PhotoSet, backbone: str) -> ClassLooks | None:
    """Start a job that looks at a set with this backbone. None if one has looked or will, if no photo of the
    set has a class, if it is no frozen backbone of the table, or if LOOK_AT_PHOTOS is off.
    """
    if not settings.LOOK_AT_PHOTOS or backbone not in BACKBONES or not _of_classes(photo_set).exists():
        return None
    try:
        with transaction.atomic():
            title = Text("Look at the classes of “%(name)s”", name=photo_set.name)
            job = enqueue(
                kind="trainer.look", title=title, by=photo_set.created_by, url=photo_set.get_absolute_url()
            )
            return ClassLooks.objects.create(photo_set=photo_set, backbone=backbone, job=job)
    except IntegrityError:
        return None


def look(lease: Lease) -> None:
    """The job "trainer.look": the features in shards, if they are many, then their means. After a kill it
    continues with the features that are cached.
    """
    row = ClassLooks.objects.select_related("photo_set").get(job=lease.job)
    lease.beat(message=Text("Looking with %(network)s", network=BACKBONES[row.backbone].title))

    with lease.long_step():
        bring(row.photo_set)
        features.bring(row.backbone)
    feature_shards.compute(
        lease, lambda: _asked(row), kept_as=row.backbone, message=Text("Looking at photos")
    )

    def on_event(event: Event) -> None:
        if event.get("event") == "progress":
            words = Text("Looking at photos")
            lease.beat(event.get("done"), event.get("total"), words, event.get("seconds_left"))

    with for_own_files():
        folder = tempfile.TemporaryDirectory(prefix="look-")
    with folder as name:
        manifest, file = Path(name, "manifest.csv"), Path(name, "looks.npz")
        _write_manifest(row.photo_set, manifest)
        arguments = (
            "look",
            manifest,
            file,
            "--backbone",
            row.backbone,
            "--cache",
            settings.FEATURE_CACHE_DIR,
        )
        run_process(lease, engine_command(*arguments), on_event)
        content = file.read_bytes()
    with lease.long_step():
        features.store(row.backbone)
    looks = Looks.from_bytes(content)
    with lease.fenced():
        row.content, row.looked_at = content, timezone.now()
        row.classes, row.photos = len(looks.classes), int(looks.photos.sum())
        row.save(update_fields=["content", "looked_at", "classes", "photos"])


def _asked(row: ClassLooks) -> Iterator[feature_shards.Asked]:
    """The photos that the engine will look at, in the order of the manifest."""
    root = row.photo_set.folder
    photos = [
        Photo(str(pk), str(root / path), "-", key, sha256)
        for pk, path, key, sha256 in _listed(row.photo_set).values_list(*LISTED, "sha256")
    ]
    yield feature_shards.of_backbone(row.backbone, feature_shards.WHOLE, sample(photos))


@contextmanager
def looking(job: Job) -> Iterator[Callable[[ShardLease], None]]:
    """The function that computes a shard of the photos that are looked at."""
    row = ClassLooks.objects.select_related("photo_set").get(job=job)
    with feature_shards.computing(job, row.photo_set, backbones=[row.backbone]) as compute_shard:
        yield compute_shard


def _of_classes(photo_set: PhotoSet) -> QuerySet[ScenePhoto]:
    """The photos that show a class: those in folders such as _other have a label only."""
    return photo_set.photos.exclude(scene_class=None)


def _listed(photo_set: PhotoSet) -> QuerySet[ScenePhoto]:
    return _of_classes(photo_set).order_by("sha256")


def _write_manifest(photo_set: PhotoSet, manifest: Path) -> None:
    root = photo_set.folder
    photos = _listed(photo_set).values_list(*LISTED)
    with manifest.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("photo_id", "path", "label", "scene_class"))
        rows.writerows((pk, root / path, "-", key) for pk, path, key in photos.iterator())


def version() -> str:
    newest = ClassLooks.objects.aggregate(at=Max("looked_at"), count=Count("looked_at"))
    return f"{newest['at']} {newest['count']}"


def class_looks() -> dict[str, Look]:
    """Scene key → its look in all sets that one backbone has looked at: the backbone that has looked at the
    most classes, of several the best.
    """
    by_backbone: dict[str, list[Looks]] = defaultdict(list)
    for backbone, content in ClassLooks.objects.exclude(looked_at=None).values_list("backbone", "content"):
        by_backbone[backbone].append(Looks.from_bytes(bytes(content)))
    if not by_backbone:
        return {}
    names = sorted(by_backbone, key=lambda name: EYES.index(name) if name in EYES else len(EYES))
    best = max(names, key=lambda name: len({key for looks in by_backbone[name] for key in looks.classes}))
    return _joined(by_backbone[best])


def _joined(sets: list[Looks]) -> dict[str, Look]:
    """Means over sets, weighted by their photos."""
    parts: dict[str, list[Look]] = defaultdict(list)
    for looks in sets:
        for at, key in enumerate(looks.classes):
            parts[key].append(Look(looks.means[at], float(looks.agreement[at]), int(looks.photos[at])))
    return {key: _mean(some) for key, some in parts.items()}


def _mean(looks: list[Look]) -> Look:
    photos = np.array([look.photos for look in looks])
    agreement = np.array([look.agreement for look in looks])
    known = ~np.isnan(agreement)
    return Look(
        np.average([look.mean for look in looks], axis=0, weights=photos).astype(np.float32),
        float(np.average(agreement[known], weights=photos[known])) if known.any() else float("nan"),
        int(photos.sum()),
    )
