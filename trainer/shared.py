"""What the machines of a site share through the bucket of STORAGE_URL: trees, each the files of a folder.

Each content is stored under its SHA-256, a name that never changes. An index, written last, says which file
has which: others see the whole of a change, or nothing of it.

Without STORAGE_URL there is one machine, or a disk that all of them mount, and nothing here is used.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, NamedTuple

from django.conf import settings
from django.core.files.base import ContentFile, File
from django.core.files.storage import Storage, storages

from formats.json_text import from_json, to_json
from formats.storage import StorageFailure, for_own_files, raise_if_of_storage, replacing, replacing_path
from formats.texts import Text

INDEX = "index.json"
MARK = ".shared.json"  # in a folder on this machine: the index that its files were last the same as
PIECE = 1 << 20
AT_ONCE = 8  # small files that are on their way


class Content(NamedTuple):
    sha256: str
    size: int


@dataclass(frozen=True)
class Index:
    """files: by path. token: of the lease under which they were stored; a lower one stores nothing more."""

    files: dict[str, Content] = field(default_factory=dict)
    token: int = 0

    @classmethod
    def of(cls, text: str | bytes) -> Index:
        facts = from_json(text)
        return cls({path: Content(*content) for path, content in facts["files"].items()}, facts["token"])

    def as_text(self) -> str:
        return to_json({"files": self.files, "token": self.token})


class Superseded(Exception):
    """A holder of a newer lease has stored files here. Nothing was changed."""


def is_shared() -> bool:
    return bool(settings.STORAGE_URL)


@contextmanager
def reaching() -> Iterator[None]:
    """What the bucket is to blame for is a StorageFailure."""
    try:
        yield
    except Exception as error:
        raise_if_of_storage(error)
        raise


class Tree:
    """kind: a name in settings.STORAGES. Every method raises StorageFailure."""

    def __init__(self, kind: str, name: object) -> None:
        self.kind = kind
        self.storage: Storage = storages[kind]
        self.name = str(name)

    def __str__(self) -> str:
        return f"{self.kind}/{self.name} in the bucket"

    def index(self) -> Index | None:
        """None if nothing is stored here."""
        with reaching():
            try:
                with self.storage.open(self._path(INDEX), "rb") as file:
                    return Index.of(file.read())
            except FileNotFoundError:
                return None

    def store(self, folder: Path, paths: Iterable[str], *, token: int = 0, at_once: int = 1) -> Index:
        """Make the tree the same as these files of the folder, read in this order. Raises Superseded.

        A file may be replaced or grow meanwhile: what is stored is one of its states. One that is deleted
        meanwhile is left out.
        """
        before = self.index() or Index()
        if before.token > token:
            raise Superseded(f"{self.name}: {before.token} > {token}")
        stored = {content.sha256 for content in before.files.values()}
        names = list(paths)
        with ThreadPoolExecutor(at_once) as pool:
            contents = pool.map(lambda name: self._store(folder / name, stored), names)
            files = {name: content for name, content in zip(names, contents, strict=True) if content}
        index = Index(files, token)
        self.write(index)
        self._delete(stored - {content.sha256 for content in files.values()})
        return index

    def _store(self, file: Path, stored: set[str]) -> Content | None:
        """None if the file is gone."""
        with tempfile.TemporaryFile(dir=settings.FILE_UPLOAD_TEMP_DIR) as copy:
            try:
                source = file.open("rb")
            except FileNotFoundError:
                return None
            with source, for_own_files():
                content = copied(source, copy)
            if content.sha256 not in stored:
                copy.seek(0)
                with reaching():
                    self.storage.save(self._path(content.sha256), File(copy))
        return content

    def drop(self, paths: Iterable[str]) -> None:
        """Take files out of the tree and delete their contents, also if an earlier call was cut off."""
        index = self.index() or Index()
        gone = set(paths)
        kept = {path: content for path, content in index.files.items() if path not in gone}
        contents = {content.sha256 for path, content in index.files.items() if path in gone}
        self._delete(contents - {content.sha256 for content in kept.values()})
        self.write(Index(kept, index.token))

    def write(self, index: Index) -> None:
        with reaching():
            self.storage.save(self._path(INDEX), ContentFile(index.as_text().encode()))

    def fetch(self, content: Content, target: Path) -> None:
        """The file appears whole, or not at all. Raises StorageFailure too if the bucket's own is damaged."""
        with (
            reaching(),
            self.storage.open(self._path(content.sha256), "rb") as source,
            replacing_path(target) as part,
            part.open("wb") as copy,
        ):
            if copied(source, copy) != content:
                raise StorageFailure(
                    Text("%(file)s is damaged in the bucket", file=self._path(content.sha256))
                )

    def fetch_all(self, files: dict[str, Content], folder: Path) -> None:
        """As `fetch`, several at once. Those fetched before an error stay."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for _ in pool.map(lambda path: self.fetch(files[path], folder / path), files):
                pass

    def delete(self) -> None:
        """The index first: what has none is not there."""
        with reaching():
            names = self.storage.listdir(self.name)[1]
        self._delete(sorted(names, key=lambda name: name != INDEX))

    def _delete(self, names: Iterable[str]) -> None:
        with reaching():
            for name in names:
                self.storage.delete(self._path(name))

    def _path(self, name: str) -> str:
        return f"{self.name}/{name}"


def names_of(kind: str) -> list[str]:
    """The names of the trees of a kind. Raises StorageFailure."""
    with reaching():
        return list(storages[kind].listdir("")[0])


def copied(source: IO[bytes] | File[bytes], target: IO[bytes]) -> Content:
    digest, size = hashlib.sha256(), 0
    while piece := source.read(PIECE):
        digest.update(piece)
        target.write(piece)
        size += len(piece)
    return Content(digest.hexdigest(), size)


# --- on this machine --------------------------------------------------------------------------


def marked(folder: Path) -> Index | None:
    """The index that the folder's files were last the same as; None if they never were stored or fetched."""
    try:
        return Index.of((folder / MARK).read_bytes())
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError):
        return None


def mark(folder: Path, index: Index) -> None:
    with replacing(folder / MARK) as file:
        file.write(index.as_text())


def is_whole(file: Path, content: Content) -> bool:
    """Whether the file has this content: it is read to its end."""
    try:
        if file.stat().st_size != content.size:
            return False
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest() == content.sha256
    except (FileNotFoundError, NotADirectoryError):
        return False
