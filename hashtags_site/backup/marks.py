"""One backup at a time into a bucket, by marks in it: not every server of buckets has locks."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from django.core.files.base import ContentFile

from formats.storage import StorageFailure
from trainer.shared import reaching

RUNNING = "running"
RENEWED, DEAD = 60, 900  # seconds: a mark is written again, and is nobody's any more


class Taken(Exception):
    """Somebody else has a mark, or took ours for dead."""


class Mark:
    """name: of a file in the folder RUNNING of the storage."""

    def __init__(self, storage: Any, name: str) -> None:
        self.storage, self.name = storage, name
        self.written = 0  # nanoseconds, by the bucket's clock

    def write(self) -> None:
        """For the first time."""
        self._save()
        self.written = self._find()

    def renew(self) -> None:
        """Raises Taken as `require` does."""
        self.require()
        self._save()  # a process that was halted before this may bring back what another took away
        self.written = self.require()

    def require(self) -> int:
        """When it was written. Raises Taken if it was so old in between that another could take it away."""
        found = self._find()
        if found - self.written >= DEAD * 10**9:
            raise Taken
        return found

    def delete(self) -> None:
        with reaching():
            self.storage.delete(self.name)

    def _save(self) -> None:
        with reaching():
            self.storage.save(self.name, ContentFile(b""))

    def _find(self) -> int:
        """When it was written. Raises Taken if it is gone."""
        with reaching():
            for name, _, changed in self.storage.walk(RUNNING):
                if name == self.name:
                    return int(changed)
        raise Taken

    def require_no_other(self) -> None:
        """Raises Taken. Dead ones are taken away: ages are compared by the bucket's own clock."""
        with reaching():
            written = {name: changed for name, _, changed in self.storage.walk(RUNNING)}
            for name in written.keys() - {self.name}:
                if written[self.name] - written[name] < DEAD * 10**9:
                    raise Taken
                self.storage.delete(name)

    def renew_until(self, done: threading.Event) -> None:
        while not done.wait(RENEWED):
            with suppress(StorageFailure):  # the next one may get through
                try:
                    self.renew()
                except Taken:
                    self.delete()  # nobody shall wait for it
                    return


@contextmanager
def marked(storage: Any, owner: str) -> Iterator[Mark]:
    """A mark of this owner in the block. First it is written, then others' are looked for: of two that begin
    at once at least one sees the other. A mark that the owner left is taken over. Raises Taken,
    StorageFailure.
    """
    mark, done = Mark(storage, f"{RUNNING}/{owner}"), threading.Event()
    mark.write()
    renewal = threading.Thread(target=mark.renew_until, args=(done,), daemon=True)
    try:
        mark.require_no_other()
        renewal.start()
        yield mark
    finally:
        done.set()
        if renewal.is_alive():
            renewal.join()  # or it would write the mark again
        with suppress(StorageFailure):
            mark.delete()
