"""What decoding a photo is reckoned to take. `benchmarks.decoding` compares it with what is taken."""

from __future__ import annotations

import io
from typing import Any

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from tests.trainer.engine.bombs import encoded, heic_of_tiles, tiff_of_one_tile
from trainer.engine.costs import FIXED, bytes_needed
from trainer.engine.opening import open_checked

SIZE = (1600, 800)  # whole blocks of 16 × 16
PIXELS = 1600 * 800


def per_pixel(content: bytes, *, draft: int = 0, pixels: int = PIXELS) -> float:
    """Bytes per stored pixel, without the file and what every photo takes."""
    photo = open_checked(content)
    if draft:
        photo.draft("RGB", (draft, draft))
    return (bytes_needed(photo) - FIXED - 2 * len(content)) / pixels


@pytest.mark.parametrize(
    ("mode", "kind", "options", "expected"),
    [
        ("RGB", "PNG", {}, 8),
        ("L", "PNG", {}, 8),
        ("RGBA", "PNG", {}, 12),
        ("RGB", "PNG", {"transparency": (0, 0, 0)}, 12),
        ("RGB", "WEBP", {}, 16),
        ("RGBA", "WEBP", {"lossless": True}, 20),
        ("RGB", "TIFF", {}, 8),
        # With one strip of the whole photo, which libtiff holds besides; and a JPEG's coefficients in it.
        ("RGB", "TIFF", {"compression": "tiff_adobe_deflate", "tiffinfo": {278: 800}}, 12),
        ("RGB", "TIFF", {"compression": "jpeg", "tiffinfo": {278: 800}}, 20),
    ],
)
def test_formats_and_modes_have_their_price(
    mode: str, kind: str, options: dict[str, Any], expected: float
) -> None:
    assert per_pixel(encoded(Image.new(mode, SIZE), kind, **options)) == expected


@pytest.mark.parametrize(
    ("mode", "options", "coefficients"),
    [
        ("RGB", {}, 0),
        ("RGB", {"progressive": True, "subsampling": 0}, 6),
        ("RGB", {"progressive": True, "subsampling": 2}, 3),
        ("L", {"progressive": True}, 2),
        ("CMYK", {"progressive": True, "subsampling": 0}, 8),
    ],
)
def test_a_small_jpeg_costs_its_coefficients_if_it_has_several_scans(
    mode: str, options: dict[str, Any], coefficients: float
) -> None:
    content = encoded(Image.new(mode, SIZE), "JPEG", **options)
    assert per_pixel(content) == 8 + coefficients
    assert per_pixel(content, draft=100) == 8 / 64 + coefficients


def test_a_tile_counts_with_its_own_size() -> None:
    assert per_pixel(tiff_of_one_tile(8_000), pixels=8_000**2) == pytest.approx(4, abs=0.01)


def test_a_heic_counts_all_its_tiles() -> None:
    assert per_pixel(heic_of_tiles(2, 1), pixels=3200 * 1200) == 12


def test_texts_of_a_png_change_nothing() -> None:
    texts = PngInfo()
    for name in ("scans", "bit_depth", "grid_pixels"):
        texts.add_text(name, "9")
    assert per_pixel(encoded(Image.new("RGB", SIZE), pnginfo=texts)) == 8


def test_a_photo_in_memory_costs_its_conversion() -> None:
    assert bytes_needed(Image.new("RGB", SIZE)) == FIXED + 8 * PIXELS


def test_the_place_in_the_file_stays() -> None:
    file = io.BytesIO(encoded(Image.new("RGB", SIZE)))
    photo = Image.open(file)
    place = file.tell()
    bytes_needed(photo)
    assert file.tell() == place
