"""Takes photos in safely: bounded, really decoded, upright, without metadata, stored once under its hash."""

from __future__ import annotations

import hashlib
import io
from typing import IO, TYPE_CHECKING

from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import IntegrityError, transaction
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from validation.models import Photo

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

FORMATS = ("JPEG", "PNG", "WEBP")
LONGEST_SIDE = 1280  # pixels: a phone or a laptop shows no more, and the networks look at far less
QUALITY = 88
ATTRIBUTION = ("source_url", "licence", "licence_url")


class PhotoRefused(Exception):
    """A file that is not taken in; the message names it and says why."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.name = name
        self.reason = reason


def take_in(
    *,
    file: IO[bytes],
    name: str,
    by: AbstractBaseUser | None,
    source_url: str = "",
    licence: str = "",
    licence_url: str = "",
) -> Photo:
    """Store a JPEG, PNG or WebP as an upright JPEG of at most 1280 px without metadata. Raises PhotoRefused.

    The hash is of the bytes that came in: the same file again gives the row that is already there, which
    then gains the attribution it lacked.
    """
    name = name.replace("\\", "/").rsplit("/", 1)[-1].replace("\x00", "")[:200] or "photo"
    attribution = {"source_url": source_url, "licence": licence, "licence_url": licence_url}
    raw = _read_bounded(file, name)
    sha256 = hashlib.sha256(raw).hexdigest()
    known = Photo.objects.filter(sha256=sha256).first()
    if known is not None:
        return _with_attribution(known, attribution)
    picture = _decode(raw, name)
    photo = Photo(
        sha256=sha256,
        name=name,
        width=picture.width,
        height=picture.height,
        added_by_id=by.pk if by else None,
        **attribution,
    )
    return _store(photo, picture)


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
        raise PhotoRefused(name, "not a JPEG, PNG or WebP photo") from None
    except Exception as error:  # Pillow's parsers raise nearly anything on hostile headers
        raise PhotoRefused(name, f"its header is broken ({error})") from error
    # Only the header has been read so far; decoding is what takes memory.
    if opened.width * opened.height > settings.MAX_PHOTO_PIXELS:
        limit = f"{settings.MAX_PHOTO_PIXELS / 1e6:.0f} megapixels"
        raise PhotoRefused(name, f"{opened.width} × {opened.height} pixels are more than {limit}")
    try:
        opened.draft("RGB", (LONGEST_SIDE, LONGEST_SIDE))  # lets the JPEG decoder skip detail not kept anyway
        opened.load()
        upright = ImageOps.exif_transpose(opened)
        upright.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
        return _plain_rgb(upright)
    except Exception as error:
        raise PhotoRefused(name, f"it cannot be decoded ({error})") from error


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
    """The file first, then the row; the file goes again if the row does not come to be."""
    encoded = io.BytesIO()
    picture.save(encoded, "JPEG", quality=QUALITY, optimize=True)
    wanted = f"photos/{photo.sha256[:2]}/{photo.sha256}.jpg"
    stored = default_storage.save(wanted, ContentFile(encoded.getvalue()))
    photo.file.name = stored
    try:
        with transaction.atomic():
            photo.save()
    except IntegrityError:  # somebody else took the same photo in meanwhile
        default_storage.delete(stored)
        return Photo.objects.get(sha256=photo.sha256)
    except BaseException:
        default_storage.delete(stored)
        raise
    return photo


def _with_attribution(photo: Photo, attribution: dict[str, str]) -> Photo:
    missing = {field: value for field, value in attribution.items() if value and not getattr(photo, field)}
    if missing:
        Photo.objects.filter(pk=photo.pk).update(**missing)
        photo.refresh_from_db()
    return photo
