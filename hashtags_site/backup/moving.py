"""Copies the files of this machine's folders into the bucket of STORAGE_URL.

What is there already is not copied again, so a move that was cut off can be repeated. The folders stay.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from django.conf import settings
from django.core.files.base import File
from django.core.files.storage import default_storage

from formats.files import is_inside
from hashtags_site.backup.files import walk
from trainer import features, set_files
from trainer.engine.backbones import BACKBONES
from trainer.models import PhotoSet, TrainedModel, TrainingRun
from trainer.registry import files as model_files
from trainer.runs import files as run_files
from trainer.shared import Tree, reaching

Tell = Callable[[str], object]


def move_files(*, tell: Tell = lambda line: None) -> None:
    """Raises StorageFailure; then everything that was copied stays, and the rest is still in the folders."""
    tell(f"Photos of campaigns: {_move_media():,}")
    tell(f"Photo sets: {_move_sets():,}")
    models = [model for model in TrainedModel.objects.exclude(manifest={}) if _lacks_tree("models", model)]
    models = [model for model in models if model.has_files]
    for model in models:
        model_files.publish(model)
    tell(f"Models: {len(models):,}")
    runs = [run for run in TrainingRun.objects.select_related("job") if _lacks_tree("runs", run)]
    runs = [run for run in runs if run.folder.is_dir()]
    for run in runs:
        run_files.store(run, token=run.job.token)
    tell(f"Runs: {len(runs):,}")
    cache = Path(settings.FEATURE_CACHE_DIR)
    names = {folder.name.split("-")[0] for folder in cache.glob("*-*") if folder.is_dir()}
    for name in sorted(names & {*BACKBONES, "teacher"}):
        features.store(name)
        tell(f"Features: {name}")


def _move_media() -> int:
    root, count = Path(settings.MEDIA_ROOT), 0
    for file in walk(root):
        name = file.relative_to(root).as_posix()
        with reaching():
            if default_storage.exists(name) and default_storage.size(name) == file.stat().st_size:
                continue
            with file.open("rb") as content:
                default_storage.save(name, File(content))
        count += 1
    return count


def _move_sets() -> int:
    """The set's row names the bucket's once its photos are there."""
    own, count = Path(settings.PHOTO_SETS_DIR), 0
    for photo_set in PhotoSet.objects.exclude(root=""):
        if Path(photo_set.root).is_absolute() and is_inside(photo_set.folder, own):
            photo_set.root = set_files.root_of(photo_set.folder)
            set_files.publish(photo_set)
            photo_set.save(update_fields=["root"])
            count += 1
    return count


def _lacks_tree(kind: str, row: TrainedModel | TrainingRun) -> bool:
    return Tree(kind, row.pk).index() is None
