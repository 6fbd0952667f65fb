"""Lists of files that are tables of SQLite, so that a site with a million of them needs no memory for it."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from threading import Lock
from typing import NamedTuple

COLUMNS = "root, path, sha256, size, changed"
FILES = """
CREATE TABLE file (
    root TEXT NOT NULL, path TEXT NOT NULL, sha256 TEXT NOT NULL,
    size INTEGER NOT NULL, changed INTEGER NOT NULL,
    PRIMARY KEY (root, path)
) WITHOUT ROWID
"""


class Entry(NamedTuple):
    """root: a key of files.roots() or files.buckets(). path: below it. changed: nanoseconds."""

    root: str
    path: str
    sha256: str
    size: int
    changed: int


class FileList:
    """The files of one backup, in a file of SQLite."""

    def __init__(self, file: Path, *, new: bool = False) -> None:
        """new: begin an empty one. It counts once it is closed: a crash may leave a part of it."""
        if new:
            self._base = sqlite3.connect(file)
            self._base.executescript(f"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; {FILES}")
        else:
            self._base = sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro&immutable=1", uri=True)
        self._base.text_factory = os.fsdecode  # disks have names that are no UTF-8

    def add(self, entry: Entry) -> None:
        root, path, *facts = entry
        self._base.execute(
            f"INSERT INTO file ({COLUMNS}) VALUES (?, CAST(? AS TEXT), ?, ?, ?)",  # noqa: S608
            (root, os.fsencode(path), *facts),
        )

    def find(self, root: str, path: str) -> Entry | None:
        return next(self._entries("WHERE root = ? AND path = CAST(? AS TEXT)", root, os.fsencode(path)), None)

    def __iter__(self) -> Iterator[Entry]:
        return self._entries("ORDER BY root, path")

    def contents(self) -> Iterator[Entry]:
        """One file of each content."""
        return self._entries("GROUP BY sha256")

    def roots(self) -> set[str]:
        return {root for (root,) in self._base.execute("SELECT DISTINCT root FROM file")}

    def total(self) -> tuple[int, int]:
        """How many files, and their bytes."""
        count, size = self._base.execute("SELECT COUNT(*), COALESCE(SUM(size), 0) FROM file").fetchone()
        return count, size

    def close(self) -> None:
        self._base.commit()
        self._base.close()

    def _entries(self, condition: str, *values: object) -> Iterator[Entry]:
        rows = self._base.execute(f"SELECT {COLUMNS} FROM file {condition}", values)  # noqa: S608
        return map(Entry._make, rows)


class Stock:
    """The contents that a store has: SHA-256 → bytes. In a file that SQLite deletes by itself. Several
    threads may ask at once.
    """

    def __init__(self, contents: Iterable[tuple[str, int]]) -> None:
        self.added = 0
        self._lock = Lock()
        self._base = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._base.execute("CREATE TABLE content (sha256 TEXT PRIMARY KEY, size INTEGER) WITHOUT ROWID")
        self._base.execute("BEGIN")
        self._base.executemany("INSERT INTO content VALUES (?, ?)", contents)
        self._base.execute("COMMIT")

    def has(self, sha256: str, size: int) -> bool:
        """Whether it is there with all its bytes."""
        with self._lock:
            return self._has(sha256, size)

    def add(self, sha256: str, size: int) -> bool:
        """Whether it was not there with all its bytes."""
        with self._lock:
            if is_new := not self._has(sha256, size):
                self._base.execute("INSERT OR REPLACE INTO content VALUES (?, ?)", (sha256, size))
                self.added += 1
            return is_new

    def _has(self, sha256: str, size: int) -> bool:
        found = self._base.execute("SELECT 1 FROM content WHERE sha256 = ? AND size = ?", (sha256, size))
        return found.fetchone() is not None

    def take_out(self, file: Path) -> None:
        """Forget the contents that the list of files in `file` names."""
        self._base.execute("ATTACH ? AS named", (str(file),))
        self._base.execute("DELETE FROM content WHERE sha256 IN (SELECT sha256 FROM named.file)")
        self._base.execute("DETACH named")

    def __iter__(self) -> Iterator[str]:
        return (sha256 for (sha256,) in self._base.execute("SELECT sha256 FROM content"))

    def close(self) -> None:
        self._base.close()
