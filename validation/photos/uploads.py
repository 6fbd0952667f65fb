"""Resumable uploads: a file comes in pieces, each stored as a file of its own under a name of its own.

A piece counts once its row says so, in one conditional UPDATE. So any process on any machine takes the next
piece, two that take the same one do no harm, and nothing is locked while a piece is written (decision 0043).
"""

from __future__ import annotations

import errno
import io
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import IO, TYPE_CHECKING
from uuid import uuid4

from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.humanize.templatetags.humanize import intcomma
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import transaction
from django.db.models import Sum
from django.utils import timezone
from django.utils.text import format_lazy
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from formats.storage import StorageFailure, raise_if_of_storage
from validation.models import Intake, Upload
from validation.photos.intake_table import MOST_BYTES as MOST_TABLE_BYTES
from validation.photos.store import WORDS, remove, remove_unowned
from validation.stored import media_folder, save

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

PHOTOS = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".heic", ".heif")
ARCHIVES = (".zip",)
TABLES = (".csv",)
ENDINGS = {"photo": PHOTOS, "archive": ARCHIVES, "table": TABLES}
TAKEN = format_lazy(
    gettext_lazy("Photos ({formats}), zip archives and one table (.csv) can be taken in."),
    formats=WORDS,
)


class CannotUpload(Exception):
    """Why a file is not taken; the message is for people. `status`: of an answer over HTTP."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class WrongOffset(Exception):
    """This piece does not follow the last one that is stored. Ask how far the upload is, and go on there."""


class UploadsGone(Exception):
    """Some of these files are no longer here, are not complete, or belong to an intake already."""


def kind_of(name: str) -> str:
    """What a file of this name is taken for: photo, archive or table; empty if it is not taken."""
    ending = PurePosixPath(name.replace("\\", "/")).suffix.lower()
    return next((kind for kind, endings in ENDINGS.items() if ending in endings), "")


def limits() -> dict[str, int]:
    """The most bytes of a file, by its kind."""
    return {
        "photo": settings.MAX_PHOTO_BYTES,
        "archive": settings.MAX_ARCHIVE_BYTES,
        "table": MOST_TABLE_BYTES,
    }


# --- one upload -------------------------------------------------------------------------------


@transaction.atomic
def begin(*, owner: AbstractBaseUser, name: str, size: int, modified: int = 0) -> Upload:
    """The upload of this file: a new one, or the one that this person has begun. Raises CannotUpload."""
    name = name.replace("\x00", "").strip()[-500:]
    facts = {"owner_id": owner.pk, "name": name, "size": size, "modified": modified}
    # A person's uploads begin one after the other, so that all together keep the limits.
    User.objects.select_for_update(no_key=True).get(pk=owner.pk)
    mine = Upload.objects.waiting().filter(owner_id=owner.pk)
    if earlier := mine.filter(**facts).first():
        return earlier
    _check_kind(name, size)
    if mine.count() >= settings.MAX_UPLOADS:
        raise CannotUpload(
            _("You have %(max_uploads)s uploads that are not taken in yet: take them in, or throw some away.")
            % {"max_uploads": intcomma(settings.MAX_UPLOADS)},
            409,
        )
    stored = mine.aggregate(total=Sum("size"))["total"] or 0
    if stored + size > settings.MAX_UPLOADS_BYTES:
        raise CannotUpload(
            _(
                "Your uploads that are not taken in yet may have %(megabytes)s together: take them in, or "
                "throw some away."
            )
            % {"megabytes": megabytes(settings.MAX_UPLOADS_BYTES)},
            413,
        )
    return Upload.objects.create(**facts, piece=settings.UPLOAD_PIECE_BYTES)


def _check_kind(name: str, size: int) -> None:
    kind = kind_of(name)
    if not kind:
        raise CannotUpload(
            _("“%(name)s” cannot be taken in. %(taken)s") % {"name": name, "taken": TAKEN}, 415
        )
    if size < 1:
        raise CannotUpload(_("“%(name)s” is empty.") % {"name": name}, 400)
    if size > limits()[kind]:
        raise CannotUpload(
            _("“%(name)s” is larger than %(megabytes)s.")
            % {"name": name, "megabytes": megabytes(limits()[kind])},
            413,
        )


def megabytes(size: int) -> str:
    """For people, in their language."""
    return _("%(n)s MB") % {"n": intcomma(round(size / 2**20))}


def add_piece(*, upload: Upload, offset: int, raw: bytes) -> int:
    """Store the next piece and return how many bytes are stored now.

    Raises WrongOffset, CannotUpload for a piece of another length, and StorageFailure. After an error the
    upload is as it was.
    """
    if offset != upload.offset or upload.is_complete or upload.intake_id:
        raise WrongOffset(str(WrongOffset.__doc__))
    if len(raw) != upload.next_length:
        raise CannotUpload(
            _("This piece has %(raw)s bytes, not %(next_length)s.")
            % {"raw": intcomma(len(raw)), "next_length": intcomma(upload.next_length)},
            400,
        )
    part = f"{_folder(upload)}/{offset:015d}-{uuid4().hex[:8]}"
    try:
        stored = save(part, ContentFile(raw))
        reached = offset + len(raw)
        is_next = Upload.objects.waiting().filter(pk=upload.pk, offset=offset)
        if not is_next.update(offset=reached, parts=[*upload.parts, stored], touched_at=timezone.now()):
            raise WrongOffset(str(WrongOffset.__doc__))
    except BaseException:
        remove([part])
        raise
    upload.refresh_from_db()
    return reached


def throw_away(upload: Upload) -> bool:
    """Delete an upload with everything that is stored of it. False if an intake has taken it meanwhile."""
    if not Upload.objects.waiting().filter(pk=upload.pk).delete()[0]:
        return False
    _delete_parts(upload)  # after the row: no piece is added any more
    return True


def _delete_parts(upload: Upload) -> list[str]:
    """Returns those that could not be deleted."""
    leftovers = remove({*upload.parts, *_stored(upload)})
    return leftovers or remove([_folder(upload)])  # which is empty now


def _stored(upload: Upload) -> list[str]:
    """Also pieces that no row names, because a process died before it wrote the row.

    Raises StorageFailure.
    """
    folder = _folder(upload)
    try:
        return [f"{folder}/{name}" for name in default_storage.listdir(folder)[1]]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except Exception as error:  # storages raise errors of their own
        raise StorageFailure(error) from error


def _folder(upload: Upload) -> str:
    return f"uploads/{upload.pk}"


def remove_leftover_parts(*, minutes: float = 24 * 60) -> None:
    """Delete parts that no upload has: see store.remove_unowned."""
    remove_unowned("uploads", Upload.objects.values_list("pk", flat=True), minutes=minutes)


def throw_old_away() -> int:
    """Delete uploads that nobody has gone on with, or taken in, for UPLOAD_KEPT: a chore of the keeper."""
    rows = Upload.objects.waiting().filter(touched_at__lt=timezone.now() - settings.UPLOAD_KEPT)
    count = 0
    for upload in rows[:100]:
        # Not one that got a piece, or was taken in, since it was read.
        same = Upload.objects.waiting().filter(pk=upload.pk, touched_at=upload.touched_at)
        if same.delete()[0]:
            _delete_parts(upload)
            count += 1
    return count


# --- all files of a drop ----------------------------------------------------------------------


def waiting_of(owner: AbstractBaseUser) -> Iterable[Upload]:
    """What this person has uploaded, or begun to, and no intake has taken."""
    return Upload.objects.waiting().filter(owner_id=owner.pk)


def take(*, uploads: list[Upload], intake: Intake) -> None:
    """Give complete uploads to an intake, all or none. Call it in a transaction. Raises UploadsGone."""
    rows = Upload.objects.waiting().complete().filter(pk__in=[upload.pk for upload in uploads])
    if rows.filter(owner=intake.created_by).update(intake=intake) != len(uploads):
        raise UploadsGone(
            _("Some of these files are no longer here, are not complete, or belong to an intake already.")
        )


def forget(*, uploads: Iterable[Upload]) -> list[str]:
    """Delete uploads that an intake no longer needs. Returns the parts that could not be deleted, whose rows
    stay.
    """
    leftovers: list[str] = []
    for upload in uploads:
        if left := _delete_parts(upload):
            leftovers += left
        else:
            upload.delete()
    return leftovers


def parts_of(uploads: Iterable[Upload]) -> list[str]:
    """Names of the parts that are still stored. Raises StorageFailure."""
    return [name for upload in uploads for name in _stored(upload)]


class Joined(io.RawIOBase):
    """The parts of a complete upload as one file to read: only the part that is being read is open.

    Raises OSError: FileNotFoundError if a part is missing.
    """

    def __init__(self, upload: Upload) -> None:
        self.size, self.piece, self.parts = upload.size, upload.piece, list(upload.parts)
        self.at = 0
        self.number = -1
        self.part: IO[bytes] | None = None
        self._part_at(0)  # a missing file is noticed at once

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.at

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self.at, io.SEEK_END: self.size}[whence]
        if base + offset < 0:
            raise ValueError("before the beginning of the file")
        self.at = base + offset
        return self.at

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override]
        if self.at >= self.size:
            return 0
        number, inside = divmod(self.at, self.piece)
        part = self._part_at(number)
        try:
            part.seek(inside)
            raw = part.read(len(buffer))
        except OSError:
            raise
        except Exception as error:  # storages raise errors of their own; whoever reads a file expects these
            raise OSError(errno.EIO, str(error), self.parts[number]) from error
        if not raw:
            raise OSError(errno.EIO, "it is shorter than it was", self.parts[number])
        buffer[: len(raw)] = raw
        self.at += len(raw)
        return len(raw)

    def close(self) -> None:
        if self.part:
            self.part.close()
        super().close()

    def _part_at(self, number: int) -> IO[bytes]:
        if self.part is None or self.number != number:
            if self.part:
                self.part.close()
            try:
                self.part = default_storage.open(self.parts[number], "rb")
            except FileNotFoundError as error:
                raise_if_of_storage(error, media_folder())
                raise
            self.number = number
        return self.part


def open_upload(upload: Upload) -> IO[bytes]:
    """Raises the errors of Joined."""
    return io.BufferedReader(Joined(upload), 2**16)
