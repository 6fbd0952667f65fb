"""Unpacks an untrusted tar of photos: it can neither write outside the folder nor fill the disk."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from formats.storage import is_of_storage
from trainer.photosets.layout import class_of, is_photo_name, is_storable

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
            raise tarfile.ReadError("an entry's header is too long")
        return super()._proc_member(archive)  # type: ignore[misc, no-any-return]


def unpack(
    tar: Path,
    folder: Path,
    *,
    classes: Container[str],
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
        with tar.open("rb") as raw, tarfile.open(fileobj=raw, mode="r|*", tarinfo=_BoundedInfo) as archive:
            for member in archive:
                last = member.name
                on_progress(min(raw.tell(), tar.stat().st_size))
                if member.offset_data + member.size > limit and not member.issparse():
                    raise BadArchive(f"it unpacks to more than {MAX_EXPANSION} times its size (at “{last}”)")
                if member.isdir():
                    continue
                reason = refusal(member, classes=classes, max_bytes=max_bytes)
                if reason is None and (path := _normalize(member.name)) in paths:
                    reason = "path appears twice in the archive"
                if reason is None:
                    paths.add(path)
                    reason = _write(archive, member, folder, path)
                if reason:
                    yield Refused(member.name, reason)
    except BadArchive:
        raise
    except (tarfile.TarError, EOFError, ValueError, UnicodeError) as error:
        raise BadArchive(_describe(error, last)) from error
    except OSError as error:
        if error.errno is not None:  # an error of the disk: a broken compressed stream has no number
            raise
        raise BadArchive(_describe(error, last)) from error
    except Exception as error:  # zlib.error, lzma.LZMAError, struct.error: a damaged stream
        if type(error).__module__ in ("zlib", "lzma", "_lzma", "struct", "compression.zstd"):
            raise BadArchive(_describe(error, last)) from error
        raise


def refusal(member: tarfile.TarInfo, *, classes: Container[str], max_bytes: int) -> str | None:
    """The reason why this entry is not unpacked; None if it is."""
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
        return "name is not text, or too long"
    if not is_photo_name(member.name):
        return "not a photo file"
    if class_of(member.name, classes) is None:
        return "unknown class folder"
    if member.size > max_bytes:
        return "file too large"
    return None


def _normalize(name: str) -> str:
    return PurePosixPath(name).as_posix()


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
            raise tarfile.ReadError("unexpected end of data")
        target.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(content)
        os.replace(part, target)
    except (OSError, ValueError) as error:
        part.unlink(missing_ok=True)
        if isinstance(error, OSError) and (error.errno is None or is_of_storage(error, folder)):
            raise  # the stream or the whole disk is at fault, not this name
        return "name that this disk does not accept"
    return None


def _describe(error: Exception, last: str) -> str:
    if not last:
        return "it is not a tar archive"
    return f"it is cut off or damaged after “{last}” ({error})"
