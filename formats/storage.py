"""Tells a fault of the storage from a fault of one file. Nothing else in the project decides that.

A disk or a bucket that is full, read-only or away says nothing about the photo, model or table that was about
to be read or written: work waits for it, and requests are answered with "try again".
"""

from __future__ import annotations

import errno
import os
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from formats.texts import Text, text_of

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
AWAY = {
    *(errno.EIO, errno.EROFS, errno.ENODEV, errno.EREMOTEIO, errno.EUCLEAN, errno.EMFILE, errno.ENFILE),
    *(errno.ESTALE, errno.ENOTCONN, errno.ETIMEDOUT, errno.EHOSTDOWN, errno.EHOSTUNREACH),
    *(errno.ENETDOWN, errno.ENETUNREACH),
}
# These are about one file as long as the folder above it is there.
DOUBTFUL = {errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.EPERM}
# The libraries that talk to a bucket. Not imported: a site without a bucket need not have them.
OF_BUCKETS = {"boto3", "botocore", "s3transfer"}
NO_FILE = {"404", "NoSuchKey"}  # what a bucket says of a file that it has not
# What SQLite says of the disk below one of its files; without the bits that tell more.
OF_SQLITE = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY}
NO_SPACE = {"QuotaExceeded", "InsufficientStorage", "XMinioStorageFull"}


class StorageFailure(Exception):
    """The storage is full, read-only or away. The message says what it reported, and where."""

    is_full = False

    def __init__(self, cause: Exception | str) -> None:
        words = cause if isinstance(cause, str) else text_of(cause)
        if isinstance(cause, OSError) and cause.strerror:
            words = f"{cause.strerror} ({cause.filename})" if cause.filename else cause.strerror
        super().__init__(words)
        self.is_full = isinstance(cause, OSError) and cause.errno in FULL
        self.is_full |= isinstance(cause, sqlite3.Error) and _code_of_sqlite(cause) == sqlite3.SQLITE_FULL
        self.is_full |= isinstance(cause, Exception) and _said_by_bucket(cause) in NO_SPACE

    @property
    def status(self) -> int:
        """Of an answer over HTTP: insufficient storage, or service unavailable."""
        return 507 if self.is_full else 503


def is_of_storage(error: Exception, root: Path | None = None) -> bool:
    """Whether the storage is at fault, not a file. `root`: a folder known to contain something; if it no
    longer does, a missing or forbidden file below it is no fault of that file.

    Decoders raise OSError without a number for broken content: that is a fault of the file.
    """
    if isinstance(error, StorageFailure):
        return True
    if type(error).__module__.partition(".")[0] in OF_BUCKETS:
        return _said_by_bucket(error) not in NO_FILE
    if not isinstance(error, OSError):
        return False
    return error.errno in FULL | AWAY or (
        root is not None and error.errno in DOUBTFUL and not has_content(root)
    )


def _said_by_bucket(error: Exception) -> str:
    """The code of a bucket's refusal; empty if it did not answer."""
    answer = getattr(error, "response", None)
    return str(answer.get("Error", {}).get("Code", "")) if isinstance(answer, dict) else ""


def _code_of_sqlite(error: sqlite3.Error) -> int:
    """0 if the error is not SQLite's own."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def has_content(folder: Path) -> bool:
    """Whether the folder can be listed and is not empty, as the place of a lost mount is."""
    try:
        with os.scandir(folder) as entries:
            return next(entries, None) is not None
    except OSError:
        return False


def raise_if_of_storage(error: Exception, root: Path | None = None) -> None:
    """Raise StorageFailure if the storage is at fault: see is_of_storage."""
    if isinstance(error, StorageFailure):
        raise error
    if is_of_storage(error, root):
        raise StorageFailure(error) from error


def failure_of(error: BaseException) -> StorageFailure | None:
    """The StorageFailure behind an error that nobody has handled; None if it has another reason. A file is
    missing together with its folder only if the storage is away.
    """
    if isinstance(error, StorageFailure):
        return error
    if not isinstance(error, Exception):
        return None
    path = getattr(error, "filename", None) if isinstance(error, OSError) else None
    root = Path(path).parent if isinstance(path, str | os.PathLike) else None
    return StorageFailure(error) if is_of_storage(error, root) else None


def require_content(folder: Path) -> None:
    """Raise StorageFailure if a folder that contained something cannot be listed any more, or is empty."""
    try:
        with os.scandir(folder) as entries:
            if next(entries, None) is None:
                raise StorageFailure(Text("%(folder)s is empty: is its disk mounted?", folder=folder))
    except OSError as error:
        raise StorageFailure(error) from error


def read_through(path: Path) -> None:
    """Read a file to its end. Libraries that read files themselves hide why they fail; this shows whether
    the storage is the reason: then it raises StorageFailure.
    """
    try:
        with path.open("rb") as file:
            while file.read(1 << 20):
                pass
    except OSError as error:
        raise_if_of_storage(error)


@contextmanager
def for_own_files() -> Iterator[None]:
    """Every OSError in this block is a StorageFailure: the program chose the names of the files itself. So is
    what SQLite reports of the disk, also through Django.
    """
    try:
        yield
    except OSError as error:
        raise StorageFailure(error) from error
    except Exception as error:
        for cause in (error, error.__cause__):
            if isinstance(cause, sqlite3.Error) and _code_of_sqlite(cause) in OF_SQLITE:
                raise StorageFailure(cause) from error
        raise


@contextmanager
def replacing_path(path: Path) -> Iterator[Path]:
    """The path of a new file that takes the place of `path` once the block has ended, flushed to disk: nobody
    reads a part of it, and after any error nothing of it is left. Raises StorageFailure.
    """
    with for_own_files():
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name[-100:], suffix=".part")
        part = Path(name)
        try:
            with os.fdopen(handle):
                yield part
                os.fsync(handle)
            part.chmod(0o644)
            part.replace(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise


@contextmanager
def replacing(path: Path, mode: str = "w", **options: Any) -> Iterator[IO[Any]]:
    """Like replacing_path, as an open file. Text is UTF-8; `options` are those of `open`."""
    if "b" not in mode:
        options = {"encoding": "utf-8", **options}
    with replacing_path(path) as part, part.open(mode, **options) as file:
        yield file


def common_folder(paths: Iterable[str]) -> Path | None:
    """The deepest folder that all files are in: for `require_content` and `is_of_storage`. None without
    files, or if relative and absolute paths are mixed.
    """
    try:
        return Path(os.path.commonpath([os.path.dirname(path) for path in paths]))
    except ValueError:
        return None
