"""Lists folders, and says what a name stands for: a photo, another file, or something a system left."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from formats.storage import raise_if_of_storage

# More than we open: whatever a list of folders names with such an ending is a file, not a class.
PICTURES = frozenset(
    f".{ending}"
    for ending in (
        *("jpg", "jpeg", "jpe", "jfif", "png", "webp", "gif", "bmp", "tif", "tiff", "heic", "heif", "avif"),
        *("jp2", "jxl", "dng", "cr2", "nef", "arw", "raw"),
    )
)
OTHER_FILES = frozenset(
    f".{ending}"
    for ending in (
        *("txt", "csv", "tsv", "json", "xml", "yml", "yaml", "md", "html", "pdf", "db", "ini", "log", "lnk"),
        *("zip", "tar", "gz", "npy", "mat", "mp4", "mov", "avi", "py"),
    )
)
SYSTEM_NAMES = frozenset(
    ("@eadir", "__macosx", "thumbs.db", "desktop.ini", "$recycle.bin", "system volume information")
)


def is_photo(name: str) -> bool:
    return _ending(name) in PICTURES and not is_left_by_system(name)


def is_file(name: str) -> bool:
    """Whether the name is one of a file, by its ending."""
    return _ending(name) in PICTURES or _ending(name) in OTHER_FILES


def _ending(name: str) -> str:
    return "".join(name.lower().rpartition(".")[1:])


def is_left_by_system(path: str) -> bool:
    """Hidden files and folders, thumbnails and bins, wherever in the path. `.` and `..` are none."""
    parts = (part.lower() for part in path.split("/"))
    return any(part in SYSTEM_NAMES or (part[:1] == "." and part not in (".", "..")) for part in parts)


def is_inside(path: Path, root: Path) -> bool:
    """Whether path, with every link in it followed, is root or below it. Unlike Path.resolve, realpath raises
    nothing for a circle of links: opening such a path tells what is wrong.
    """
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root))


def walk(root: Path) -> Iterator[tuple[str, str]]:
    """Every file below root, as a relative path with forward slashes and an empty reason. A folder that is
    not entered is there, too, with the reason: a link, or one that cannot be listed. Raises StorageFailure
    if that is the disk's fault.
    """
    queue = [""]  # not by recursion, which fails at a depth of a thousand folders
    while queue:
        folder = queue.pop()
        try:
            files, folders = _list(root, folder)
        except OSError as error:
            raise_if_of_storage(error, root)
            yield f"{folder or '.'}/", f"folder cannot be listed ({error.strerror or error})"
            continue
        queue += reversed(folders)
        for path in files:
            # Links to folders are not followed: they may lead anywhere, also round in a circle.
            is_linked_folder = os.path.islink(root / path) and os.path.isdir(root / path)
            yield path, "link to a folder: links are not followed" if is_linked_folder else ""


def _list(root: Path, folder: str) -> tuple[list[str], list[str]]:
    files: list[str] = []
    folders: list[str] = []
    with os.scandir(root / folder) as entries:
        for entry in entries:
            paths = folders if entry.is_dir(follow_symlinks=False) else files
            paths.append(f"{folder}/{entry.name}" if folder else entry.name)
    return sorted(files), sorted(folders)
