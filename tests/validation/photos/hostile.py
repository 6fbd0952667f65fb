"""Files that must not be taken in: {name: bytes}. Made here, so that they are the same everywhere."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

from PIL import Image


def picture(kind: str, size: tuple[int, int] = (320, 240), **options: object) -> bytes:
    """Noise, so that a truncated file really lacks something."""
    buffer = io.BytesIO()
    noise = Image.effect_noise(size, 60).convert("RGB")
    noise.save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, data: bytes = b"0", depth: int = 8, colour: int = 2) -> bytes:
    """A PNG whose header declares this size, and which contains this data."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def files() -> dict[str, bytes]:
    contents: dict[str, bytes] = {}
    whole = {"jpg": picture("JPEG"), "png": picture("PNG"), "webp": picture("WEBP")}
    # Noise, too, but stored as a file: HEIC encoders are under the GPL.
    whole["heic"] = Path(__file__).with_name("noise.heic").read_bytes()
    whole["progressive.jpg"] = picture("JPEG", progressive=True)
    # Truncated, at five places each.
    for name, raw in whole.items():
        for share in (0.01, 0.1, 0.3, 0.6, 0.9):
            contents[f"cut-{share}.{name}"] = raw[: max(4, int(len(raw) * share))]
    # Decompression bombs: few bytes, many pixels.
    for side in (12_000, 30_000, 60_000, 200_000, 2**31 - 1):
        contents[f"bomb-{side}.png"] = png(side, side)
    contents["bomb-line.png"] = png(100_000_001, 1)
    contents["bomb-column.png"] = png(1, 100_000_001)
    contents["bomb-filled.png"] = png(20_000, 20_000, bytes(2**20))
    contents["nothing.png"] = png(0, 0)
    contents["short-of-data.png"] = png(500, 500)
    contents["bad-depth.png"] = png(10, 10, depth=7)
    contents["bad-checksum.png"] = whole["png"][:60] + b"\x00\x01\x02\x03" + whole["png"][64:]
    # Executables, scripts and documents under a photo's name.
    contents["elf.jpg"] = b"\x7fELF\x02\x01\x01" + bytes(500)
    contents["windows.jpg"] = b"MZ\x90\x00" + bytes(500)
    contents["macho.jpg"] = b"\xcf\xfa\xed\xfe" + bytes(500)
    contents["java.jpg"] = b"\xca\xfe\xba\xbe" + bytes(500)
    contents["wasm.webp"] = b"\x00asm\x01\x00\x00\x00" + bytes(200)
    contents["shell.jpg"] = b"#!/bin/sh\nrm -rf /\n"
    contents["php.jpg"] = b"<?php system($_GET['c']); ?>"
    contents["python.jpg"] = b"import os\nos.system('id')\n"
    contents["html.jpg"] = b"<html><body>\xff\xd8\xff</body></html>"
    contents["svg.png"] = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
    contents["xxe.svg"] = b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><svg>&e;</svg>'
    contents["pdf.jpg"] = b"%PDF-1.7\n" + bytes(300)
    contents["postscript.jpg"] = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\nshowpage\n"
    contents["zip.jpg"] = archive({"a.jpg": whole["jpg"]})
    contents["gzip.jpg"] = b"\x1f\x8b\x08" + bytes(100)
    contents["tar.jpg"] = b"photo.jpg".ljust(257, b"\0") + b"ustar\x0000" + bytes(300)
    contents["sqlite.jpg"] = b"SQLite format 3\x00" + bytes(200)
    contents["mp4.heic"] = b"\x00\x00\x00\x18ftypmp42" + bytes(300)
    # Pictures in formats that are not accepted.
    for kind in ("GIF", "BMP", "TIFF", "ICO", "PPM", "TGA", "PCX", "ICNS", "JPEG2000"):
        size = (64, 64) if kind in ("ICO", "ICNS") else (320, 240)
        contents[f"other-kind-{kind}.jpg"] = picture(kind, size)
    # Headers without data, and noise.
    contents["empty.jpg"] = b""
    contents["one-byte.jpg"] = b"\xff"
    contents["soi.jpg"] = b"\xff\xd8"
    contents["soi-eoi.jpg"] = b"\xff\xd8\xff\xd9"
    contents["riff.webp"] = b"RIFF\xff\xff\xff\xffWEBPVP8 "
    contents["zeros.jpg"] = bytes(5000)
    contents["text.jpg"] = b"Ceci n'est pas une photo." * 20
    contents["jpeg-then-noise.jpg"] = whole["jpg"][:400] + bytes(range(256)) * 20
    contents["many-scans.jpg"] = many_scans(200)
    contents["ftyp-heic.heic"] = b"\x00\x00\x00\x18ftypheic" + bytes(16) + b"\xff" * 200
    return contents


def many_scans(count: int, width: int = 64, height: int = 48) -> bytes:
    """A grey progressive JPEG; `count` of its scans change nothing, and are slow to decode."""

    def segment(marker: int, body: bytes) -> bytes:
        return bytes((0xFF, marker)) + (len(body) + 2).to_bytes(2) + body

    def coded(bits: str) -> bytes:
        bits += "1" * (-len(bits) % 8)
        return int(bits, 2).to_bytes(len(bits) // 8).replace(b"\xff", b"\xff\x00")

    blocks = -(-width // 8) * -(-height // 8)
    one_code = bytes([1] + [0] * 15)
    head = [
        b"\xff\xd8",
        segment(0xDB, b"\0" + b"\x10" * 64),
        segment(0xC2, b"\x08" + height.to_bytes(2) + width.to_bytes(2) + b"\x01\x01\x11\x00"),
        segment(0xC4, b"\x00" + one_code + b"\x00"),
        segment(0xC4, b"\x10" + one_code + b"\xe0"),  # its only code: the next 2^14 + n blocks end here
        segment(0xDA, b"\x01\x01\x00\x00\x00\x00") + coded("0" * blocks),
    ]
    empty = segment(0xDA, b"\x01\x01\x00\x01\x3f\x00") + coded("0" + "0" * 14)
    return b"".join(head) + empty * count + b"\xff\xd9"


def archive(entries: dict[str, bytes], change: Callable[[zipfile.ZipInfo], None] | None = None) -> bytes:
    """A zip with these entries; `change` may damage their headers first."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as zip_file:
        for name, raw in entries.items():
            entry = zipfile.ZipInfo(name)
            entry.compress_type = zipfile.ZIP_DEFLATED
            if change:
                change(entry)
            zip_file.writestr(entry, raw)
    return buffer.getvalue()


def hostile_archive(good: bytes) -> tuple[bytes, dict[str, str]]:
    """A zip with one good photo among traps, and a table: name of a trap → words of its refusal."""
    buffer = io.BytesIO()
    traps = {
        "../../slip.jpg": "points outside",
        "/etc/cron.d/x.jpg": "points outside",
        "a/../../b.jpg": "points outside",
        "C:/windows/x.jpg": "points outside",
        "../win.jpg": "points outside",
        "link.jpg": "a link",
        "bomb.jpg": "larger than",
        "nested.zip": "not a",
        "locked.jpg": "encrypted",
        "spoilt.jpg": "broken",
        "bzip2.jpg": "unusual compression",
        "lzma.jpg": "unusual compression",
        "entry 16": "not a",
    }
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as zip_file:
        zip_file.writestr("good.jpg", good)
        zip_file.writestr("__MACOSX/._good.jpg", b"x")
        zip_file.writestr(".DS_Store", b"x")
        for name in list(traps)[:5]:
            zip_file.writestr(zipfile.ZipInfo(name.replace("../win", "..\\win")), good)
        link = zipfile.ZipInfo("link.jpg")
        link.external_attr = 0o120777 << 16
        zip_file.writestr(link, "/etc/passwd")
        zip_file.writestr("bomb.jpg", bytes(40 * 2**20))
        zip_file.writestr("nested.zip", archive({"a.jpg": good}))
        zip_file.writestr("locked.jpg", good)
        zip_file.writestr("spoilt.jpg", good, compress_type=zipfile.ZIP_STORED)
        zip_file.writestr("bzip2.jpg", good, compress_type=zipfile.ZIP_BZIP2)
        zip_file.writestr("lzma.jpg", good, compress_type=zipfile.ZIP_LZMA)
        zip_file.writestr("+nameless", b"x")
    raw = bytearray(buffer.getvalue())
    at = raw.index(b"spoilt.jpg") + 300
    raw[at : at + 8] = b"\0" * 8  # no longer what its checksum says
    raw = raw.replace(b"+nameless", b"\0nameless")
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = -1
        while (at := raw.find(mark, at + 1)) >= 0:
            name_at = at + (30 if offset == 6 else 46)
            if raw[name_at : name_at + 10] == b"locked.jpg":
                raw[at + offset] |= 1
    return bytes(raw), traps
