"""Photos come in safely: bounded, really decoded, upright, without metadata, stored once under their hash;
and go again, everywhere, when somebody wants them gone."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable
from typing import IO, TYPE_CHECKING

import numpy as np
import pillow_heif
from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import IntegrityError, transaction
from django.utils import timezone
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from validation.models import Photo
from validation.questions import drop_photo
from validation.similar import perceptual_hash

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

pillow_heif.register_heif_opener(thumbnails=False)
FORMATS = ("JPEG", "PNG", "WEBP", "HEIF")
WORDS = "JPEG, PNG, WebP or HEIC"
LONGEST_SIDE = 1280  # pixels: a laptop shows no more, and the networks look at far less
SMALL_SIDE = 640  # pixels: for a phone
QUALITY = 88


class PhotoRefused(Exception):
    """A file that is not taken in; the message names it and says why."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.name = name
        self.reason = reason


def take_in(*, file: IO[bytes], name: str, by: AbstractBaseUser | None, **terms: str) -> Photo:
    """Store a JPEG, PNG, WebP or HEIC upright, without metadata, as JPEGs for a desktop and for a phone.

    `terms` are fields of Photo: author, source_url, licence, licence_url, consent. The hash is of the bytes
    that came in: the same file again gives the row that is already there, which then gains the terms it
    lacked. Raises PhotoRefused, also for a photo that was withdrawn.
    """
    return receive(file=file, name=name, by=by, **terms)[0]


def receive(*, file: IO[bytes], name: str, by: AbstractBaseUser | None, **terms: str) -> tuple[Photo, bool]:
    """As take_in; and whether the photo is new."""
    name = name.replace("\\", "/").rsplit("/", 1)[-1].replace("\x00", "")[:200] or "photo"
    raw = _read_bounded(file, name)
    sha256 = hashlib.sha256(raw).hexdigest()
    known = Photo.objects.filter(sha256=sha256).first()
    if known is not None:
        if known.withdrawn_at:
            raise PhotoRefused(name, f"it was withdrawn on {known.withdrawn_at:%-d %B %Y}")
        return _with_terms(known, terms), False
    picture = _decode(raw, name)
    photo = Photo(
        sha256=sha256,
        name=name,
        width=picture.width,
        height=picture.height,
        phash=perceptual_hash(picture),
        added_by_id=by.pk if by else None,
        **terms,
    )
    stored = _store(photo, picture)
    return stored, stored is photo


def _read_bounded(file: IO[bytes], name: str) -> bytes:
    raw = file.read(settings.MAX_PHOTO_BYTES + 1)
    if not raw:
        raise PhotoRefused(name, "the file is empty")
    if len(raw) > settings.MAX_PHOTO_BYTES:
        raise PhotoRefused(name, f"larger than {settings.MAX_PHOTO_BYTES / 2**20:.0f} MB")
    return raw


def _decode(raw: bytes, name: str) -> Image.Image:
    try:
        opened = Image.open(io.BytesIO(raw), formats=FORMATS)
    except UnidentifiedImageError:
        raise PhotoRefused(name, f"not a {WORDS} photo") from None
    except Exception as error:  # Pillow's parsers raise nearly anything on hostile headers
        raise PhotoRefused(name, f"its header is broken ({error})") from error
    # Only the header has been read so far; decoding is what takes memory.
    if opened.width * opened.height > settings.MAX_PHOTO_PIXELS:
        limit = f"{settings.MAX_PHOTO_PIXELS / 1e6:.0f} megapixels"
        raise PhotoRefused(name, f"{opened.width} × {opened.height} pixels are more than {limit}")
    try:
        opened.draft("RGB", (LONGEST_SIDE, LONGEST_SIDE))  # lets the JPEG decoder skip detail not kept anyway
        opened.load()
        picture = _scalable(opened)
        picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE))  # first: turning it copies every pixel
        return _plain_rgb(ImageOps.exif_transpose(picture))
    except Exception as error:
        raise PhotoRefused(name, f"it cannot be decoded ({error})") from error


def _scalable(picture: Image.Image) -> Image.Image:
    """Tones that can be averaged: Pillow scales a palette by leaving pixels out, and takes each of the 65,536
    greys of a 16-bit photo beyond the 255th for white.
    """
    if picture.mode.startswith("I;16"):
        grey = Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
        grey.info = picture.info
        return grey
    if picture.mode in ("1", "P", "PA"):
        return picture.convert("RGBA" if picture.has_transparency_data else "RGB")
    return picture


def _plain_rgb(picture: Image.Image) -> Image.Image:
    """Pixels only: colours as sRGB, transparency on white, no EXIF, XMP, profile or comment."""
    profile = picture.info.get("icc_profile")
    if profile and picture.mode in ("RGB", "CMYK"):
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            converted = ImageCms.profileToProfile(
                picture, source, ImageCms.createProfile("sRGB"), outputMode="RGB"
            )
            picture = converted or picture
        except (ImageCms.PyCMSError, OSError):
            pass  # a broken profile: the colours as they are
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        ground = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(ground, picture)
    plain = picture.convert("RGB")
    plain.info = {}
    return plain


def _store(photo: Photo, picture: Image.Image) -> Photo:
    """The files first, then the row; the files go again if the row does not come to be."""
    base = f"photos/{photo.sha256[:2]}/{photo.sha256}"
    stored = [_write(f"{base}.jpg", picture)]
    try:
        photo.file.name = stored[0]
        if max(picture.size) > SMALL_SIDE:
            small = picture.copy()
            small.thumbnail((SMALL_SIDE, SMALL_SIDE))
            stored.append(_write(f"{base}.small.jpg", small))
            photo.small.name = stored[1]
        with transaction.atomic():
            photo.save()
    except IntegrityError:  # somebody else took the same photo in meanwhile
        first = Photo.objects.get(sha256=photo.sha256)
        _remove(name for name in stored if name not in (first.file.name, first.small.name))
        return first
    except BaseException:
        _remove(stored)
        raise
    return photo


def _write(name: str, picture: Image.Image) -> str:
    encoded = io.BytesIO()
    picture.save(encoded, "JPEG", quality=QUALITY, optimize=True)
    # Nothing is known under this hash, so what lies there was left half written by somebody who died.
    if default_storage.exists(name):
        default_storage.delete(name)
    return str(default_storage.save(name, ContentFile(encoded.getvalue())))


def _remove(names: Iterable[str]) -> None:
    for name in names:
        default_storage.delete(name)


def _with_terms(photo: Photo, terms: dict[str, str]) -> Photo:
    missing = {field: value for field, value in terms.items() if value and not getattr(photo, field)}
    if missing:
        Photo.objects.filter(pk=photo.pk).update(**missing)
        photo.refresh_from_db()
    return photo


@transaction.atomic
def withdraw_everywhere(*, photo: Photo, by: AbstractBaseUser, why: str = "") -> bool:
    """Take a photo out of every campaign and delete its pixels; its votes stay and count nowhere.

    The row stays, so that the same file is refused when it comes again. False if it was withdrawn already.
    """
    changed = Photo.objects.filter(pk=photo.pk, withdrawn_at=None).update(
        withdrawn_at=timezone.now(), withdrawn_by=by.pk, withdrawn_why=why[:200]
    )
    if not changed:
        return False
    photo.campaigns.clear()
    photo.gold_answers.all().delete()
    drop_photo(photo=photo)
    names = [name for name in (photo.file.name, photo.small.name) if name]
    transaction.on_commit(lambda: _remove(names))
    return True
