"""The files of a site: where they are, and a store in which each content is kept once, under its hash."""

from __future__ import annotations

import hashlib
import io
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, NamedTuple

from django.conf import settings
from django.core.files.base import File
from django.core.files.storage import default_storage, storages

from formats.storage import replacing_path
from hashtags_site.places import KINDS
from trainer.shared import INDEX, Index, reaching

# Half-written, or made again by themselves: decoded photos, and the checkpoint before the newest.
SKIPPED = ("*.part", "*.pixels", "*.lock", "checkpoint.old", ".nfs*")
PIECE = 1 << 20
TRIES = 5  # to read an index whose tree is changed meanwhile
log = logging.getLogger(__name__)
PAUSE = 1.0  # seconds between them: contents are deleted before the new index is written


class Entry(NamedTuple):
    """root: a key of roots() or buckets(). path: below it. changed: nanoseconds."""

    root: str
    path: str
    sha256: str
    size: int
    changed: int


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


class Store:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, sha256: str) -> Path:
        return self.folder / sha256[:2] / sha256

    def keep(self, known: Mapping[tuple[str, str], Entry]) -> Iterator[tuple[Entry, bool]]:
        """Every file of the site, and whether its content is new here. A file with the size and time that
        `known` has for it is not read again. One that is deleted meanwhile is left out.
        """
        for root, folder in roots().items():
            for file in walk(folder):
                path = file.relative_to(folder).as_posix()
                try:
                    facts = file.stat()
                    old = known.get((root, path))
                    if old and (old.size, old.changed) == (facts.st_size, facts.st_mtime_ns):
                        yield old, False
                        continue
                    with file.open("rb") as original:
                        sha256, size, is_new = self._add(original)
                except FileNotFoundError:
                    continue
                yield Entry(root, path, sha256, size, facts.st_mtime_ns), is_new
        with reaching():
            for root, bucket in buckets().items():
                yield from self._keep_bucket(root, bucket, known)

    def _keep_bucket(
        self, root: str, bucket: Any, known: Mapping[tuple[str, str], Entry]
    ) -> Iterator[tuple[Entry, bool]]:
        indexes, contents = dict[str, int](), set[str]()
        for name, size, changed in bucket.walk():
            if name.rpartition("/")[2] == INDEX and root != "bucket/media":
                indexes[name] = changed
                continue
            old = known.get((root, name))
            if old and (old.size, old.changed) == (size, changed):
                contents.add(name)
                yield old, False
                continue
            try:
                with bucket.open(name, "rb") as content:
                    sha256, size, is_new = self._add(content)
            except FileNotFoundError:  # deleted meanwhile
                continue
            contents.add(name)
            yield Entry(root, name, sha256, size, changed), is_new
        for name, changed in indexes.items():
            yield from self._keep_index(root, bucket, name, changed, contents)

    def _keep_index(
        self, root: str, bucket: Any, name: str, changed: int, contents: set[str]
    ) -> Iterator[tuple[Entry, bool]]:
        """The index of a tree, and what it names that was stored after the bucket was listed.

        If one of those is deleted meanwhile, there is a newer index: then that is kept instead.
        """
        text = b""
        for _ in range(TRIES):
            try:
                with bucket.open(name, "rb") as file:
                    text = file.read()
                for sha256 in {content.sha256 for content in Index.of(text).files.values()}:
                    path = f"{name.removesuffix(INDEX)}{sha256}"
                    if path not in contents:
                        with bucket.open(path, "rb") as content:
                            kept = self._add(content)
                        contents.add(path)
                        yield Entry(root, path, *kept[:2], changed), kept[2]
            except FileNotFoundError:
                if bucket.exists(name):
                    time.sleep(PAUSE)
                    continue
                return  # the whole tree is deleted
            kept = self._add(io.BytesIO(text))
            yield Entry(root, name, *kept[:2], changed), kept[2]
            return
        # A deletion was cut off before its index was written. The backup is as the bucket is.
        log.warning("%s/%s names files that are not there", root, name)
        kept = self._add(io.BytesIO(text))
        yield Entry(root, name, *kept[:2], changed), kept[2]

    def _add(self, original: Any) -> tuple[str, int, bool]:
        """Copied and hashed in one reading, so that the hash is that of the copy."""
        self.folder.mkdir(parents=True, exist_ok=True)
        digest, size = hashlib.sha256(), 0
        handle, name = tempfile.mkstemp(dir=self.folder, suffix=".part")
        part = Path(name)
        try:
            with os.fdopen(handle, "wb") as copy:
                while piece := original.read(PIECE):
                    digest.update(piece)
                    size += len(piece)
                    copy.write(piece)
            target = self.path(digest.hexdigest())
            is_new = not target.exists()
            if is_new:
                target.parent.mkdir(exist_ok=True)
                part.replace(target)
        finally:
            part.unlink(missing_ok=True)
        return digest.hexdigest(), size, is_new

    def faults(self, entries: Iterable[Entry]) -> Iterator[str]:
        """What is missing or damaged, in words."""
        for sha256, entry in {entry.sha256: entry for entry in entries}.items():
            path = self.path(sha256)
            if not path.is_file():
                yield f"{entry.root}/{entry.path} is missing"
            elif sha256_of(path) != sha256:
                yield f"{entry.root}/{entry.path} is damaged"

    def put_back(self, entry: Entry, folder: Path) -> None:
        target = folder / entry.path
        if target.is_file() and target.stat().st_size == entry.size and sha256_of(target) == entry.sha256:
            return
        with replacing_path(target) as part:
            shutil.copyfile(self.path(entry.sha256), part)
        os.utime(target, ns=(entry.changed, entry.changed))

    def put_into(self, entry: Entry, bucket: Any) -> None:
        with reaching(), self.path(entry.sha256).open("rb") as content:
            bucket.save(entry.path, File(content))

    def forget_all_but(self, hashes: set[str]) -> None:
        for path in self.folder.glob("*/*"):
            if path.name not in hashes:
                path.unlink()
        for path in self.folder.glob("*.part"):
            path.unlink()


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
