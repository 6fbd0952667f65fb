"""The sources of an intake's files: uploads, a folder or a zip. They refuse files that must not be opened."""

from __future__ import annotations

import io
import re
import stat
import struct
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import IO, Any

from django.conf import settings
from django.core.files.storage import default_storage
from django.utils.translation import gettext as _

from formats.files import walk
from formats.storage import raise_if_of_storage, require_content
from formats.texts import Text, text_of
from formats.zipnames import read_names
from jobs.lease import JobError
from validation.models import IntakeFile
from validation.photos.notes import Note, note
from validation.photos.store import PhotoRefused
from validation.stored import media_folder

MOST_FILES = 200_000
MOST_DIRECTORY_BYTES = 64 * 2**20  # of a zip's directory, which is read as a whole
RECORD = 46  # bytes of an entry in a zip's directory, besides its name, extra field and comment
FOLDER = 0x10  # an attribute of DOS
NO_TEXT = "\N{REPLACEMENT CHARACTER}"
USUAL_COMPRESSION = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # Python unpacks only these piece by piece
Listing = tuple[str, dict[str, Any]]  # a file's name, and what else `open` needs


class Source:
    """Lists the names of files and opens one. `open` refuses what must not be opened. `notes` are what people
    should know about the names, or about what was not read.
    """

    notes: Sequence[Note] = ()

    def names(self) -> Iterator[Listing]:
        yield from ()

    def open(self, file: IntakeFile) -> IO[bytes]:
        return default_storage.open(file.terms["stored"], "rb")

    def close(self) -> None: ...


# --- a folder ---------------------------------------------------------------------------------


def allowed_folder(path: str) -> str:
    """The folder's real path. Raises ValueError if it is outside PHOTO_ROOTS, or not a folder."""
    try:
        real = Path(path).resolve()
        if not any(real.is_relative_to(Path(root).resolve()) for root in settings.PHOTO_ROOTS):
            raise ValueError(Text("Only folders below the server's PHOTO_ROOTS can be taken in."))
        if not real.is_dir():
            raise ValueError(Text("There is no such folder on the server."))
    except (OSError, RuntimeError) as error:  # a name that is too long; a circle of links
        raise_if_of_storage(error)
        raise ValueError(Text("That folder cannot be opened (%(words)s).", words=_words(error))) from error
    return str(real)


class Folder(Source):
    def __init__(self, root: str) -> None:
        self.root = Path(root)

    def names(self) -> Iterator[Listing]:
        """Folders that are not entered give one name each, which `open` refuses."""
        for path, reason in walk(self.root):
            name = _as_text(path)
            if reason:
                yield name, {"refused": reason}
            else:
                # A row keeps only the first characters of a long name: not enough to open the file.
                yield name, {"path": name} if len(name) > 400 else {}

    def open(self, file: IntakeFile) -> IO[bytes]:
        if reason := file.terms.get("refused"):
            raise PhotoRefused(file.name, reason)
        path = self.root / str(file.terms.get("path", file.name))
        if NO_TEXT in file.name and not path.exists():
            require_content(self.root)
            raise PhotoRefused(file.name, _("its name is not UTF-8: rename it"))
        if path.is_symlink() or not path.resolve().is_relative_to(self.root.resolve()):
            raise PhotoRefused(file.name, _("it is a link, which may point anywhere"))
        if not stat.S_ISREG(path.stat().st_mode):
            raise PhotoRefused(file.name, _("it is not a regular file"))
        return path.open("rb")


def _as_text(name: str) -> str:
    """A file name may be any bytes; a database stores text only."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _words(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


# --- a zip ------------------------------------------------------------------------------------


class Archive(Source):
    """A zip whose entries are read in place: nothing is ever unpacked to the path that an entry names."""

    def __init__(self, open_file: Callable[[], IO[bytes]]) -> None:
        """Raises JobError for a zip that is missing or broken."""
        try:
            self.file = open_file()
        except FileNotFoundError as error:
            raise_if_of_storage(error, media_folder())
            raise JobError(
                Text("The archive is missing from the storage."), Text("Upload it again.")
            ) from None
        try:
            end = _check_directory(self.file)
            self.zip = zipfile.ZipFile(self.file)
        except (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error) as error:
            self.file.close()
            why = _why_broken(error)
            raise JobError(
                Text("The archive is not a valid zip file: %(why)s.", why=why), Text("Pack it again.")
            ) from error
        entries = self.zip.infolist()
        names, guess = read_names(entries)
        self.paths = [name.replace("\\", "/") for name in names]
        first = min((entry.header_offset for entry in entries), default=0)
        others = {"in front": first, "behind": self.file.seek(0, io.SEEK_END) - end}
        self.notes = [note(guess.encoding, guess.entries, example=guess.example)] if guess else []
        for where, size in others.items():
            if size > 0:
                self.notes.append(note(where, size))

    def names(self) -> Iterator[Listing]:
        for number, (path, entry) in enumerate(zip(self.paths, self.zip.infolist(), strict=True)):
            is_folder = path.endswith("/") or (entry.external_attr & FOLDER and not entry.file_size)
            if not is_folder:
                yield path or f"entry {number + 1}", {"entry": number}

    def open(self, file: IntakeFile) -> IO[bytes]:
        number = file.terms["entry"]
        entry = self.zip.infolist()[number]
        if reason := _refusal(self.paths[number], entry):
            raise PhotoRefused(file.name, reason)
        try:
            return _Checked(self.zip.open(entry), file.name)
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError) as error:
            raise PhotoRefused(
                file.name, _("its entry in the archive is broken (%(error)s)") % {"error": error}
            ) from error

    def close(self) -> None:
        self.zip.close()
        self.file.close()


def _why_broken(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        name = error.object.decode("utf-8", "replace")[:60]
        return Text("the name “%(name)s” in its directory is marked as UTF-8, but is not UTF-8", name=name)
    said = text_of(error)
    return said if isinstance(said, Text) else said.rstrip(".")


def _check_directory(file: IO[bytes]) -> int:
    """Check the directory's size before ZipFile makes an object of every entry. Returns where the zip ends.
    Raises JobError if the directory is too large.
    """
    # ZipFile's own code finds the directory, for zip64 too: code of our own might find a different one.
    own: Any = zipfile
    end = own._EndRecData(file)
    if end is None:
        raise zipfile.BadZipFile(Text("it has no directory at its end, or much stands behind it"))
    size: int = end[own._ECD_SIZE]
    if size > MOST_DIRECTORY_BYTES:
        raise JobError(
            Text(
                "The archive's directory has %(size)s MB; the limit is %(most_directory_bytes)s MB.",
                size=size >> 20,
                most_directory_bytes=MOST_DIRECTORY_BYTES >> 20,
            ),
            Text("Split it into several archives."),
        )
    at = end[own._ECD_LOCATION] - size
    if end[own._ECD_SIGNATURE] == own.stringEndArchive64:
        at -= own.sizeEndCentDir64 + own.sizeEndCentDir64Locator
    if at < 0:
        raise zipfile.BadZipFile(Text("its directory is cut off"))
    file.seek(at)
    if _count_entries(file.read(size)) > MOST_FILES:
        raise JobError(
            Text("The archive contains more than %(most_files)s files.", most_files=MOST_FILES),
            Text("Split it into several archives."),
        )
    zip_end: int = end[own._ECD_LOCATION] + own.sizeEndCentDir + end[own._ECD_COMMENT_SIZE]
    return zip_end


def _count_entries(directory: bytes) -> int:
    """Count the entries that are there: ZipFile reads these, too, whatever count the zip states."""
    count = at = 0
    while at + RECORD <= len(directory):
        at += RECORD + sum(struct.unpack_from("<3H", directory, at + 28))  # name, extra field, comment
        count += 1
    return count


class _Checked(io.BufferedReader):
    """An entry of a zip. That its checksum or compression is wrong may show only while it is read."""

    def __init__(self, entry: IO[bytes], name: str) -> None:
        super().__init__(entry)  # type: ignore[arg-type]
        self.entry_name = name

    def read(self, size: int | None = -1, /) -> bytes:
        try:
            return super().read(size)
        except Exception as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # the disk; a broken entry has no such number
            raise PhotoRefused(
                self.entry_name, _("its entry in the archive is broken (%(error)s)") % {"error": error}
            ) from error


def _refusal(name: str, entry: zipfile.ZipInfo) -> str:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or re.match(r"[A-Za-z]:", name):
        return _("its path points outside the archive")
    if stat.S_ISLNK(entry.external_attr >> 16):
        return _("it is a link, which may point anywhere")
    if entry.flag_bits & 0x1:
        return _("it is encrypted")
    if entry.compress_type not in USUAL_COMPRESSION:
        return _("it has an unusual compression: use deflate or none")
    if entry.file_size > settings.MAX_PHOTO_BYTES:
        return _("larger than %(max_photo_bytes)s MB") % {
            "max_photo_bytes": f"{settings.MAX_PHOTO_BYTES / 2**20:.0f}"
        }
    return ""
