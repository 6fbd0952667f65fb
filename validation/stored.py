"""Reads and writes the storage's files, and tells a missing file from a storage that is full or away."""

from __future__ import annotations

import glob
from pathlib import Path
from typing import IO, Any

from django.conf import settings
from django.core.files.base import ContentFile, File
from django.core.files.storage import default_storage
from django.db.models.fields.files import FieldFile

from formats.storage import StorageFailure, raise_if_of_storage, replacing


def media_folder() -> Path | None:
    """Where the storage keeps its files; None if that is no folder of this machine."""
    try:
        return Path(default_storage.path(""))
    except NotImplementedError:
        return None


def open_stored(name: str) -> IO[bytes]:
    """Raises FileNotFoundError if only this file is missing, StorageFailure if the storage is at fault."""
    try:
        opened: IO[bytes] = default_storage.open(name, "rb")
        if media_folder() is None:  # a bucket's file is fetched when it is first read
            opened.read(1)
            opened.seek(0)
        return opened
    except FileNotFoundError as error:
        raise_if_of_storage(error, media_folder())
        raise
    except Exception as error:  # storages raise errors of their own
        raise StorageFailure(error) from error


def read_stored(name: str) -> bytes:
    """The content; raises the errors of open_stored."""
    with open_stored(name) as opened:
        try:
            return opened.read()
        except Exception as error:
            raise StorageFailure(error) from error


def save(name: str, content: File[Any]) -> str:
    """The name under which the storage keeps the content. Raises StorageFailure."""
    try:
        return str(default_storage.save(name, content))
    except Exception as error:
        raise StorageFailure(error) from error


def replace(name: str, raw: bytes) -> str:
    """Keep these bytes under exactly this name, which is returned. What is there stays until all of them are
    stored. Raises StorageFailure.
    """
    folder = media_folder()
    if folder is None:  # a bucket replaces a file as a whole
        return save(name, ContentFile(raw))
    with replacing(folder / name, "wb") as file:
        file.write(raw)
    return name


def parts_of(name: str) -> list[str]:
    """What processes that were killed while they replaced this file have left beside it."""
    folder = media_folder()
    if folder is None:
        return []
    beside = (folder / name).parent.glob(f"{glob.escape(Path(name).name)}*.part")
    return [path.relative_to(folder).as_posix() for path in beside]


def link_to(file: FieldFile) -> str:
    """A signed link that leads to the file itself, for STORAGE_LINK_SECONDS; empty if the site gives it."""
    if not settings.STORAGE_LINK_SECONDS or media_folder() is not None:
        return ""
    try:
        return str(default_storage.url(file.name))
    except Exception as error:  # without keys nothing can be signed
        raise StorageFailure(error) from error
