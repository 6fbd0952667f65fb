"""Unpacks a tar of photos that somebody sent: nothing lands outside the folder, nothing exhausts the disk."""

from __future__ import annotations

import errno
import os
import tarfile
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from trainer.photosets.layout import class_of, is_photo_name, is_storable

MAX_HEADER = 2**20  # bytes of a long name or of extended attributes, which tarfile holds in memory
MAX_EXPANSION = 20  # photos hardly compress: an archive that grows more than this is no photo set
SLACK = 100 * 2**20  # bytes that even a small archive may unpack to


class BadArchive(Exception):
    """Not a tar, or one that cannot be read on. The message says which, and after what entry."""


@dataclass(frozen=True)
class Refused:
    """An entry that was not unpacked, and why."""

    name: str
    reason: str


class _BoundedInfo(tarfile.TarInfo):
    """Refuses headers that announce gigabytes of name: tarfile would read them into memory."""

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        plain = (*tarfile.REGULAR_TYPES, *tarfile.SUPPORTED_TYPES)
        named = self.type in (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE)
        if (named or self.type == tarfile.XGLTYPE or self.type not in plain) and self.size > MAX_HEADER:
            raise tarfile.ReadError("an entry's header is too long")
        return super()._proc_member(archive)  # type: ignore[misc, no-any-return]


def unpack(
    tar: Path,
    folder: Path,
    *,
    known: Container[str],
    max_bytes: int,
    on_progress: Callable[[int], None] = lambda done: None,
) -> Iterator[Refused]:
    """Unpack the photos of known classes below folder; yields what was refused. Safe to repeat.

    `on_progress` hears how many bytes of the tar (compressed) are read. A file unpacked by an earlier,
    interrupted call stays. Raises BadArchive where reading cannot go on; what was unpacked is whole.
    OSError with errno ENOSPC passes through.
    """
    limit = MAX_EXPANSION * tar.stat().st_size + SLACK
    seen: set[str] = set()
    last = ""
    try:
        with tar.open("rb") as raw, tarfile.open(fileobj=raw, mode="r|*", tarinfo=_BoundedInfo) as archive:
            for member in archive:
                last = member.name
                on_progress(min(raw.tell(), tar.stat().st_size))
                if member.offset_data + member.size > limit and not member.issparse():
                    raise BadArchive(f"it unpacks to more than {MAX_EXPANSION} times its size (at “{last}”)")
                if member.isdir():
                    continue
                reason = refusal(member, known=known, max_bytes=max_bytes)
                if reason is None and (path := _tidy(member.name)) in seen:
                    reason = "the same path twice in the archive"
                if reason is None:
                    seen.add(path)
                    reason = _write(archive, member, folder / path)
                if reason:
                    yield Refused(member.name, reason)
    except BadArchive:
        raise
    except (tarfile.TarError, EOFError, ValueError, UnicodeError) as error:
        raise BadArchive(_words(error, last)) from error
    except OSError as error:
        if error.errno is not None:  # the disk; a broken compressed stream carries no number
            raise
        raise BadArchive(_words(error, last)) from error
    except Exception as error:  # zlib.error, lzma.LZMAError, struct.error: a damaged stream
        if type(error).__module__ in ("zlib", "lzma", "_lzma", "struct", "compression.zstd"):
            raise BadArchive(_words(error, last)) from error
        raise


def refusal(member: tarfile.TarInfo, *, known: Container[str], max_bytes: int) -> str | None:
    """Why this entry is not unpacked, or None."""
    name = PurePosixPath(member.name)
    if name.is_absolute() or member.name.startswith("\\") or member.name[1:2] == ":":
        return "absolute path"
    if ".." in name.parts:
        return "path leads out of the archive (..)"
    if member.issym() or member.islnk():
        return "link"
    if not member.isreg():
        return "device or other special file"
    if member.issparse():
        return "sparse file"
    if not is_storable(member.name):
        return "name that is no text, or too long"
    if not is_photo_name(member.name):
        return "not a photo by its name"
    if class_of(member.name, known) is None:
        return "unknown class folder"
    if member.size > max_bytes:
        return "too large a file"
    return None


def _tidy(name: str) -> str:
    return PurePosixPath(name).as_posix()


def _write(archive: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> str | None:
    """By way of a temporary name, so that a file that stands is whole. Returns why it could not be."""
    part = target.with_name(f".{target.name[-100:]}.part")
    try:
        if target.is_file():
            return None
        source = archive.extractfile(member)
        content = source.read() if source else b""
        if len(content) != member.size:
            raise tarfile.ReadError("unexpected end of data")
        target.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(content)
        os.replace(part, target)
    except (OSError, ValueError) as error:
        part.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno in (None, errno.ENOSPC, errno.EDQUOT, errno.EROFS):
            raise  # the stream or the whole disk, not this name
        return "name that this disk does not take"
    return None


def _words(error: Exception, last: str) -> str:
    if not last:
        return "it is not a tar archive"
    return f"it is cut off or damaged after “{last}” ({error})"
