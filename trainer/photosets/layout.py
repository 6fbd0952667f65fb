"""Checks that a file of a photo set is a photo."""

from __future__ import annotations

import hashlib
import stat
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from django.utils.translation import gettext_noop

from formats.files import is_left_by_system
from formats.storage import StorageFailure, raise_if_of_storage
from trainer.engine.budget import DecodersBusy
from trainer.engine.opening import (
    PHOTO_SUFFIXES,
    TooManyPixelsError,
    TooManyScansError,
    TooMuchMemoryError,
    decode_to_end,
    open_checked,
)


class BadPhoto(Exception):
    """The file cannot be trained on. The message is the reason, worded for a report."""


@dataclass(frozen=True)
class Checked:
    """A file that decodes completely. Sizes are in pixels, as stored (before any EXIF rotation)."""

    sha256: str
    width: int
    height: int


def is_photo_name(path: str) -> bool:
    """Whether the suffix is a photo's. Thumbnails and the like that a system left there are not photos."""
    return PurePosixPath(path).suffix.lower() in PHOTO_SUFFIXES and not is_left_by_system(path)


def is_storable(path: str) -> bool:
    """Whether a database can store it: printable text of at most 500 characters, no undecodable bytes."""
    return path.isprintable() and len(path) <= 500


def check_photo(path: Path, *, max_bytes: int, max_pixels: int, root: Path | None = None) -> Checked:
    """Read the file once, hash it and decode it fully. `root`: the folder of the whole photo set.

    Raises BadPhoto, and only that, for a bad file; StorageFailure if not the file is at fault.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise BadPhoto(gettext_noop("not a regular file"))
        with path.open("rb") as file:
            content = file.read(max_bytes + 1)
    except OSError as error:
        raise_if_of_storage(error, root)
        raise BadPhoto(gettext_noop("cannot be read")) from error
    if len(content) > max_bytes:
        raise BadPhoto(gettext_noop("file too large"))
    if not content:
        raise BadPhoto(gettext_noop("empty file"))
    width, height = _decode(content, max_pixels)
    return Checked(hashlib.sha256(content).hexdigest(), width, height)


def _decode(content: bytes, max_pixels: int) -> tuple[int, int]:
    try:
        photo = open_checked(content)
        width, height = photo.size
        if width * height > max_pixels:  # known from the header, before any memory is taken
            raise BadPhoto(gettext_noop("too many pixels"))
        decode_to_end(photo)
    except TooManyPixelsError as error:
        raise BadPhoto(gettext_noop("too many pixels")) from error
    except TooManyScansError as error:
        raise BadPhoto(gettext_noop("JPEG with too many scans")) from error
    except TooMuchMemoryError as error:
        raise BadPhoto(gettext_noop("takes too much memory to open")) from error
    except (BadPhoto, StorageFailure, DecodersBusy):
        raise
    except Exception as error:  # decoders raise OSError, SyntaxError, struct.error, ValueError and more
        raise BadPhoto(gettext_noop("does not decode")) from error
    return width, height
