"""The folders on the server that people may name in the browser."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings


def browser_roots() -> list[Path]:
    """The folders below which photos may be registered, or learned from, in the browser."""
    return [*settings.PHOTO_ROOTS, settings.BASE_DIR / "samples/photoset"]


def is_allowed_in_browser(folder: Path) -> bool:
    """Whether it is one of these folders or inside one, links followed."""
    return any(folder.resolve().is_relative_to(root.resolve()) for root in browser_roots())
