"""Photo sets: taken from a folder where it stands, or from a tar that is unpacked here; with a report."""

from __future__ import annotations

import errno
import os
import shutil
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Count

from jobs.lease import JobError, Lease
from jobs.models import Job
from jobs.queue import enqueue
from mapping.models import SceneClass
from trainer.models import PhotoSet, ScenePhoto, TrainingRun
from trainer.photosets.archive import BadArchive, unpack
from trainer.photosets.layout import (
    BadPhoto,
    Checked,
    check_photo,
    class_of,
    is_inside,
    is_photo_name,
    is_storable,
    walk,
)
from trainer.runs.boards import logs_of

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser
    from django.core.files.uploadedfile import UploadedFile

EXAMPLES = 20  # names kept per reason in a report; the total counts all
BATCH = 200  # photos per transaction
UNKNOWN_CLASS = "unknown class folder"


class NameTaken(Exception):
    """A photo set of this name exists already."""


def browser_roots() -> list[Path]:
    """The folders below which a photo set may be registered in the browser."""
    return [*settings.PHOTO_ROOTS, settings.BASE_DIR / "samples/photoset"]


def is_allowed_in_browser(folder: Path) -> bool:
    return any(is_inside(folder, root) for root in browser_roots())


def register_folder(*, name: str, folder: Path, by: AbstractBaseUser | None) -> PhotoSet:
    """Take the photos of a folder where it stands. Raises NameTaken; the rest happens in a job."""
    with transaction.atomic():
        photo_set = _create(name=name, source=str(folder), by=by)
        photo_set.root = str(folder.resolve())
        return _hand_over(photo_set, by)


def register_tar(*, name: str, tar: Path, by: AbstractBaseUser | None) -> PhotoSet:
    """Unpack a tar of this machine, also compressed, and take its photos. Raises NameTaken."""
    with transaction.atomic():
        photo_set = _create(name=name, source=str(tar.resolve()), by=by)
        photo_set.root = str(_unpacked_folder(photo_set))
        return _hand_over(photo_set, by)


def register_upload(*, name: str, upload: UploadedFile[Any], by: AbstractBaseUser | None) -> PhotoSet:
    """Keep an uploaded tar until its photos are unpacked. Raises NameTaken."""
    with transaction.atomic():
        photo_set = _create(name=name, source="", by=by)
        kept = _upload_folder(photo_set) / (Path(upload.name or "").name[-100:] or "photos.tar")
        kept.parent.mkdir(parents=True, exist_ok=True)
        if hasattr(upload, "temporary_file_path"):
            shutil.move(upload.temporary_file_path(), kept)  # gigabytes are not copied
        else:
            kept.write_bytes(upload.read())
        photo_set.source = str(kept)
        photo_set.root = str(_unpacked_folder(photo_set))
        return _hand_over(photo_set, by)


def _create(*, name: str, source: str, by: AbstractBaseUser | None) -> PhotoSet:
    try:
        with transaction.atomic():
            return PhotoSet.objects.create(name=name, source=source, created_by_id=by.pk if by else None)
    except IntegrityError as error:
        raise NameTaken(f"A photo set named “{name}” exists already.") from error


def _hand_over(photo_set: PhotoSet, by: AbstractBaseUser | None) -> PhotoSet:
    photo_set.job = enqueue(
        kind="trainer.register",
        title=f"Register “{photo_set.name}”",
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
    """Delete the files of this name in the photo sets that lie in `folder`, and the TensorBoard logs of ended
    runs on those sets, which show photos small. Raises OSError; then calling it again goes on.

    Its row stays, because results refer to it: pages say that its file is gone, later runs leave it out.
    """
    copies = list(folder.rglob(name))
    roots = {str((folder / path.relative_to(folder).parts[0]).resolve()) for path in copies}
    ended = TrainingRun.objects.filter(photo_set__root__in=roots).exclude(job__state__in=Job.LIVE)
    for run in ended:
        if logs_of(run).exists():
            shutil.rmtree(logs_of(run))
    for path in copies:  # last: as long as one is there, it is known that something is left to do
        path.unlink(missing_ok=True)


# --- the job ----------------------------------------------------------------------------------


class Tally:
    """What was left out, by reason: bounded examples and a total. Class folders are named once each."""

    def __init__(self) -> None:
        self.totals: Counter[str] = Counter()
        self.examples: dict[str, Counter[str]] = {}

    def skip(self, path: str, reason: str) -> None:
        self.totals[reason] += 1
        shown = path.rpartition("/")[0] + "/" if reason == UNKNOWN_CLASS else path
        shown = "".join(c if c.isprintable() else "�" for c in shown)[:200]
        kept = self.examples.setdefault(reason, Counter())
        if shown in kept or len(kept) < EXAMPLES:
            kept[shown] += 1

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
    """The job "trainer.register". Repeated after a kill it goes on: known photos are not read again."""
    photo_set = PhotoSet.objects.get(job=lease.job)
    tally = Tally()
    known = dict(SceneClass.objects.values_list("key", "pk"))
    warning = ""
    if Path(photo_set.root) == _unpacked_folder(photo_set):
        if photo_set.report and not Path(photo_set.source).exists():
            return  # killed after an uploaded tar was all taken and removed
        warning = _unpack(lease, photo_set, known, tally)
    elif not Path(photo_set.root).is_dir():
        raise JobError(
            f"There is no folder {photo_set.root}.", "Was it moved? It must stay where it was registered."
        )
    _take_photos(lease, photo_set, known, tally)
    taken = photo_set.photos.count()
    photo_set.report = {
        "taken": taken,
        "classes": photo_set.photos.values("scene_class").distinct().count(),
        "skipped": tally.as_list(),
        "skipped_total": tally.totals.total(),
        "warning": warning,
    }
    with lease.fenced():
        photo_set.save(update_fields=["report"])
    if not taken:
        raise _nothing_taken(warning, tally)
    shutil.rmtree(_upload_folder(photo_set), ignore_errors=True)


def _nothing_taken(warning: str, tally: Tally) -> JobError:
    if warning:
        return JobError(f"No photo was taken: {warning}.", "Is it a tar, also .gz, .bz2 or .xz, and whole?")
    return JobError(
        "No photo was taken.",
        "Photos are expected in folders named as their scene class, as in a/abbey/x.jpg. "
        + ("The report says what was skipped." if tally.totals else "There was no file at all."),
    )


def _unpack(lease: Lease, photo_set: PhotoSet, known: dict[str, int], tally: Tally) -> str:
    """Returns a warning when the tar could not be read to its end; what came before it is kept."""
    tar, root = Path(photo_set.source), Path(photo_set.root)
    if not tar.is_file():
        raise JobError(f"There is no file {tar}.", "Was it moved or removed before the job began?")
    root.mkdir(parents=True, exist_ok=True)
    total = max(1, tar.stat().st_size >> 20)

    def progress(read: int) -> None:
        lease.beat(read >> 20, total, "Unpacking (MB)")

    try:
        refused = unpack(tar, root, known=known, max_bytes=settings.MAX_PHOTO_BYTES, on_progress=progress)
        for entry in refused:
            tally.skip(entry.name, entry.reason)
    except BadArchive as error:
        return str(error)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise JobError("The disk is full.", "Make room, then try again: it goes on.") from error
        raise JobError(f"The tar cannot be unpacked: {error}") from error
    return ""


def _take_photos(lease: Lease, photo_set: PhotoSet, known: dict[str, int], tally: Tally) -> None:
    had = dict(photo_set.photos.values_list("path", "sha256"))
    hashes = set(had.values())
    root = Path(photo_set.root).resolve()
    lease.beat(message="Looking for photos")
    paths = list(walk(root))
    with ThreadPoolExecutor(_threads()) as pool:
        try:
            for start in range(0, len(paths), BATCH):
                batch = paths[start : start + BATCH]
                fresh = [p for p in batch if p not in had and _may_be_taken(root, p, known, tally)]
                new: list[ScenePhoto] = []
                for path, checked in zip(fresh, pool.map(partial(_check, root), fresh), strict=True):
                    lease.beat()
                    if isinstance(checked, str):
                        tally.skip(path, checked)
                    elif checked.sha256 in hashes:
                        tally.skip(path, "the same photo as another")
                    else:
                        hashes.add(checked.sha256)
                        new.append(_row(photo_set, path, known, checked))
                with lease.fenced():
                    ScenePhoto.objects.bulk_create(new)
                lease.beat(start + len(batch), len(paths), "Checking photos")
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _threads() -> int:
    """Pillow decodes outside Python's lock, so threads do; one more than cores, for the disk."""
    return min(8, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 4) + 1


def _may_be_taken(root: Path, path: str, known: dict[str, int], tally: Tally) -> bool:
    if not is_storable(path):
        tally.skip(path, "name that is no text, or too long")
    elif not is_photo_name(path):
        tally.skip(path, "not a photo by its name")
    elif class_of(path, known) is None:
        tally.skip(path, UNKNOWN_CLASS)
    elif not (root / path).resolve().is_relative_to(root):
        tally.skip(path, "link that leads out of the folder")
    else:
        return True
    return False


def _check(root: Path, path: str) -> Checked | str:
    try:
        return check_photo(
            root / path, max_bytes=settings.MAX_PHOTO_BYTES, max_pixels=settings.MAX_PHOTO_PIXELS
        )
    except BadPhoto as error:
        return str(error)


def _row(photo_set: PhotoSet, path: str, known: dict[str, int], checked: Checked) -> ScenePhoto:
    key = class_of(path, known)
    assert key is not None
    return ScenePhoto(
        photo_set=photo_set,
        scene_class_id=known[key],
        path=path,
        sha256=checked.sha256,
        width=checked.width,
        height=checked.height,
    )


def photos_per_label(photo_set: PhotoSet, labels: dict[str, str]) -> tuple[Counter[str], Counter[str]]:
    """Photos by label of a release, and by scene class those of classes that the release does not have."""
    with_label: Counter[str] = Counter()
    left_out: Counter[str] = Counter()
    rows = photo_set.photos.order_by().values_list("scene_class__key").annotate(photos=Count("pk"))
    for key, photos in rows:
        if key in labels:
            with_label[labels[key]] += photos
        else:
            left_out[key] += photos
    return with_label, left_out
