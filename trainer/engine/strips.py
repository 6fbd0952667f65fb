"""Counts the strips (or tiles) of a TIFF without opening it. Pillow makes an object of each when it does:
15 MB of hostile offsets would take 2.6 GB and half a minute.
"""

from __future__ import annotations

import struct
from typing import BinaryIO

# 40 megapixels in tiles of 16 × 16 are fewer.
MOST_STRIPS = 200_000

OFFSETS = (273, 324)  # of strips, of tiles
BIG = 43  # a TIFF with 64-bit offsets


def count_strips(file: BinaryIO) -> int:
    """The number of strips or tiles in the first picture of the file; 0 if it is no TIFF."""
    file.seek(0)
    head = file.read(16).ljust(16, b"\0")
    order = {b"II": "<", b"MM": ">"}.get(head[:2])
    if order is None:
        return 0
    is_big = head[2] == BIG  # as Pillow decides it
    count, field = (order + "Q", order + "HHQ8x") if is_big else (order + "H", order + "HHI4x")
    (place,) = struct.unpack_from(order + ("Q" if is_big else "I"), head, 8 if is_big else 4)
    size = struct.calcsize(field)
    try:
        file.seek(place)
        (fields,) = struct.unpack(count, file.read(struct.calcsize(count)))
        content = file.read(min(fields, 2**16) * size)
    except (OSError, OverflowError, struct.error):  # Pillow will say what is wrong with it
        return 0
    content = content[: len(content) // size * size]
    return max((n for tag, _, n in struct.iter_unpack(field, content) if tag in OFFSETS), default=0)
