"""Counts the scans (passes over the picture) of a JPEG. Pure: nothing is decoded."""

from __future__ import annotations

import re

# Progressive JPEGs have ten or so. A file may hold a hundred thousand empty ones, a few bytes each, and each
# costs the decoder a walk over all pixels: 15 MB of them take it twenty minutes.
MOST_SCANS = 100

# Not the stuffed zero of coded data, not what stands alone (TEM, RST, SOI), and no fill byte.
_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd8\xff]")
_SCAN, _END = 0xDA, 0xD9


def count_scans(raw: bytes) -> int:
    """How many scans a decoder would read from these bytes of a JPEG, up to its end."""
    at, scans = 0, 0
    while match := _MARKER.search(raw, at):
        at, marker = match.end(), raw[match.end() - 1]
        if marker == _END:
            break
        scans += marker == _SCAN
        at += int.from_bytes(raw[at : at + 2])  # a segment says its length; coded data follows a scan's
    return scans


def too_many_scans(raw: bytes) -> str:
    """Why this JPEG must not be decoded; blank if it may."""
    scans = count_scans(raw)
    return f"its JPEG has {scans:,} scans, more than {MOST_SCANS}" if scans > MOST_SCANS else ""
