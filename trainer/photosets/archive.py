"""Unpacks an untrusted tar of photos: it can neither write outside the folder nor fill the disk."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

from django.utils.translation import gettext_noop

from formats.classes import SceneNames, label_folder
from formats.storage import is_of_storage
from formats.texts import Text, text_of
from trainer.photosets.layout import is_photo_name, is_storable

MAX_HEADER = 2**20  # bytes of a long name or of extended attributes, which tarfile holds in memory
MAX_EXPANSION = 20  # photos hardly compress: an archive that grows more than this is no photo set
SLACK = 100 * 2**20  # bytes that even a small archive may unpack to


class BadArchive(Exception):
    """The file is not a tar, or it is damaged. The message says which, and after which entry."""


@dataclass(frozen=True)
class Refused:
    """An entry that was not unpacked, and why."""

    name: str
    reason: str


class _BoundedInfo(tarfile.TarInfo):
    """Refuses headers that announce a name of gigabytes: tarfile would read it into memory."""

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        plain_types = (*tarfile.REGULAR_TYPES, *tarfile.SUPPORTED_TYPES)
        header_types = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE)
        if (self.type in header_types or self.type not in plain_types) and self.size > MAX_HEADER:
            raise tarfile.ReadError(Text("an entry's header is too long"))
        return super()._proc_member(archive)  # type: ignore[misc, no-any-return]


class _Forwards:
    """A file that is read forwards only, because decompressors go back by beginning anew."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.at = 0
        self.last = b""  # what the last call read
        self.unread = b""

    def read(self, size: int) -> bytes:
        kept, self.unread = self.unread[:size], self.unread[size:]
        self.last = kept + self.file.read(size - len(kept)) if size > len(kept) else kept
        self.at += len(self.last)
        return self.last

    def put_back(self) -> None:
        """The next call reads the same again."""
        self.at -= len(self.last)
        self.unread = self.last + self.unread

    def tell(self) -> int:
        return self.at

    def seek(self, at: int) -> int:
        while self.at < at and self.read(min(at - self.at, 2**20)):
            pass
        return self.at


def unpack(
    tar: Path,
    folder: Path,
    *,
    classes: SceneNames,
    max_bytes: int,
    on_progress: Callable[[int], None] = lambda done: None,
) -> Iterator[Refused]:
    """Unpack the photos of the given scene classes below `folder`; yield the refused entries.

    `on_progress` receives how many (compressed) bytes of the tar have been read. A file that an earlier,
    interrupted call unpacked stays, so the call can be repeated. Raises BadArchive if reading cannot
    continue; the files unpacked until then are complete. OSError passes through.
    """
    limit = MAX_EXPANSION * tar.stat().st_size + SLACK
    paths: set[str] = set()
    last = ""
    try:
        with tar.open("rb") as raw:
            for archive, member in _members(_decompressed(raw), limit):
                last = member.name
                on_progress(min(raw.tell(), tar.stat().st_size))
                if member.offset_data + member.size > limit and not member.issparse():
                    raise BadArchive(
                        Text(
                            "it unpacks to more than %(times)s times its size (at “%(name)s”)",
                            times=MAX_EXPANSION,
                            name=last,
                        )
                    )
                if member.isdir():
                    continue
                reason = refusal(member, classes=classes, max_bytes=max_bytes)
                if reason is None and (path := _normalize(member.name)) in paths:
                    reason = gettext_noop("path appears twice in the archive")
                if reason is None:
                    paths.add(path)
                    reason = _write(archive, member, folder, path)
                if reason:
                    yield Refused(member.name, reason)
    except BadArchive:
        raise
    except Exception as error:
        if _is_damage(error):
            raise BadArchive(_describe(error, last)) from error
        raise


def _decompressed(raw: IO[bytes]) -> _Forwards:
    begin = raw.read(6)
    raw.seek(0)
    file: Any = raw
    if begin.startswith(b"\x1f\x8b"):
        file = gzip.GzipFile(fileobj=raw)
    elif begin.startswith(b"BZh"):
        file = bz2.BZ2File(raw)
    elif begin.startswith((b"\xfd7zXZ\0", b"]\0\0\x80")):
        file = lzma.LZMAFile(raw)  # noqa: SIM115 - `raw` is what must be closed
    return _Forwards(file)


def _members(stream: _Forwards, limit: int) -> Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]:
    """The entries of a tar, and of all tars that somebody appended to it. Raises BadArchive if something else
    stands behind its end, which tarfile itself passes over.
    """
    name = ""
    while True:
        archive = tarfile.TarFile(fileobj=cast("IO[bytes]", stream), tarinfo=_BoundedInfo)
        for member in archive:
            name = member.name
            yield archive, member
        if any(stream.last):
            raise BadArchive(_describe(tarfile.ReadError(Text("bad header")), name))
        if not _has_another(stream, limit, name):
            return


def _has_another(stream: _Forwards, limit: int, name: str) -> bool:
    """Pass over the zeros at the end of a tar; then whether another tar begins."""
    try:
        while block := stream.read(tarfile.BLOCKSIZE):
            if any(block):
                tarfile.TarInfo.frombuf(block, tarfile.ENCODING, "surrogateescape")
                stream.put_back()
                return True
            if stream.at > limit:
                break
    except Exception as error:
        if not _is_damage(error):
            raise
        words = Text(
            "behind the archive's end (after “%(name)s”) stands something else, which was not read", name=name
        )
        raise BadArchive(words) from error
    return False


def _is_damage(error: Exception) -> bool:
    """Whether the archive is at fault. An error of the disk has a number."""
    if isinstance(error, OSError):
        return error.errno is None
    known = isinstance(error, (tarfile.TarError, EOFError, ValueError))
    return known or type(error).__module__ in ("zlib", "lzma", "_lzma", "struct")


def refusal(member: tarfile.TarInfo, *, classes: SceneNames, max_bytes: int) -> str | None:
    """The reason why this entry is not unpacked; None if it is."""
    name = PurePosixPath(_normalize(member.name))
    if name.is_absolute() or member.name[1:2] == ":":
        return gettext_noop("absolute path")
    if ".." in name.parts:
        return gettext_noop("path leads out of the archive (..)")
    if member.issym() or member.islnk():
        return gettext_noop("link: links are not followed")
    if not member.isreg():
        return gettext_noop("device or other special file")
    if member.issparse():
        return gettext_noop("sparse file")
    if not is_storable(member.name):
        return gettext_noop("name is not text, or too long")
    if not is_photo_name(member.name):
        return gettext_noop("not a photo file")
    if label_folder(member.name) is None and classes.class_of(member.name) is None:
        return gettext_noop("unknown class folder")
    if member.size > max_bytes:
        return gettext_noop("file too large")
    return None


def _normalize(name: str) -> str:
    return PurePosixPath(name.replace("\\", "/")).as_posix()


def _write(archive: tarfile.TarFile, member: tarfile.TarInfo, folder: Path, path: str) -> str | None:
    """Write by way of a temporary name, so that no file is ever incomplete. Returns the reason if refused."""
    target = folder / path
    part = target.with_name(f".{target.name[-100:]}.part")
    try:
        if target.is_file():
            return None
        source = archive.extractfile(member)
        content = source.read() if source else b""
        if len(content) != member.size:
            raise tarfile.ReadError(Text("unexpected end of data"))
        target.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(content)
        os.replace(part, target)
    except (OSError, ValueError) as error:
        part.unlink(missing_ok=True)
        if isinstance(error, OSError) and (error.errno is None or is_of_storage(error, folder)):
            raise  # the stream or the whole disk is at fault, not this name
        return gettext_noop("name that this disk does not accept")
    return None


def _describe(error: Exception, last: str) -> Text:
    if not last:
        return Text("it is not a tar archive")
    return Text("it is cut off or damaged after “%(name)s” (%(error)s)", name=last, error=text_of(error))
