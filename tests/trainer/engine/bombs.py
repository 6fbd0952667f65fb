"""Photo files of few bytes whose decoders would need much memory. Made here, so that none is stored."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

from PIL import Image

HEIC = Path(__file__).parents[2] / "validation" / "photos" / "large.heic"  # we cannot write HEIC
TILE = (1600, 1200)  # pixels of that photo


def encoded(photo: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    photo.save(file := io.BytesIO(), kind, **options)
    return file.getvalue()


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(width: int, height: int, data: bytes = b"", *, depth: int = 8, colour: int = 2) -> bytes:
    """A PNG whose header announces this size; `data` are its compressed rows."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def zeros(size: int) -> bytes:
    """So many zeros, compressed 1000-fold."""
    packer = zlib.compressobj(9)
    parts = [packer.compress(bytes(min(2**20, size - at))) for at in range(0, size, 2**20)]
    return b"".join((*parts, packer.flush()))


def tiff_of_one_tile(side: int, data: bytes = b"") -> bytes:
    """A grey TIFF of 64 × 64 pixels in a single tile of side × side; `data` is the compressed tile."""
    fields = {256: 64, 257: 64, 258: 8, 259: 8, 262: 1, 277: 1, 322: side, 323: side, 324: 0, 325: len(data)}
    fields[324] = 8 + 2 + 12 * len(fields) + 4
    rows = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in fields.items())
    return b"II*\0" + struct.pack("<IH", 8, len(fields)) + rows + bytes(4) + data


def tiff_of_strips(count: int, *, order: str = "<", is_big: bool = False) -> bytes:
    """A grey TIFF of `count` rows of one pixel, each in a strip of its own, at two bytes a strip."""
    fields = {256: (4, 1, 1), 257: (4, 1, count), 258: (3, 1, 8), 259: (3, 1, 1), 262: (3, 1, 1)}
    fields |= {273: (3, count, 0), 277: (3, 1, 1), 278: (4, 1, 1)}
    start = 24 + 20 * len(fields) + 8 if is_big else 10 + 12 * len(fields) + 4
    fields[273] = (3, count, start)
    head = (b"II", b"MM")[order == ">"] + struct.pack(order + "H", 43 if is_big else 42)
    if is_big:
        head += struct.pack(order + "HHQQ", 8, 0, 16, len(fields))
        entry, last = order + "HHQ", order + "Q"
    else:
        head += struct.pack(order + "IH", 8, len(fields))
        entry, last = order + "HHI", order + "I"
    rows = b""
    for tag, (kind, number, value) in fields.items():
        is_short = kind == 3 and number == 1
        place = struct.pack(order + "H", value) if is_short else struct.pack(last, value)
        rows += struct.pack(entry, tag, kind, number) + place.ljust(struct.calcsize(last), b"\0")
    return head + rows + struct.pack(last, 0) + bytes(2) * count


def heic_of_tiles(
    across: int, down: int, *, size: tuple[int, int] | None = None, is_overlay: bool = False
) -> bytes:
    """A HEIC of across × down tiles, which are all the same 1600 × 1200 pixels. Its header says that it has
    `size` pixels, by default as many as it has. As an overlay it says nowhere where its tiles go.
    """
    width, height = TILE[0] * across, TILE[1] * down
    tiles = range(2, 2 + across * down)  # each an item, with the same bytes; item 1 is the whole
    grid = struct.pack(">BBBBII", 0, 1, down - 1, across - 1, width, height)
    overlay = struct.pack(">BB4HII", 0, 1, 0, 0, 0, 0, width, height)
    kind, whole = (b"iovl", overlay) if is_overlay else (b"grid", grid)
    properties = box(b"ipco", _box_in(b"hvcC"), ispe(*TILE), ispe(*(size or (width, height))))
    links = b"".join(struct.pack(">HBBB", tile, 2, 0x81, 0x02) for tile in tiles)
    links = struct.pack(">II", 0, 1 + len(tiles)) + struct.pack(">HBB", 1, 1, 0x03) + links
    references = struct.pack(f">HH{len(tiles)}H", 1, len(tiles), *tiles)
    items = [item(1, kind), *(item(tile, b"hvc1") for tile in tiles)]
    coded = _coded()

    def head(start: int) -> bytes:
        places = struct.pack(">IBBH", 1 << 24, 0x44, 0, 1 + len(tiles))
        places += struct.pack(">HHHHII", 1, 1, 0, 1, 0, len(whole))
        places += b"".join(struct.pack(">HHHHII", tile, 0, 0, 1, start, len(coded)) for tile in tiles)
        return box(b"ftyp", b"heic\0\0\0\0mif1heic") + box(
            b"meta",
            bytes(4),
            box(b"hdlr", bytes(8), b"pict", bytes(13)),
            box(b"pitm", bytes(4), struct.pack(">H", 1)),
            box(b"iloc", places),
            box(b"iinf", bytes(4), struct.pack(">H", len(items)), *items),
            box(b"iprp", properties, box(b"ipma", links)),
            box(b"iref", bytes(4), box(b"dimg", references)),
            box(b"idat", whole),
        )

    return head(len(head(0)) + 8) + box(b"mdat", coded)


def heic_that_says(width: int, height: int) -> bytes:
    """A HEIC of 1600 × 1200 pixels whose header says otherwise."""
    return HEIC.read_bytes().replace(struct.pack(">II", *TILE), struct.pack(">II", width, height))


def box(name: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I", len(body) + 8) + name + body


def ispe(width: int, height: int) -> bytes:
    return box(b"ispe", struct.pack(">III", 0, width, height))


def item(number: int, kind: bytes) -> bytes:
    is_hidden = kind == b"hvc1"  # a tile is no photo of its own
    return box(b"infe", struct.pack(">IHH", (2 << 24) + is_hidden, number, 0), kind, b"\0")


def _box_in(name: bytes) -> bytes:
    raw = HEIC.read_bytes()
    at = raw.index(name) - 4
    return raw[at : at + int.from_bytes(raw[at : at + 4])]


def _coded() -> bytes:
    """The coded photo: the file contains nothing else in its box of data."""
    return _box_in(b"mdat")[8:]
