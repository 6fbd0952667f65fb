"""The size of a HEIC's grid of tiles, from its header. libheif decodes the whole grid before it sees that it
is larger than the file says: 17 KB may contain half a gigapixel.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

SIZE_AT = {b"grid": 4, b"iovl": 10}  # kinds of pictures put together, and where their size stands
Box = tuple[int, int]  # begin and end of a box's content


def grid_pixels(raw: bytes) -> int:
    """The pixels of the largest picture that is put together from others; 0 without one.

    Raises ValueError for a broken header.
    """
    try:
        metas = [place for kind, place in _boxes(raw, 0, len(raw)) if kind == b"meta"]
        return max((_most_pixels(raw, *place) for place in metas), default=0)
    except (IndexError, KeyError, struct.error) as error:
        raise ValueError("the header of the HEIC is broken") from error


def _most_pixels(raw: bytes, begin: int, end: int) -> int:
    meta: dict[bytes, Box] = {}
    for kind, place in _boxes(raw, begin + 4, end):
        meta.setdefault(kind, place)  # the first one counts
    kinds = {item: kind for item, kind in _kinds(raw, *meta[b"iinf"]) if kind in SIZE_AT}
    most = 0
    for item, is_inside, at in _places(raw, *meta[b"iloc"]) if kinds else ():
        if item in kinds:
            at += meta[b"idat"][0] if is_inside else 0
            numbers = ">II" if raw[at + 1] & 1 else ">HH"
            width, height = struct.unpack_from(numbers, raw, at + SIZE_AT[kinds[item]])
            most = max(most, width * height)
    return most


def _boxes(raw: bytes, at: int, end: int) -> Iterator[tuple[bytes, Box]]:
    while at + 8 <= end:
        size, kind = struct.unpack_from(">I4s", raw, at)
        head = 8
        if size == 1:
            (size,), head = struct.unpack_from(">Q", raw, at + 8), 16
        size = size or end - at  # 0: to the end
        if size < head:
            return
        yield kind, (at + head, min(at + size, end))
        at += size


def _kinds(raw: bytes, begin: int, end: int) -> Iterator[tuple[int, bytes]]:
    """(number, kind) of the items."""
    for _, (at, _) in _boxes(raw, begin + (6 if raw[begin] == 0 else 8), end):
        if raw[at] < 2:
            continue  # without a kind
        number, _, kind = struct.unpack_from(">HH4s" if raw[at] == 2 else ">IH4s", raw, at + 4)
        yield number, kind


def _places(raw: bytes, begin: int, end: int) -> Iterator[tuple[int, bool, int]]:
    """(number, whether it lies in the box idat, offset there or in the file) of the items."""
    version, sizes, more_sizes = raw[begin], raw[begin + 4], raw[begin + 5]
    offset_size, length_size, base_size = sizes >> 4, sizes & 15, more_sizes >> 4
    index_size = more_sizes & 15 if version else 0
    number = ">H" if version < 2 else ">I"
    (count,) = struct.unpack_from(number, raw, begin + 6)
    at = begin + 6 + struct.calcsize(number)
    for _ in range(count):
        (item,) = struct.unpack_from(number, raw, at)
        at += struct.calcsize(number)
        is_inside = False
        if version:
            is_inside, at = raw[at + 1] & 15 == 1, at + 2
        at += 2
        base, at = int.from_bytes(raw[at : at + base_size]), at + base_size
        (extents,), at = struct.unpack_from(">H", raw, at), at + 2
        offset = int.from_bytes(raw[at + index_size : at + index_size + offset_size])
        if at > end:
            return
        yield item, is_inside, base + offset
        at += extents * (index_size + offset_size + length_size)
