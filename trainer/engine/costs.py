"""How much memory it takes to decode and convert a photo, by its header: format, mode, pixels, segments.

An upper limit, which `python -m benchmarks.decoding` compares with what is taken. It holds for `opening.py`
as it is now: whoever adds a whole copy of the pixels there raises it here.
"""

from __future__ import annotations

from PIL import Image

FIXED = 12 * 2**20  # bytes: buffers, and libraries that are loaded at first use
HELD = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16L": 2, "I;16B": 2, "I;16N": 2}  # bytes per pixel, others 4
# Bytes per pixel beside Pillow's own: while it is decoded, and until the photo is closed.
DECODER = {"WEBP": (12, 8), "HEIF": (8, 4)}
TRANSPARENT = ("P", "PA", "LA", "RGBA")  # P: if its palette is
BLOCK = 128  # bytes of a JPEG's block of 8 × 8 coefficients
TILE_WIDTH, TILE_HEIGHT, STRIP_HEIGHT, BITS, SAMPLES, COMPRESSION = 322, 323, 278, 258, 277, 259  # TIFF
JPEG_INSIDE = (6, 7)


def bytes_needed(photo: Image.Image) -> int:
    """For a photo with only its header read, after `draft`. Bytes."""
    while_decoding, until_closed = DECODER.get(photo.format or "", (0, 0))
    pixels = photo.width * photo.height
    if photo.format == "HEIF":  # only here, because a PNG's own texts have any names in `info`
        while_decoding *= 2 if photo.info.get("bit_depth", 8) > 8 else 1
        pixels = max(pixels, photo.info.get("grid_pixels", 0))
    is_transparent = photo.mode in TRANSPARENT or "transparency" in photo.info
    copies = 3 if is_transparent else 2  # scaled with transparency: as it is, multiplied by it, scaled
    per_pixel = max(HELD.get(photo.mode, 4) + while_decoding, until_closed + 4 * copies)
    return FIXED + 2 * _file_size(photo) + pixels * per_pixel + _coefficients(photo) + _segment(photo)


def _file_size(photo: Image.Image) -> int:
    """In bytes. Some decoders, and the count of scans, read a whole file at once; WebP's copies it."""
    file = getattr(photo, "fp", None)
    if file is None:
        return 0
    place = file.tell()
    size: int = file.seek(0, 2)
    file.seek(place)
    return size


def _coefficients(photo: Image.Image) -> int:
    """A JPEG of several scans is kept whole until the last, however small it is decoded."""
    if photo.format not in ("JPEG", "MPO") or photo.info.get("scans", 1) == 1:
        return 0
    scale = (getattr(photo, "decoderconfig", ()) or (1,))[0]  # by which `draft` made it smaller
    layers: list[tuple[int, int, int, int]] = photo.layer  # type: ignore[attr-defined]
    across, down = max(h for _, h, _, _ in layers), max(v for _, _, v, _ in layers)
    columns, rows = -(-photo.width * scale // (8 * across)), -(-photo.height * scale // (8 * down))
    return sum(columns * h * rows * v * BLOCK for _, h, v, _ in layers)


def _segment(photo: Image.Image) -> int:
    """libtiff decodes strip by strip, or tile by tile. A tile may be far larger than the photo."""
    if photo.format != "TIFF" or not any(tile[0] == "libtiff" for tile in getattr(photo, "tile", ())):
        return 0
    tags = photo.tag_v2  # type: ignore[attr-defined]
    if TILE_WIDTH in tags:
        pixels = int(tags[TILE_WIDTH]) * int(tags.get(TILE_HEIGHT, 0))
    else:
        pixels = photo.width * min(int(tags.get(STRIP_HEIGHT, photo.height)), photo.height)
    bits: int = max(tags.get(BITS, (1,))) * int(tags.get(SAMPLES, 1))
    copies = 3 if tags.get(COMPRESSION) in JPEG_INSIDE else 1  # with its coefficients
    return max(0, pixels) * max(4, -(-bits // 8)) * copies  # a hostile number may be negative
