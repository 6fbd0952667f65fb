"""The files of a site: where they are."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatch
from pathlib import Path
from typing import IO, Any, Protocol, TypeVar

from django.conf import settings
from django.core.files.base import File
from django.core.files.storage import default_storage, storages

from hashtags_site.places import KINDS
from trainer.shared import AT_ONCE, PIECE

# Half-written, or made again by themselves: decoded photos, and the checkpoint before the newest.
SKIPPED = ("*.part", "*.pixels", "*.lock", "checkpoint.old", ".nfs*")
SMALL = 8 << 20  # bytes: the bucket gets more in parts
TOGETHER = 64  # small files
T = TypeVar("T", bound="Sized")
R = TypeVar("R")


def roots() -> dict[str, Path]:
    """The folders whose files cannot be made again. With STORAGE_URL they are copies: see `buckets`."""
    if settings.STORAGE_URL:
        return {}
    folders = {
        "models": Path(settings.MODELS_DIR),
        "photo_sets": Path(settings.PHOTO_SETS_DIR),
        "runs": Path(settings.RUNS_DIR),
    }
    try:
        return {"media": Path(default_storage.path("")), **folders}
    except NotImplementedError:
        return folders


def buckets() -> dict[str, Any]:
    """What is in the bucket of STORAGE_URL and cannot be made again. The names are those of no folder."""
    if not settings.STORAGE_URL:
        return {}
    return {f"bucket/{folder}": storages[kind] for kind, folder in KINDS.items() if kind != "features"}


def walk(folder: Path) -> Iterator[Path]:
    """Regular files below it, without links, in order."""
    for place, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = Path(place) / name
            if not any(fnmatch(name, pattern) for pattern in SKIPPED) and not path.is_symlink():
                yield path


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return digest_of(file)


def digest_of(content: IO[bytes] | File[bytes]) -> str:
    """The SHA-256 of what is left to read."""
    digest = hashlib.sha256()
    while piece := content.read(PIECE):
        digest.update(piece)
    return digest.hexdigest()


class Sized(Protocol):
    @property
    def size(self) -> int: ...


def several_at_once(act: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """What `act` gives for each item, in order. Small files are many, and each waits for a bucket: so they go
    in several threads. A large one goes by itself: its parts are on their way at once, in memory.
    """
    with ThreadPoolExecutor(AT_ONCE) as pool:
        small: list[T] = []
        for item in items:
            if item.size <= SMALL:
                small.append(item)
            if item.size > SMALL or len(small) == TOGETHER:
                yield from pool.map(act, small)
                small.clear()
            if item.size > SMALL:
                yield act(item)
        yield from pool.map(act, small)
