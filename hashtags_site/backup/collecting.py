"""Brings the files of a site into a store, those that are new there."""

from __future__ import annotations

import io
import logging
import tempfile
import time
from pathlib import Path
from typing import IO, Any

from django.core.files.base import File

from formats.storage import for_own_files
from hashtags_site.backup.files import buckets, roots, walk
from hashtags_site.backup.lists import Entry, FileList, Stock
from hashtags_site.backup.stores import Store
from trainer.shared import INDEX, Content, Index, copied, reaching

TRIES = 5  # to read an index whose tree is changed meanwhile
PAUSE = 1.0  # seconds between them: contents are deleted before the new index is written
log = logging.getLogger(__name__)


class Collector:
    """earlier: the files of the last backup; one with the size and time that it has there is not read again.
    files: the list that is made. sent: how many contents were new in the store.
    """

    def __init__(self, *, store: Store, stock: Stock, earlier: FileList | None, files: FileList) -> None:
        self.store, self.stock, self.earlier, self.files = store, stock, earlier, files
        self.sent = 0

    def collect(self) -> None:
        """Every file of the site. One that is deleted meanwhile is left out. Raises StorageFailure."""
        for root, folder in roots().items():
            for file in walk(folder):
                self._keep_file(root, file.relative_to(folder).as_posix(), file)
        for root, bucket in buckets().items():
            with reaching():
                self._keep_bucket(root, bucket)

    def _keep_file(self, root: str, path: str, file: Path) -> None:
        with for_own_files():
            try:
                facts = file.stat()
                if self._is_known(root, path, facts.st_size, facts.st_mtime_ns):
                    return
                original = file.open("rb")
            except FileNotFoundError:
                return
            with original:
                self._keep(root, path, facts.st_mtime_ns, original)

    def _keep_bucket(self, root: str, bucket: Any) -> None:
        indexes = dict[str, int]()
        for name, size, changed in bucket.walk():
            if name.rpartition("/")[2] == INDEX and root != "bucket/media":
                indexes[name] = changed
            elif not self._is_known(root, name, size, changed):
                try:
                    with bucket.open(name, "rb") as content:
                        self._keep(root, name, changed, content)
                except FileNotFoundError:  # deleted meanwhile
                    continue
        for name, changed in indexes.items():
            self._keep_index(root, bucket, name, changed)

    def _keep_index(self, root: str, bucket: Any, name: str, changed: int) -> None:
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
                    if not self.files.find(root, path):
                        with bucket.open(path, "rb") as content:
                            self._keep(root, path, changed, content)
                break
            except FileNotFoundError:
                if not bucket.exists(name):
                    return  # the whole tree is deleted
                time.sleep(PAUSE)
        else:
            # A deletion was cut off before its index was written. The backup is as the bucket is.
            log.warning("%s/%s names files that are not there", root, name)
        self._keep(root, name, changed, io.BytesIO(text))

    def _is_known(self, root: str, path: str, size: int, changed: int) -> bool:
        """Then it is in the list."""
        old = self.earlier.find(root, path) if self.earlier else None
        if not old or (old.size, old.changed) != (size, changed) or not self.stock.has(old.sha256, size):
            return False
        self.files.add(old)
        return True

    def _keep(self, root: str, path: str, changed: int, original: IO[bytes] | File[bytes]) -> None:
        content = self._send(original)
        self.files.add(Entry(root, path, *content, changed))

    def _send(self, original: IO[bytes] | File[bytes]) -> Content:
        """Copied and hashed in one reading, so that the hash is that of the copy."""
        with tempfile.NamedTemporaryFile(dir=self.store.scratch, suffix=".part", delete=False) as copy:
            part = Path(copy.name)
            try:
                content = copied(original, copy)
                copy.flush()
                if not self.stock.has(*content):
                    self.store.put(part, content.sha256)
                    self.stock.add(*content)
                    self.sent += 1
            finally:
                part.unlink(missing_ok=True)
        return content
