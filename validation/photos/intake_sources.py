"""Where the files of an intake come from: uploads, a folder, a zip; and what of them must not be opened."""

from __future__ import annotations

import io
import os
import re
import stat
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any

from django.conf import settings
from django.core.files.storage import default_storage

from jobs.lease import JobError
from validation.models import IntakeFile
from validation.photos.store import PhotoRefused

MOST_FILES = 200_000
MOST_DIRECTORY_BYTES = 64 * 2**20  # of a zip's directory, which is read whole
RECORD = 46  # bytes of an entry in a zip's directory, beside its name, extra field and comment
NO_TEXT = "\N{REPLACEMENT CHARACTER}"
PACKED_AS_USUAL = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # only these are unpacked bit by bit
Found = tuple[str, dict[str, Any]]  # a file's name, and what `open` needs beside it


class Source:
    """Names of files, and the bytes of one. What must not be opened is refused by `open`."""

    def names(self) -> Iterator[Found]:
        yield from ()

    def open(self, file: IntakeFile) -> IO[bytes]:
        return default_storage.open(file.terms["stored"], "rb")

    def close(self) -> None: ...


# --- a folder ---------------------------------------------------------------------------------


def allowed_folder(path: str) -> str:
    """The folder's real path. Raises ValueError outside of PHOTO_ROOTS, or if it is none."""
    try:
        real = Path(path).resolve()
        if not any(real.is_relative_to(Path(root).resolve()) for root in settings.PHOTO_ROOTS):
            raise ValueError("Only folders below the server's PHOTO_ROOTS can be taken in.")
        if not real.is_dir():
            raise ValueError("There is no such folder on the server.")
    except (OSError, RuntimeError) as error:  # a name too long; links that lead round
        raise ValueError(f"That folder cannot be looked at ({_words(error)}).") from error
    return str(real)


class Folder(Source):
    def __init__(self, root: str) -> None:
        self.root = Path(root)

    def names(self) -> Iterator[Found]:
        """A folder that cannot be read is one name, which is refused; links are not followed."""
        waiting = [""]  # not by recursion, which ends at a thousand folders in each other
        while waiting:
            folder = waiting.pop()
            try:
                files, folders = self._listed(folder)
            except OSError as error:
                yield _as_text(f"{folder or '.'}/"), {"refused": f"it cannot be listed ({_words(error)})"}
                continue
            waiting += reversed(folders)
            for name in files:
                # Rows hold the first characters of a long name: not enough to open it.
                yield _as_text(name), {"path": _as_text(name)} if len(name) > 400 else {}

    def _listed(self, folder: str) -> tuple[list[str], list[str]]:
        files: list[str] = []
        folders: list[str] = []
        with os.scandir(self.root / folder) as found:
            for entry in found:
                kind = folders if entry.is_dir(follow_symlinks=False) else files
                kind.append(f"{folder}/{entry.name}" if folder else entry.name)
        return sorted(files), sorted(folders)

    def open(self, file: IntakeFile) -> IO[bytes]:
        if reason := file.terms.get("refused"):
            raise PhotoRefused(file.name, reason)
        path = self.root / str(file.terms.get("path", file.name))
        if NO_TEXT in file.name and not path.exists():
            raise PhotoRefused(file.name, "its name is not UTF-8: rename it")
        if path.is_symlink() or not path.resolve().is_relative_to(self.root.resolve()):
            raise PhotoRefused(file.name, "a link, which may lead anywhere")
        if not stat.S_ISREG(path.stat().st_mode):
            raise PhotoRefused(file.name, "not a plain file")
        return path.open("rb")


def _as_text(name: str) -> str:
    """File systems hold any bytes as a name; databases hold text only."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _words(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


# --- a zip ------------------------------------------------------------------------------------


class Archive(Source):
    """A zip's entries are read where they are, never unpacked to their names."""

    def __init__(self, stored: str) -> None:
        try:
            self.file = default_storage.open(stored, "rb")
        except FileNotFoundError:
            raise JobError("The archive is gone from the storage.", "Upload it again.") from None
        try:
            _check_directory(self.file)
            self.zip = zipfile.ZipFile(self.file)
        except (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error) as error:
            self.file.close()
            why = _why_broken(error)
            raise JobError(f"The archive is no zip file, or broken: {why}.", "Pack it again.") from error

    def names(self) -> Iterator[Found]:
        for number, entry in enumerate(self.zip.infolist()):
            if not entry.filename.endswith("/"):
                yield entry.filename or f"entry {number + 1}", {"entry": number}

    def open(self, file: IntakeFile) -> IO[bytes]:
        entry = self.zip.infolist()[file.terms["entry"]]
        if reason := _refusal(entry):
            raise PhotoRefused(file.name, reason)
        try:
            return _Checked(self.zip.open(entry), file.name)
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError) as error:
            raise PhotoRefused(file.name, f"its entry in the archive is broken ({error})") from error

    def close(self) -> None:
        self.zip.close()
        self.file.close()


def _why_broken(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        name = error.object.decode("utf-8", "replace")[:60]
        return f"the name “{name}” in its directory is not the UTF-8 that it says it is"
    return str(error).rstrip(".")


def _check_directory(file: IO[bytes]) -> None:
    """Before ZipFile makes an object of every entry. Raises JobError for a directory that is too large."""
    # ZipFile's own reading of where the directory is, zip64 too: one of ours might find another one.
    own: Any = zipfile
    end = own._EndRecData(file)
    if end is None:
        raise zipfile.BadZipFile("it has no directory at its end")
    size: int = end[own._ECD_SIZE]
    if size > MOST_DIRECTORY_BYTES:
        raise JobError(
            f"The archive's directory takes {size >> 20:,} MB, more than {MOST_DIRECTORY_BYTES >> 20}.",
            "Pack it in several parts.",
        )
    at = end[own._ECD_LOCATION] - size
    if end[own._ECD_SIGNATURE] == own.stringEndArchive64:
        at -= own.sizeEndCentDir64 + own.sizeEndCentDir64Locator
    if at < 0:
        raise zipfile.BadZipFile("its directory is cut off")
    file.seek(at)
    if _count_entries(file.read(size)) > MOST_FILES:
        raise JobError(f"More than {MOST_FILES:,} files in the archive.", "Pack it in several parts.")


def _count_entries(directory: bytes) -> int:
    """Those that are there: how many it says there are is not what ZipFile goes by."""
    count = at = 0
    while at + RECORD <= len(directory):
        at += RECORD + sum(struct.unpack_from("<3H", directory, at + 28))  # name, extra field, comment
        count += 1
    return count


class _Checked(io.BufferedReader):
    """An entry whose checksum and compression may turn out wrong only while it is read."""

    def __init__(self, entry: IO[bytes], name: str) -> None:
        super().__init__(entry)  # type: ignore[arg-type]
        self.entry_name = name

    def read(self, size: int | None = -1, /) -> bytes:
        try:
            return super().read(size)
        except Exception as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # the disk; a broken entry has no such number
            raise PhotoRefused(self.entry_name, f"its entry in the archive is broken ({error})") from error


def _refusal(entry: zipfile.ZipInfo) -> str:
    path = PurePosixPath(entry.filename.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or re.match(r"[A-Za-z]:", entry.filename):
        return "its name leads out of the archive"
    if stat.S_ISLNK(entry.external_attr >> 16):
        return "a link, which may lead anywhere"
    if entry.flag_bits & 0x1:
        return "it is encrypted"
    if entry.compress_type not in PACKED_AS_USUAL:
        return "it is packed in an unusual way: pack it as deflate, or not at all"
    if entry.file_size > settings.MAX_PHOTO_BYTES:
        return f"larger than {settings.MAX_PHOTO_BYTES / 2**20:.0f} MB"
    return ""
