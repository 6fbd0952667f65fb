"""What a name in a listing stands for: a photo, another file, or something a system left behind."""

from __future__ import annotations

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
