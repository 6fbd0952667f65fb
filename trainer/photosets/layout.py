"""Finds a photo's scene class by its folder, as in SUN's data set, and checks that a file is a photo."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Container, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

from formats.files import is_left_by_system
from formats.storage import StorageFailure, raise_if_of_storage
from trainer.engine.opening import PHOTO_SUFFIXES, TooManyPixelsError, TooManyScansError, open_checked


class BadPhoto(Exception):
    """The file cannot be trained on. The message is the reason, worded for a report."""


@dataclass(frozen=True)
class Checked:
    """A file that decodes completely. Sizes are in pixels, as stored (before any EXIF rotation)."""

    sha256: str
    width: int
    height: int


def class_of(path: str, classes: Container[str]) -> str | None:
    """The scene class of `path` ("a/athletic_field/outdoor/x.jpg"); None if none of its folders is one.

    The deepest class wins, so a/athletic_field/outdoor is not mistaken for a/athletic_field. One leading
    folder that is not a class, such as SUN397/, is skipped.
    """
    folders = [part for part in PurePosixPath(path).parent.parts if part != "."]
    for start in (0, 1):
        for end in range(len(folders), start, -1):
            key = "/".join(folders[start:end])
            if key in classes:
                return key
    return None


def is_photo_name(path: str) -> bool:
    """Whether the suffix is a photo's. Thumbnails and the like that a system left there are not photos."""
    return PurePosixPath(path).suffix.lower() in PHOTO_SUFFIXES and not is_left_by_system(path)


def is_storable(path: str) -> bool:
    """Whether a database can store it: printable text of at most 500 characters, no undecodable bytes."""
    return path.isprintable() and len(path) <= 500


def walk(root: Path) -> Iterator[str]:
    """Every file below root as a relative path with forward slashes. Links to folders are not followed.

    Raises StorageFailure if a folder cannot be listed through a fault of the disk.
    """
    for folder, folders, files in os.walk(root, onerror=partial(raise_if_of_storage, root=root)):
        folders.sort()
        for name in sorted(files):
            yield Path(folder, name).relative_to(root).as_posix()


def is_inside(path: Path, root: Path) -> bool:
    """Whether path, with every link in it followed, is root or below it."""
    return path.resolve().is_relative_to(root.resolve())


def check_photo(path: Path, *, max_bytes: int, max_pixels: int, root: Path | None = None) -> Checked:
    """Read the file once, hash it and decode it fully. `root`: the folder of the whole photo set.

    Raises BadPhoto, and only that, for a bad file; StorageFailure if not the file is at fault.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise BadPhoto("not a regular file")
        with path.open("rb") as file:
            content = file.read(max_bytes + 1)
    except OSError as error:
        raise_if_of_storage(error, root)
        raise BadPhoto("cannot be read") from error
    if len(content) > max_bytes:
        raise BadPhoto("file too large")
    if not content:
        raise BadPhoto("empty file")
    width, height = _decode(content, max_pixels)
    return Checked(hashlib.sha256(content).hexdigest(), width, height)


def _decode(content: bytes, max_pixels: int) -> tuple[int, int]:
    try:
        photo = open_checked(content)
        width, height = photo.size
        if width * height > max_pixels:  # known from the header, before any memory is taken
            raise BadPhoto("too many pixels")
        photo.load()
    except TooManyPixelsError as error:
        raise BadPhoto("too many pixels") from error
    except TooManyScansError as error:
        raise BadPhoto("JPEG with too many scans") from error
    except (BadPhoto, StorageFailure):
        raise
    except Exception as error:  # decoders raise OSError, SyntaxError, struct.error, ValueError and more
        raise BadPhoto("does not decode") from error
    return width, height
