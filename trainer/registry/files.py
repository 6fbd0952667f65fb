"""The files of models. With a bucket, a machine has copies of those that it was asked for.

A copy is fetched once, compared with its hashes before it is used, and fetched anew if it is damaged. While
it is whole the bucket is not asked. All copies together have MODELS_CACHE_BYTES: those used longest ago are
removed first, and those in use, or of the active model, never. The copy of a deleted model is removed when
the machine is next asked for any.
"""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings

from trainer.engine.manifests import joint_sha256
from trainer.models import Promotion, TrainedModel
from trainer.shared import MARK, Index, Tree, is_shared, is_whole, mark, marked

KIND = "models"
log = logging.getLogger(__name__)


def publish(model: TrainedModel) -> None:
    """Store the model's folder for all machines. Call it before the model counts as ready. Raises
    StorageFailure.
    """
    if not is_shared():
        return
    names = [file.name for file in model.folder.iterdir() if file.is_file() and file.name != MARK]
    mark(model.folder, Tree(KIND, model.pk).store(model.folder, names))


@contextmanager
def at_hand(model: TrainedModel) -> Iterator[Path]:
    """The model's folder on this machine. With a bucket it is whole, and nobody removes it meanwhile.

    Raises FileNotFoundError if the model is deleted or has no files, and StorageFailure.
    """
    if not is_shared():
        yield model.folder
        return
    tidy(wanted=model.pk)
    if not TrainedModel.objects.filter(pk=model.pk).exists():
        raise FileNotFoundError(f"The model {model.pk} is deleted.")
    while True:
        with _locked(model.folder, fcntl.LOCK_SH):
            if _is_whole(model):
                os.utime(model.folder / MARK)
                yield model.folder
                return
        with _locked(model.folder, fcntl.LOCK_EX):
            if not _is_whole(model):  # another process may have fetched it
                _fetch(model)


def _fetch(model: TrainedModel) -> None:
    tree = Tree(KIND, model.pk)
    index = tree.index()
    if index is None:
        raise FileNotFoundError(f"The bucket has no files of model {model.pk}.")
    if not _is_of(model, index):
        raise FileNotFoundError(f"The bucket has another network as model {model.pk}.")
    log.info("Fetching model %s, %.1f MB", model.pk, sum(one.size for one in index.files.values()) / 1e6)
    for name, content in index.files.items():
        if not is_whole(model.folder / name, content):
            tree.fetch(content, model.folder / name)
    mark(model.folder, index)


def _is_whole(model: TrainedModel) -> bool:
    index = marked(model.folder)
    if index is None or not _is_of(model, index):
        return False
    return all(is_whole(model.folder / name, content) for name, content in index.files.items())


def _is_of(model: TrainedModel, index: Index) -> bool:
    """Whether the index names the networks that the model's row names."""
    names = model.network_names
    if any(name not in index.files for name in names):
        return False
    digest = index.files[names[0]].sha256
    if cascade := model.manifest.get("cascade"):
        if index.files[names[1]].sha256 != cascade["sha256"]:
            return False
        digest = joint_sha256(digest, cascade["sha256"])
    return bool(digest == model.manifest["sha256"])


def tidy(*, wanted: int = 0) -> None:
    """Remove copies of deleted models, and those used longest ago until the rest fits. What is not in the
    bucket yet, such as an export that is being made, is no copy.
    """
    copies = sorted(Path(settings.MODELS_DIR).glob(f"*/{MARK}"), key=_used_at)
    rows = set(TrainedModel.objects.values_list("pk", flat=True))
    current = Promotion.objects.current()
    kept = {wanted, current.model_id if current else 0}
    sizes = {file.parent: _size(file.parent) for file in copies if file.parent.name.isdecimal()}
    excess = sum(sizes.values()) - settings.MODELS_CACHE_BYTES
    for folder, size in sizes.items():
        is_gone = int(folder.name) not in rows
        if is_gone or (excess > 0 and int(folder.name) not in kept):
            excess -= size if _remove(folder) else 0


def _used_at(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except FileNotFoundError:  # removed meanwhile
        return 0.0


def _size(folder: Path) -> int:
    try:
        return sum(file.stat().st_size for file in folder.iterdir())
    except FileNotFoundError:
        return 0


def _remove(folder: Path) -> bool:
    """False if it is in use."""
    try:
        with _locked(folder, fcntl.LOCK_EX | fcntl.LOCK_NB):
            (folder / MARK).unlink(missing_ok=True)  # first: what is left of it is not taken for whole
            shutil.rmtree(folder, ignore_errors=True)
    except BlockingIOError:
        return False
    log.info("Removed the copy %s", folder)
    return True


@contextmanager
def _locked(folder: Path, how: int) -> Iterator[None]:
    """Between processes and threads; the kernel frees it if one dies."""
    lock = folder.with_name(f"{folder.name}.lock")
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        fcntl.flock(file, how)
        yield
