"""Features of photos, and answers of teachers, computed by one machine and read by all.

The engine keeps them as parts that never change, in a folder for each network and view, which begins with the
name of the backbone, or with "teacher-" and the hash of its file. A part has the first characters of its
SHA-256 in its name in the bucket; one that is damaged is deleted there.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import storages

from formats.storage import replacing
from trainer.shared import is_shared, reaching

KIND = "features"
DIGITS = 32
log = logging.getLogger(__name__)


def bring(names: str) -> None:
    """Fetch the parts of these networks, joined by "+", that this machine lacks. Raises StorageFailure."""
    if not (is_shared() and names):
        return
    storage = storages[KIND]
    with reaching():
        for folder in storage.listdir("")[0]:
            if not _is_of(folder, names):
                continue
            for name in storage.listdir(folder)[1]:
                stem, digest = name.removesuffix(".npz").rsplit(".", 1)
                target = Path(settings.FEATURE_CACHE_DIR) / folder / f"{stem}.npz"
                if target.exists():
                    continue
                with storage.open(f"{folder}/{name}", "rb") as file:
                    part = file.read()
                if _digest(part) != digest:
                    log.warning("The part %s/%s is damaged in the bucket", folder, name)
                    storage.delete(f"{folder}/{name}")
                    continue
                with replacing(target, "wb") as copy:
                    copy.write(part)


def store(names: str) -> None:
    """Store the parts of these networks, joined by "+", that the bucket lacks. Raises StorageFailure."""
    if not (is_shared() and names):
        return
    storage = storages[KIND]
    with reaching():
        for folder, parts in _parts(names):
            there = {name.split(".")[0] for name in storage.listdir(folder)[1]}
            for part in parts:
                if part.stem not in there:
                    content = part.read_bytes()
                    name = f"{folder}/{part.stem}.{_digest(content)}.npz"
                    storage.save(name, ContentFile(content))


def _parts(names: str) -> Iterator[tuple[str, list[Path]]]:
    root = Path(settings.FEATURE_CACHE_DIR)
    for folder in root.iterdir() if root.is_dir() else ():
        if folder.is_dir() and _is_of(folder.name, names):
            yield folder.name, list(folder.glob("*.npz"))


def _is_of(folder: str, names: str) -> bool:
    return any(folder.startswith(f"{name}-") for name in names.split("+"))


def _digest(part: bytes) -> str:
    return hashlib.sha256(part).hexdigest()[:DIGITS]
