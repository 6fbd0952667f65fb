"""Counts the scans (passes over the picture) of a JPEG. Pure: nothing is decoded."""

from __future__ import annotations

import re

# A progressive JPEG has about ten. A hostile file may hold a hundred thousand empty ones of a few bytes, and
# for each the decoder walks over all pixels: 15 MB of them take twenty minutes.
MOST_SCANS = 100

# Excludes the stuffed zero of coded data, markers without a segment (TEM, RST, SOI), and fill bytes.
_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd8\xff]")
_SCAN, _END = 0xDA, 0xD9


def count_scans(raw: bytes) -> int:
    """The number of scans that a decoder would read from these bytes of a JPEG, up to its end marker."""
    at, scans = 0, 0
    while match := _MARKER.search(raw, at):
        at, marker = match.end(), raw[match.end() - 1]
        if marker == _END:
            break
        scans += marker == _SCAN
        at += int.from_bytes(
            raw[at : at + 2]
        )  # a segment begins with its length; coded data follows a scan's
    return scans
