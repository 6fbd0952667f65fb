"""Stores photos safely: limited in size, fully decoded, upright, without metadata, once under their hash.
Withdraws them everywhere when somebody asks for that."""

from __future__ import annotations

import hashlib
import io
import logging
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import timedelta
from typing import IO, TYPE_CHECKING, NamedTuple

from django.conf import settings
from django.core.files.storage import default_storage
from django.db import DatabaseError, IntegrityError, transaction
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from PIL import Image

from formats.storage import StorageFailure
from people.deeds import record
from trainer.engine.opening import (
    UPLOADS,
    TooManyPixelsError,
    TooManyScansError,
    TooMuchMemoryError,
    UnknownFormatError,
    UnreadablePhotoError,
    open_within,
)
from validation.campaigns.questions import drop_photo
from validation.models import Photo
from validation.photos import corrections
from validation.photos.similar import perceptual_hash
from validation.stored import parts_of, replace

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

WORDS = gettext_lazy("JPEG, PNG, WebP or HEIC")
LONGEST_SIDE = 1280  # pixels: a laptop shows no more, and the networks use far fewer
SMALL_SIDE = 640  # pixels: for a phone
QUALITY = 88
log = logging.getLogger(__name__)


class PhotoRefused(Exception):
    """A file that is not taken in; the message has its name and the reason."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.name = name
        self.reason = reason


def take_in(*, file: IO[bytes], name: str, by: AbstractBaseUser | None, **terms: str) -> Photo:
    """Store a JPEG, PNG, WebP or HEIC upright, without metadata, as JPEGs for a desktop and for a phone.

    `terms` are fields of Photo: author, source_url, licence, licence_url, consent. The hash is that of the
    file's bytes. The same file again returns the existing row, to which missing terms are added. Raises
    PhotoRefused, also for a withdrawn photo; StorageFailure and DecodersBusy.
    """
    return receive(file=file, name=name, by=by, **terms)[0]


def receive(*, file: IO[bytes], name: str, by: AbstractBaseUser | None, **terms: str) -> tuple[Photo, bool]:
    """Like take_in; also returns whether the photo is new."""
    prepared = prepare(file=file, name=name)
    try:
        photo, is_new = add_prepared(prepared, by=by, **terms)
        if is_new and not has_files(photo):  # another forgot the same ones before the row was there
            file.seek(0)
            prepare(file=file, name=name)
        return photo, is_new
    except BaseException:
        with suppress(DatabaseError):  # files without a row are replaced when the same photo comes again
            forget_prepared(prepared)
        raise


class Prepared(NamedTuple):
    """A photo whose files are stored and whose row is not, or a file whose photo was here before: then `file`
    is empty.
    """

    sha256: str
    name: str
    file: str = ""
    small: str = ""
    width: int = 0
    height: int = 0
    phash: int = 0


def prepare(*, file: IO[bytes], name: str) -> Prepared:
    """The part of `receive` that takes long, and that many may do at once. Raises what take_in raises. If a
    photo has a row but lacks files, they are stored again.
    """
    name = name.replace("\\", "/").rsplit("/", 1)[-1].replace("\x00", "")[:200] or "photo"
    raw = _read_bounded(file, name)
    sha256 = hashlib.sha256(raw).hexdigest()
    earlier = Photo.objects.filter(sha256=sha256).first()
    if earlier is not None:
        _refuse_withdrawn(earlier, name)
        if has_files(earlier):
            return Prepared(sha256, name)
    picture = _decode(raw, name)
    base = f"photos/{sha256[:2]}/{sha256}"
    names = [_write(f"{base}.jpg", picture)]
    if max(picture.size) > SMALL_SIDE:
        small = picture.copy()
        small.thumbnail((SMALL_SIDE, SMALL_SIDE))
        try:
            names.append(_write(f"{base}.small.jpg", small))
        except BaseException:
            with suppress(DatabaseError):
                forget_prepared(Prepared(sha256, name, names[0]))
            raise
    return Prepared(sha256, name, names[0], "".join(names[1:]), *picture.size, perceptual_hash(picture))


def add_prepared(prepared: Prepared, *, by: AbstractBaseUser | None, **terms: str) -> tuple[Photo, bool]:
    """The photo's row, and whether it is new. Raises PhotoRefused if it has been withdrawn meanwhile."""
    earlier = Photo.objects.filter(sha256=prepared.sha256).first()
    if earlier is None:
        photo = Photo(**prepared._asdict(), added_by_id=by.pk if by else None, **terms)
        try:
            with transaction.atomic():
                photo.save()
        except IntegrityError:  # somebody else took the same photo in meanwhile
            earlier = Photo.objects.filter(sha256=prepared.sha256).first()
            if earlier is None:
                raise
        else:
            return photo, True
    forget_prepared(prepared)
    _refuse_withdrawn(earlier, prepared.name)
    return _add_missing_terms(earlier, terms), False


def forget_prepared(prepared: Prepared) -> None:
    """Delete its files, unless a photo that is shown has them."""
    shown = Photo.objects.shown().filter(sha256=prepared.sha256).first()
    remove({prepared.file, prepared.small} - {"", *_names(shown)})


def _read_bounded(file: IO[bytes], name: str) -> bytes:
    raw = file.read(settings.MAX_PHOTO_BYTES + 1)
    if not raw:
        raise PhotoRefused(name, _("the file is empty"))
    if len(raw) > settings.MAX_PHOTO_BYTES:
        raise PhotoRefused(
            name,
            _("larger than %(max_photo_bytes)s MB")
            % {"max_photo_bytes": f"{settings.MAX_PHOTO_BYTES / 2**20:.0f}"},
        )
    return raw


def _decode(raw: bytes, name: str) -> Image.Image:
    box = (LONGEST_SIDE, LONGEST_SIDE)
    try:
        return open_within(raw, box, formats=UPLOADS, max_pixels=settings.MAX_PHOTO_PIXELS)
    except UnknownFormatError:
        raise PhotoRefused(name, _("not a %(words)s photo") % {"words": WORDS}) from None
    except (TooManyPixelsError, TooManyScansError, TooMuchMemoryError) as error:
        raise PhotoRefused(name, str(error)) from None
    except UnreadablePhotoError as error:
        raise PhotoRefused(name, _("it cannot be decoded (%(error)s)") % {"error": error}) from error


def _refuse_withdrawn(photo: Photo, name: str) -> None:
    if photo.withdrawn_at:
        raise PhotoRefused(
            name,
            _("it was withdrawn on %(day)s") % {"day": date_format(photo.withdrawn_at, "j F Y")},
        )


def _write(name: str, picture: Image.Image) -> str:
    jpeg = io.BytesIO()
    picture.save(jpeg, "JPEG", quality=QUALITY, optimize=True)
    # No photo has this hash, so an existing file was left by a process that died, or just stored by another.
    return replace(name, jpeg.getvalue())


def remove(names: Iterable[str]) -> list[str]:
    """Delete files from the storage. If one cannot be deleted, the others still are; a missing file is no
    error. Returns those that could not be deleted; the log says why.
    """
    leftovers = []
    for name in names:
        try:
            default_storage.delete(name)
        except Exception:  # storages raise errors of their own
            log.exception("%s could not be deleted", name)
            leftovers.append(name)
    return leftovers


def has_files(photo: Photo | Prepared) -> bool:
    """Whether its files are stored. Not if another who stored the same photo could not add its row, and took
    its files away before this row was there. Raises StorageFailure.
    """
    try:
        return all(default_storage.exists(str(name)) for name in (photo.file, photo.small) if name)
    except Exception as error:  # storages raise errors of their own
        raise StorageFailure(error) from error


def _names(photo: Photo | None) -> list[str]:
    return [name for name in (photo.file.name, photo.small.name) if name] if photo else []


def remove_unowned(place: str, owners: Iterable[int], *, minutes: float) -> None:
    """Delete the files of each folder in this place of the storage that is named after no owner: the storage
    went away before it could be told to delete them. They are that old at least, because a row may come after
    its files. Raises StorageFailure.
    """
    try:
        folders = set(default_storage.listdir(place)[0])
    except (FileNotFoundError, NotADirectoryError):
        return
    except Exception as error:
        raise StorageFailure(error) from error
    newest = timezone.now() - timedelta(minutes=minutes)
    for folder in folders - set(map(str, owners)):
        try:
            names = [f"{place}/{folder}/{name}" for name in default_storage.listdir(f"{place}/{folder}")[1]]
            is_old = bool(names) and all(default_storage.get_modified_time(name) <= newest for name in names)
        except FileNotFoundError:  # its owner has deleted it and itself meanwhile
            continue
        except Exception as error:
            raise StorageFailure(error) from error
        if is_old:
            remove([*names, f"{place}/{folder}"])


def _add_missing_terms(photo: Photo, terms: dict[str, str]) -> Photo:
    new_terms = {field: value for field, value in terms.items() if value and not getattr(photo, field)}
    if new_terms:
        Photo.objects.filter(pk=photo.pk).update(**new_terms)
        photo.refresh_from_db()
    return photo


@transaction.atomic
def withdraw_everywhere(*, photo: Photo, by: AbstractBaseUser, why: str = "") -> bool:
    """Take a photo out of every campaign and delete its pixels; its votes stay but count nowhere.

    The row stays, so that the same file is refused if it comes again. False if the photo was already
    withdrawn; then it tries again to delete remaining pixels (see `pixels_left`).
    """
    count = Photo.objects.filter(pk=photo.pk, withdrawn_at=None).update(
        withdrawn_at=timezone.now(), withdrawn_by=by.pk, withdrawn_why=why[:200]
    )
    if count:
        for act in _followers:
            act(photo)
        photo.campaigns.clear()
        photo.gold_answers.all().delete()
        drop_photo(photo=photo)
        record(by=by, what="withdraw photo", about=f"{photo}{f': {why}' if why else ''}")
    transaction.on_commit(lambda: _delete_pixels(photo))
    return bool(count)


_followers: list[Callable[[Photo], None]] = []


def after_withdrawing(act: Callable[[Photo], None]) -> None:
    """Call this act, in the same transaction, when a photo was withdrawn. For AppConfig.ready(): the store
    imports nothing that takes photos in.
    """
    if act not in _followers:
        _followers.append(act)


def pixels_left(photo: Photo) -> bool:
    """Whether some files of a withdrawn photo could not be deleted, so that another try is needed."""
    return any(map(default_storage.exists, _all_names(photo))) or corrections.has_copies(photo)


def _all_names(photo: Photo) -> list[str]:
    """Names of the photo's files, and of originals that unfinished intakes still store."""
    rows = photo.intake_files.filter(terms__has_key="stored").values_list("terms", flat=True)
    return _names(photo) + [terms["stored"] for terms in rows]


def _delete_pixels(photo: Photo) -> None:
    names = _all_names(photo)
    remove([*names, *(part for name in names for part in parts_of(name))])
    corrections.delete_copies(photo)
