"""The folders on the server that people may name in the browser."""

from __future__ import annotations

import os
from pathlib import Path

from django.conf import settings

from formats.files import is_inside


def browser_roots() -> list[Path]:
    """The folders below which photos may be registered, or learned from, in the browser."""
    return [*settings.PHOTO_ROOTS, settings.BASE_DIR / "samples/photoset"]


def is_allowed_in_browser(folder: Path) -> bool:
    """Whether it is one of these folders or inside one, links followed. A relative path is none."""
    if not folder.is_absolute() or "\0" in str(folder):
        return False
    return any(is_inside(folder, root) for root in browser_roots())


def is_folder(folder: Path) -> bool:
    """Whether there is such a folder. Unlike Path.is_dir, it is also False for a name that is too long, and
    for a folder in one that may not be opened.
    """
    return os.path.isdir(folder)
