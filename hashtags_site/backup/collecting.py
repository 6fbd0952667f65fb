"""Brings the files of a site into a store, those that are new there."""

from __future__ import annotations

import io
import logging
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import IO, Any, NamedTuple

from django.core.files.base import File

from formats.storage import for_own_files
from hashtags_site.backup.files import buckets, roots, several_at_once, walk
from hashtags_site.backup.lists import Entry, FileList, Stock
from hashtags_site.backup.stores import Store
from trainer.shared import INDEX, Content, Index, copied, reaching

TRIES = 5  # to read an index whose tree is changed meanwhile
PAUSE = 1.0  # seconds between them: contents are deleted before the new index is written
log = logging.getLogger(__name__)


def _open(file: Path) -> IO[bytes]:
    return file.open("rb")


class Found(NamedTuple):
    """A file whose content may be new. open: raises FileNotFoundError if it is gone."""

    root: str
    path: str
    size: int
    changed: int
    open: Callable[[], IO[bytes] | File[bytes]]


class Collector:
    """earlier: the files of the last backup; one with the size and time that it has there is not read again.
    files: the list that is made. What is new in the store is added to `stock`.
    """

    def __init__(self, *, store: Store, stock: Stock, earlier: FileList | None, files: FileList) -> None:
        self.store, self.stock, self.earlier, self.files = store, stock, earlier, files

    def collect(self) -> None:
        """Every file of the site. One that is deleted meanwhile is left out. Raises StorageFailure."""
        for root, folder in roots().items():
            self._keep(self._of_folder(root, folder))
        for root, bucket in buckets().items():
            indexes = dict[str, int]()
            with reaching():
                self._keep(self._of_bucket(root, bucket, indexes))
                for name, changed in indexes.items():
                    self._keep_index(root, bucket, name, changed)

    def _of_folder(self, root: str, folder: Path) -> Iterator[Found]:
        for file in walk(folder):
            try:
                facts = file.stat()
            except FileNotFoundError:
                continue
            path = file.relative_to(folder).as_posix()
            yield Found(root, path, facts.st_size, facts.st_mtime_ns, partial(_open, file))

    def _of_bucket(self, root: str, bucket: Any, indexes: dict[str, int]) -> Iterator[Found]:
        """indexes: gets those of trees, and when they were stored."""
        for name, size, changed in bucket.walk():
            if name.rpartition("/")[2] == INDEX and root != "bucket/media":
                indexes[name] = changed
            else:
                yield Found(root, name, size, changed, partial(bucket.open, name, "rb"))

    def _keep_index(self, root: str, bucket: Any, name: str, changed: int) -> None:
        """The index of a tree, and what it names that was stored after the bucket was listed.

        If one of those is deleted meanwhile, there is a newer index: then that is kept instead.
        """
        text = b""
        for _ in range(TRIES):
            try:
                with bucket.open(name, "rb") as file:
                    text = file.read()
                try:
                    index = Index.of(text)
                except (ValueError, KeyError, TypeError, AttributeError):
                    log.warning("%s/%s is damaged in the bucket: it is kept as it is", root, name)
                    break
                for sha256 in {content.sha256 for content in index.files.values()}:
                    path = f"{name.removesuffix(INDEX)}{sha256}"
                    if not self.files.find(root, path):
                        with bucket.open(path, "rb") as content:
                            self._keep_content(root, path, changed, content)
                break
            except FileNotFoundError:
                if not bucket.exists(name):
                    return  # the whole tree is deleted
                time.sleep(PAUSE)
        else:
            # A deletion was cut off before its index was written. The backup is as the bucket is.
            log.warning("%s/%s names files that are not there", root, name)
        self._keep_content(root, name, changed, io.BytesIO(text))

    def _keep(self, found: Iterable[Found]) -> None:
        with for_own_files():
            for entry in several_at_once(self._entry, (one for one in found if not self._is_known(one))):
                if entry:
                    self.files.add(entry)

    def _is_known(self, found: Found) -> bool:
        """Then it is in the list."""
        old = self.earlier.find(found.root, found.path) if self.earlier else None
        if not old or (old.size, old.changed) != (found.size, found.changed):
            return False
        if not self.stock.has(old.sha256, old.size):
            return False
        self.files.add(old)
        return True

    def _entry(self, found: Found) -> Entry | None:
        """None if the file is gone."""
        try:
            original = found.open()
        except FileNotFoundError:
            return None
        with original:
            return Entry(found.root, found.path, *self._send(original), found.changed)

    def _keep_content(self, root: str, path: str, changed: int, original: IO[bytes] | File[bytes]) -> None:
        self.files.add(Entry(root, path, *self._send(original), changed))

    def _send(self, original: IO[bytes] | File[bytes]) -> Content:
        """Copied and hashed in one reading, so that the hash is that of the copy."""
        with tempfile.NamedTemporaryFile(dir=self.store.scratch, suffix=".part", delete=False) as copy:
            part = Path(copy.name)
            try:
                content = copied(original, copy)
                copy.flush()
                if self.stock.add(*content):
                    self.store.put(part, content.sha256)
            finally:
                part.unlink(missing_ok=True)
        return content
