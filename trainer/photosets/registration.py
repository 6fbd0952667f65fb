"""Registers photo sets from a folder, which stays where it is, or from a tar, which is unpacked.

A report says how many photos were registered, and what was skipped and why.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Count, Q
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from formats.classes import SceneNames, label_folder, label_in
from formats.files import is_inside, walk
from formats.storage import for_own_files, raise_if_of_storage, require_content
from formats.texts import Text, as_words, joined_texts, text_of
from jobs.lease import JobError, Lease
from jobs.models import Job
from jobs.queue import enqueue
from mapping.models import SceneClass
from trainer import looks
from trainer import set_files as files
from trainer.models import PhotoSet, ScenePhoto, TrainingRun
from trainer.photosets.archive import BadArchive, unpack
from trainer.photosets.layout import (
    BadPhoto,
    Checked,
    check_photo,
    is_photo_name,
    is_storable,
)
from trainer.runs import unlabelled
from trainer.runs.boards import delete_logs, logs_of
from trainer.shared import Tree, is_shared

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser
    from django.core.files.uploadedfile import UploadedFile

EXAMPLES = 20  # names listed per reason in a report; the total counts all
BATCH = 200  # photos per transaction
UNKNOWN_CLASS = gettext_noop("unknown class folder")


class NameTaken(Exception):
    """A photo set of this name exists already."""


def register_folder(*, name: str, folder: Path, by: AbstractBaseUser | None) -> PhotoSet:
    """Register the photos of a folder, which stays where it is; a job does the work. Raises NameTaken."""
    with transaction.atomic():
        photo_set = _create(name=name, source=str(folder), by=by)
        photo_set.root = files.root_of(folder.resolve())
        files.publish(photo_set)
        return _enqueue(photo_set, by)


def register_tar(*, name: str, tar: Path, by: AbstractBaseUser | None) -> PhotoSet:
    """Register the photos of a tar on this machine, compressed or not; a job unpacks it. Raises NameTaken."""
    with transaction.atomic():
        photo_set = _create(name=name, source=str(tar.resolve()), by=by)
        photo_set.root = files.root_of(_unpacked_folder(photo_set))
        return _enqueue(photo_set, by)


def register_upload(*, name: str, upload: UploadedFile[Any], by: AbstractBaseUser | None) -> PhotoSet:
    """Register the photos of an uploaded tar, which is kept until they are unpacked.

    Raises NameTaken, and StorageFailure; then nothing of it is left.
    """
    with transaction.atomic():
        photo_set = _create(name=name, source="", by=by)
        tar = _upload_folder(photo_set) / (Path(upload.name or "").name[-100:] or "photos.tar")
        try:
            with for_own_files():
                tar.parent.mkdir(parents=True, exist_ok=True)
                if hasattr(upload, "temporary_file_path"):
                    shutil.move(upload.temporary_file_path(), tar)  # gigabytes are not copied
                else:
                    tar.write_bytes(upload.read())
            photo_set.source = files.root_of(tar)
            photo_set.root = files.root_of(_unpacked_folder(photo_set))
            files.publish_upload(photo_set)
        except BaseException:
            shutil.rmtree(tar.parent, ignore_errors=True)
            raise
        return _enqueue(photo_set, by)


def _create(*, name: str, source: str, by: AbstractBaseUser | None) -> PhotoSet:
    try:
        with transaction.atomic():
            return PhotoSet.objects.create(name=name, source=source, created_by_id=by.pk if by else None)
    except IntegrityError as error:
        raise NameTaken(_("A photo set named “%(name)s” exists already.") % {"name": name}) from error


def _enqueue(photo_set: PhotoSet, by: AbstractBaseUser | None) -> PhotoSet:
    photo_set.job = enqueue(
        kind="trainer.register",
        title=Text("Register “%(name)s”", name=photo_set.name),
        by=by,
        url=photo_set.get_absolute_url(),
    )
    photo_set.save()
    return photo_set


def _unpacked_folder(photo_set: PhotoSet) -> Path:
    return Path(settings.PHOTO_SETS_DIR) / str(photo_set.pk)


def _upload_folder(photo_set: PhotoSet) -> Path:
    return Path(settings.PHOTO_SETS_DIR) / "uploads" / str(photo_set.pk)


def forget_photo(*, folder: Path, name: str) -> None:
    """Delete the files of this name in the photo sets below `folder`, and the TensorBoard logs of ended runs
    that learned from them or, without labels, from a file of this name: logs contain small copies of photos.
    Raises OSError; a repeated call then continues.

    The photo's row stays, because results refer to it: pages say that its file is gone, and later runs
    leave it out.
    """
    copies = list(folder.rglob(name))
    for run in _runs_that_show(copies, folder, name):
        delete_logs(run)
    if is_shared():
        with transaction.atomic():  # two that take photos out of a set at once would each bring one back
            list(PhotoSet.objects.select_for_update(of=("self",)).filter(_below(folder)).order_by("pk"))
            for tree, paths in _shared_copies(folder, name):
                tree.drop(paths)
    for path in copies:  # last: they tell whose logs are to be deleted
        path.unlink(missing_ok=True)


def is_forgotten(*, folder: Path, name: str) -> bool:
    """Whether forget_photo has nothing left to delete."""
    copies = list(folder.rglob(name))
    return not copies and not _runs_that_show(copies, folder, name) and not _shared_copies(folder, name)


def _below(folder: Path) -> Q:
    """The photo sets below it."""
    return Q(root__startswith=f"{files.root_of(folder)}/")


def _shared_copies(folder: Path, name: str) -> list[tuple[Tree, list[str]]]:
    """The files of this name in the bucket, of the sets below `folder`. Raises StorageFailure."""
    found = []
    for photo_set in PhotoSet.objects.filter(_below(folder)):
        if (tree := files.tree_of(photo_set.root)) and (index := tree.index()):
            paths = [path for path in index.files if path.rpartition("/")[2] == name]
            found += [(tree, paths)] if paths else []
    return found


def _runs_that_show(copies: list[Path], folder: Path, name: str) -> list[TrainingRun]:
    """Ended runs whose logs may have small copies of the photo."""
    sets = {folder / path.relative_to(folder).parts[0] for path in copies}
    roots = {str(one.resolve()) for one in sets} | {files.root_of(one) for one in sets}  # alone, or shared
    ended_runs = TrainingRun.objects.exclude(job__state__in=Job.LIVE)
    unlabelled_runs = unlabelled.runs_with(Path(name).stem, ended_runs)
    runs = {*ended_runs.filter(photo_set__root__in=roots), *unlabelled_runs}
    return [run for run in runs if logs_of(run).exists()]


# --- the job ----------------------------------------------------------------------------------


class Tally:
    """Counts the skipped files by reason, with some examples. A class folder is named only once."""

    def __init__(self) -> None:
        self.totals: Counter[str] = Counter()
        self.examples: dict[str, Counter[str]] = {}

    def skip(self, path: str, reason: str) -> None:
        self.totals[reason] += 1
        name = path.rpartition("/")[0] + "/" if reason == UNKNOWN_CLASS else path
        name = "".join(c if c.isprintable() else "�" for c in name)[:200]
        examples = self.examples.setdefault(reason, Counter())
        if name in examples or len(examples) < EXAMPLES:
            examples[name] += 1

    def as_list(self) -> list[dict[str, Any]]:
        return [
            {
                "reason": reason,
                "total": total,
                "examples": [f"{n} ({k} files)" if k > 1 else n for n, k in self.examples[reason].items()],
            }
            for reason, total in self.totals.most_common()
        ]


def register(lease: Lease) -> None:
    """The job "trainer.register". After a kill it continues: registered photos are not read again."""
    photo_set = PhotoSet.objects.get(job=lease.job)
    tally = Tally()
    ids = dict(SceneClass.objects.values_list("key", "pk"))
    classes = SceneNames(ids)
    warning = ""
    with lease.long_step():
        files.bring(photo_set)
    if photo_set.folder == _unpacked_folder(photo_set):
        with lease.long_step():
            files.bring_upload(photo_set)
        if photo_set.report and not photo_set.archive.exists():
            return  # killed after all photos were registered and the uploaded tar was removed
        warning = _unpack(lease, photo_set, classes, tally)
    elif not photo_set.folder.is_dir():
        if photo_set.photos.exists():  # it was there when the job began
            require_content(photo_set.folder)
        raise JobError(
            Text("There is no folder %(folder)s.", folder=photo_set.root),
            Text("Was it moved? It must stay where it was registered."),
        )
    _register_photos(lease, photo_set, classes, ids, tally)
    count = photo_set.photos.count()
    photo_set.report = {
        "taken": count,
        "classes": photo_set.photos.exclude(scene_class=None).values("scene_class").distinct().count(),
        "skipped": tally.as_list(),
        "skipped_total": tally.totals.total(),
        "warning": warning,
        "warning_words": as_words(warning),
    }
    if count and photo_set.folder == _unpacked_folder(photo_set):
        # Of any other set of ours the bucket has the photos already, and not those withdrawn since.
        lease.beat(message=Text("Storing the photos for other machines") if is_shared() else None)
        with lease.long_step():
            files.publish(photo_set)
    with lease.fenced():
        photo_set.save(update_fields=["report"])
    if not count:
        raise _no_photos_error(warning, tally)
    with lease.long_step():
        files.remove_upload(photo_set)
    shutil.rmtree(_upload_folder(photo_set), ignore_errors=True)
    looks.look_at(photo_set=photo_set, backbone=looks.eye())


def _no_photos_error(warning: str, tally: Tally) -> JobError:
    if warning:
        return JobError(
            Text("No photo was registered: %(why)s.", why=warning),
            Text("Check that the file is a complete tar (.tar, .tar.gz, .tar.bz2 or .tar.xz)."),
        )
    found = Text("The report says what was skipped.") if tally.totals else Text("There was no file at all.")
    where = Text("Photos must be in folders named after their scene class, as in a/abbey/x.jpg.")
    return JobError(Text("No photo was registered."), joined_texts(where, found))


def _unpack(lease: Lease, photo_set: PhotoSet, classes: SceneNames, tally: Tally) -> str:
    """Returns a warning if the tar could not be read to its end; the photos before that point are kept."""
    tar, root = photo_set.archive, photo_set.folder
    if not tar.is_file():
        require_content(tar.parent)
        raise JobError(
            Text("There is no file %(file)s.", file=tar),
            Text("Was it moved or removed before the job began?"),
        )
    with for_own_files():
        root.mkdir(parents=True, exist_ok=True)
    total = max(1, tar.stat().st_size >> 20)

    def report_progress(count: int) -> None:
        lease.beat(count >> 20, total, Text("Unpacking (MB)"))

    limit = settings.MAX_PHOTO_BYTES
    try:
        for entry in unpack(tar, root, classes=classes, max_bytes=limit, on_progress=report_progress):
            tally.skip(entry.name, entry.reason)
    except BadArchive as error:
        return text_of(error)
    except OSError as error:
        raise_if_of_storage(error, tar.parent)
        raise JobError(Text("The tar cannot be unpacked: %(error)s", error=error)) from error
    return ""


def _register_photos(
    lease: Lease, photo_set: PhotoSet, classes: SceneNames, ids: dict[str, int], tally: Tally
) -> None:
    hash_of = dict(photo_set.photos.values_list("path", "sha256"))
    hashes = set(hash_of.values())
    root = photo_set.folder.resolve()
    lease.beat(message=Text("Looking for photos"))
    paths: list[str] = []
    for path, reason in walk(root):
        if reason:
            tally.skip(path, reason)
        else:
            paths.append(path)
    with ThreadPoolExecutor(_threads()) as pool:
        try:
            for start in range(0, len(paths), BATCH):
                batch = paths[start : start + BATCH]
                new_paths = [p for p in batch if p not in hash_of and _accept(root, p, classes, tally)]
                rows: list[ScenePhoto] = []
                for path, result in zip(new_paths, pool.map(partial(_check, root), new_paths), strict=True):
                    lease.beat()
                    if isinstance(result, str):
                        tally.skip(path, result)
                    elif result.sha256 in hashes:
                        tally.skip(path, gettext_noop("the same photo as another"))
                    else:
                        hashes.add(result.sha256)
                        folder = label_folder(path)
                        key = None if folder else classes.class_of(path)
                        rows.append(_row(photo_set, ids[key] if key else None, folder or "", path, result))
                with lease.fenced():
                    ScenePhoto.objects.bulk_create(rows)
                lease.beat(start + len(batch), len(paths), Text("Checking photos"))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _threads() -> int:
    """One more than there are cores, to keep the disk busy. Pillow decodes outside Python's lock."""
    return min(8, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 4) + 1


def _accept(root: Path, path: str, classes: SceneNames, tally: Tally) -> bool:
    """Whether the file may be a photo of a scene class; if not, the reason is tallied."""
    if not is_storable(path):
        tally.skip(path, gettext_noop("name is not text, or too long"))
    elif not is_photo_name(path):
        tally.skip(path, gettext_noop("not a photo file"))
    elif label_folder(path) is None and classes.class_of(path) is None:
        tally.skip(path, UNKNOWN_CLASS)
    elif not is_inside(root / path, root):
        tally.skip(path, gettext_noop("link that leads out of the folder"))
    else:
        return True
    return False


def _check(root: Path, path: str) -> Checked | str:
    try:
        return check_photo(
            root / path,
            max_bytes=settings.MAX_PHOTO_BYTES,
            max_pixels=settings.MAX_PHOTO_PIXELS,
            root=root,
        )
    except BadPhoto as error:
        return str(error)


def _row(photo_set: PhotoSet, scene_class: int | None, folder: str, path: str, photo: Checked) -> ScenePhoto:
    return ScenePhoto(
        photo_set=photo_set,
        scene_class_id=scene_class,
        label_folder=folder,
        path=path,
        sha256=photo.sha256,
        width=photo.width,
        height=photo.height,
    )


def photos_per_label(photo_set: PhotoSet, labels: dict[str, str]) -> tuple[Counter[str], Counter[str]]:
    """Photos per label of a release, and per scene class for the classes that have no label there.

    A folder such as `_hashtag/cars` counts like a class; it has its label if the release has it, too.
    """
    with_label: Counter[str] = Counter()
    left_out: Counter[str] = Counter()
    rows = photo_set.photos.order_by().values_list("scene_class__key", "label_folder")
    for key, folder, photos in rows.annotate(photos=Count("pk")):
        if label := label_in(labels, key, folder):
            with_label[label] += photos
        else:
            left_out[key or folder] += photos
    return with_label, left_out
