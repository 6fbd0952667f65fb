"""Features of a run's photos, computed in shards before its trainer starts: the longest part of a frozen run.

The trainer reads them from the cache. What is not there, such as photos that changed since they were
registered, it computes itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from django.conf import settings

from formats.classes import label_in
from formats.storage import StorageFailure, for_own_files, require_content
from formats.texts import Text
from jobs.crew import NotNeeded, threads, work_off
from jobs.lease import JobError, Lease
from jobs.models import Job
from jobs.processes import Event, StandingProgram
from jobs.shards import Part, ShardLease, plan
from trainer import features as shared_features
from trainer.engine.backbones import BACKBONES
from trainer.engine.errors import EngineError, WeightsError
from trainer.engine.photos.manifest import Photo, Split
from trainer.engine.photos.partitions import split_for
from trainer.engine.recipe import Recipe
from trainer.models import TrainingRun
from trainer.programs import engine_command


def compute(lease: Lease, run: TrainingRun) -> None:
    """Compute in shards what the cache lacks, if that is more than one shard. Raises what work_off raises."""
    unfinished = lease.job.shards.unfinished()
    if not unfinished.exists():
        parts = _parts(run)
        if len(parts) > 1:
            plan(lease, parts)
    if lease.job.shards.exists():
        with for_own_files():
            _mark(lease.job).parent.mkdir(parents=True, exist_ok=True)
            _forget_marks()
            _mark(lease.job).touch()
        try:
            work_off(lease, total=0, message=Text("Computing features"))
        finally:  # also when this worker stops: the next holder may be another machine
            with suppress(StorageFailure):
                shared_features.store("+".join(Recipe.from_dict(run.recipe).backbones))
        _mark(lease.job).unlink(missing_ok=True)  # not after an error: another holder may need it


def _mark(job: Job) -> Path:
    """A file beside the cache. A machine that does not see it has another cache, and cannot help."""
    return Path(settings.FEATURE_CACHE_DIR) / f"{job.pk}.shared"


def _forget_marks() -> None:
    """Delete those whose holder died, and whose job ended on another machine."""
    live = set(map(str, Job.objects.filter(state__in=Job.LIVE).values_list("pk", flat=True)))
    for mark in Path(settings.FEATURE_CACHE_DIR).glob("*.shared"):
        if mark.stem not in live:
            mark.unlink(missing_ok=True)


def _parts(run: TrainingRun) -> list[Part]:
    from trainer.engine.networks.features import (  # ONNX Runtime: only in workers
        cached_hashes,
        folder_of,
    )

    recipe = Recipe.from_dict(run.recipe)
    split = _split(run, recipe)
    cache = Path(settings.FEATURE_CACHE_DIR)
    parts = []
    for name in recipe.backbones:
        if name not in BACKBONES:
            return []
        for view in dict.fromkeys((*recipe.views, "whole")):
            photos = [
                *(split.train if view in recipe.views else ()),
                *(split.test if view == "whole" else ()),
            ]
            cached = cached_hashes(folder_of(cache, BACKBONES[name], view))
            missing = [int(photo.photo_id) for photo in photos if photo.sha256 not in cached]
            for at in range(0, len(missing), settings.SHARD_PHOTOS):
                some = missing[at : at + settings.SHARD_PHOTOS]
                label = Text(
                    "%(network)s, %(view)s, photos %(first)s to %(last)s",
                    network=name,
                    view=view,
                    first=at + 1,
                    last=at + len(some),
                )
                parts.append(Part(label, len(some), {"backbone": name, "view": view, "photos": some}))
    return parts


def _split(run: TrainingRun, recipe: Recipe) -> Split:
    """The split that the trainer will make. An official one is not made here: then all photos are needed
    whole, and the trainer computes other views.
    """
    labels = dict(run.release.labels.values_list("scene_key", "label"))
    columns = ("pk", "path", "sha256", "scene_class__key", "label_folder")
    photos = [
        Photo(str(pk), path, label, key or folder, sha256)
        for pk, path, sha256, key, folder in run.photo_set.photos.order_by("pk").values_list(*columns)
        if (label := label_in(labels, key, folder))
    ]
    if recipe.split.startswith("sun-"):
        return Split((), tuple(photos))
    try:
        return split_for(photos, recipe, None)
    except EngineError:  # the trainer will say so
        return Split((), ())


@contextmanager
def computing(job: Job) -> Iterator[Callable[[ShardLease], None]]:
    """The function that computes the features of a shard, by an engine that stays for the next one."""
    run = TrainingRun.objects.select_related("photo_set").get(job=job)
    if not _mark(job).exists():
        raise NotNeeded
    root = run.photo_set.folder
    require_content(root)
    for name in Recipe.from_dict(run.recipe).backbones:
        try:
            BACKBONES[name].weights()
        except WeightsError as error:
            raise JobError(error.message, error.hint) from error
    arguments = ("features", "--cache", settings.FEATURE_CACHE_DIR, "--threads", threads())
    engine = StandingProgram(engine_command(*arguments))

    def compute_shard(lease: ShardLease) -> None:
        def on_event(event: Event) -> None:
            if event.get("event") == "progress" and event.get("phase") == "features":
                lease.beat(event.get("done"))

        engine.ask(lease, _request(run, root, lease.payload), on_event)

    try:
        yield compute_shard
    finally:
        engine.close()


def _request(run: TrainingRun, root: Path, payload: dict[str, Any]) -> dict[str, Any]:
    rows = run.photo_set.photos.filter(pk__in=payload["photos"]).order_by("pk").values_list("path", "sha256")
    photos: Sequence[list[str]] = [[str(root / path), sha256] for path, sha256 in rows]
    return {"backbone": payload["backbone"], "view": payload["view"], "photos": photos}
