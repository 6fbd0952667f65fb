"""How a photo is opened, for the network and for people: both see the same."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps

from formats.storage import StorageFailure
from tests.trainer.engine.bombs import encoded, heic_of_tiles, heic_that_says, png, tiff_of_one_tile
from trainer.engine import opening
from trainer.engine.budget import DECODING, Budget, DecodersBusy, patience
from trainer.engine.opening import (
    SRGB,
    UPLOADS,
    Source,
    TooManyPixelsError,
    TooMuchMemoryError,
    UnknownFormatError,
    UnreadablePhotoError,
    decode_to_end,
    open_checked,
    open_photo,
    open_within,
)

Open = Callable[[bytes], Image.Image]


def for_network(source: Source, size: int = 500) -> Image.Image:
    with open_photo(source, size=size) as photo:
        return photo


def for_people(content: bytes) -> Image.Image:
    return open_within(content, (1000, 1000))


both = pytest.mark.parametrize("opened", [for_network, for_people])


def exif(orientation: int) -> Image.Exif:
    note = Image.Exif()
    note[0x0112] = orientation
    return note


def mean(photo: Image.Image) -> float:
    assert photo.mode == "RGB"
    return float(np.asarray(photo).mean())


# --- what is refused


@both
@pytest.mark.parametrize("side", [7_000, 30_000])
def test_a_decompression_bomb_is_refused_before_it_is_decoded(opened: Open, side: int) -> None:
    with pytest.raises(TooManyPixelsError):
        opened(png(side, side))


def test_an_installation_may_set_its_own_limit_of_pixels() -> None:
    photo = encoded(Image.new("RGB", (40, 20)))
    assert open_within(photo, (40, 20), max_pixels=800).size == (40, 20)
    with pytest.raises(TooManyPixelsError, match="40 × 20 pixels are more than"):
        open_within(photo, (40, 20), max_pixels=799)


@both
def test_a_truncated_photo_is_unreadable(opened: Open) -> None:
    content = encoded(Image.effect_noise((96, 72), 60), "JPEG")
    with pytest.raises(UnreadablePhotoError):
        opened(content[: len(content) // 2])


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n%%EOF\n"


@both
@pytest.mark.parametrize("content", [EPS, encoded(Image.new("RGB", (8, 8)), "TGA"), b"nothing", b""])
def test_formats_we_do_not_name_are_never_opened(opened: Open, content: bytes) -> None:
    """Pillow would run Ghostscript on an EPS."""
    with pytest.raises(UnknownFormatError, match="not a photo in a format we know"):
        opened(content)


@pytest.mark.parametrize("kind", ["GIF", "BMP", "TIFF"])
def test_data_sets_may_hold_formats_that_people_may_not_send(kind: str) -> None:
    content = encoded(Image.new("RGB", (40, 20)), kind)
    assert for_network(content, 32).size == (40, 20)
    with pytest.raises(UnknownFormatError):
        open_within(content, (40, 20), formats=UPLOADS)


def test_a_heic_is_opened() -> None:
    file = Path(__file__).parents[2] / "validation" / "photos" / "noise.heic"  # we cannot write HEIC
    assert for_network(file, 32).size == (160, 120)


# --- upright


@both
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
@pytest.mark.parametrize("orientation", range(10))
def test_every_orientation_turns_as_pillow_would(opened: Open, kind: str, orientation: int) -> None:
    photo = Image.effect_noise((40, 24), 90).convert("RGB")
    content = encoded(photo, kind, exif=exif(orientation))
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(content)))
    assert opened(content).size == ((24, 40) if orientation in (5, 6, 7, 8) else (40, 24))
    assert opened(content).tobytes() == expected.tobytes()


def test_a_jpeg_is_turned() -> None:
    photo = Image.new("RGB", (40, 20))
    photo.paste((255, 255, 255), (0, 0, 20, 20))
    upright = for_network(encoded(photo, "JPEG", exif=exif(6), quality=95))
    assert upright.size == (20, 40)
    assert upright.getpixel((10, 5)) == pytest.approx((255, 255, 255), abs=10)


def odd_exif(orientation: int) -> bytes:
    """As some cameras write it: the resolution as text. Pillow reads it and cannot write it again."""
    entries = struct.pack("<HHII", 0x0112, 3, 1, orientation) + struct.pack("<HHI4s", 0x011A, 2, 3, b"72")
    return b"Exif\0\0II*\0\x08\0\0\0\x02\0" + entries + bytes(4)


@both
@pytest.mark.parametrize("garbled", [b"Exif\0\0II*\0garbage", odd_exif(6)])
def test_odd_exif_turns_the_photo_if_it_can_be_read_and_never_loses_it(opened: Open, garbled: bytes) -> None:
    photo = opened(encoded(Image.new("RGB", (40, 20)), "JPEG", exif=garbled))
    assert photo.size == ((40, 20) if b"garbage" in garbled else (20, 40))


# --- 8 bits, RGB


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16", "I", "F"])
def test_every_mode_becomes_rgb(mode: str) -> None:
    photo = Image.fromarray(np.full((20, 30), 200, np.uint8))
    photo = Image.new(mode, (30, 20), 200) if mode in ("I;16", "I", "F") else photo.convert(mode)
    assert for_network(photo, 32).mode == "RGB"


@both
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
@pytest.mark.parametrize("tone", [1_020, 32_768, 65_535])
def test_sixteen_bits_are_scaled_by_their_white_not_by_the_brightest_pixel(
    opened: Open, kind: str, tone: int
) -> None:
    dark = Image.fromarray(np.full((48, 64), tone, np.uint16))
    assert mean(opened(encoded(dark, kind))) == tone // 256


@both
@pytest.mark.parametrize(("dtype", "white"), [(np.int32, 65_535), (np.float32, 1), (np.float32, 255)])
def test_thirty_two_bits_are_scaled_by_the_usual_range_they_fit_in(
    opened: Open, dtype: type, white: int
) -> None:
    ramp = Image.fromarray(np.array([[0, white // 2 if white > 1 else 0.5, white]], dtype))
    tones = np.asarray(opened(encoded(ramp, "TIFF")))[0, :, 0]
    assert tones.tolist() == pytest.approx([0, 127, 255], abs=1)


@both
def test_transparency_becomes_white(opened: Open) -> None:
    rgba = Image.new("RGBA", (32, 24), (0, 0, 0, 64))
    assert mean(opened(encoded(rgba))) == pytest.approx(255 * 0.75, abs=1)
    palette = Image.new("P", (32, 24), 0)
    palette.putpalette([0, 0, 0] * 256)
    assert mean(opened(encoded(palette, transparency=0))) == 255
    assert mean(opened(encoded(Image.new("L", (32, 24), 7), transparency=7))) == 255
    deep = Image.fromarray(np.full((24, 32), 300, np.uint16))
    assert mean(opened(encoded(deep, transparency=300))) == 255


def exchanged(profile: bytes) -> bytes:
    """sRGB with red and blue exchanged, under another name."""
    named = profile.replace("sRGB".encode("utf-16-be"), "sBGR".encode("utf-16-be"))
    return named.replace(b"rXYZ", b"....", 1).replace(b"bXYZ", b"rXYZ", 1).replace(b"....", b"bXYZ", 1)


@both
def test_colours_of_another_space_become_srgb(opened: Open) -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    red = Image.new("RGB", (32, 24), (200, 40, 40))
    profiles = {"none": b"", "sRGB": srgb, "broken": srgb[:200], "other": exchanged(srgb)}
    pixels = {
        name: opened(encoded(red, icc_profile=profile)).getpixel((5, 5)) for name, profile in profiles.items()
    }
    assert pixels["none"] == pixels["sRGB"] == pixels["broken"] == (200, 40, 40)
    assert pixels["other"] == pytest.approx((40, 40, 200), abs=2)


# --- size


def test_a_large_jpeg_is_decoded_small() -> None:
    assert max(for_network(encoded(Image.new("RGB", (4000, 3000)), "JPEG"), 224).size) <= 1000


@pytest.mark.parametrize(("orientation", "size"), [(1, (360, 90)), (6, (68, 270))])
def test_a_photo_for_people_fits_its_box_once_it_is_upright(orientation: int, size: tuple[int, int]) -> None:
    photo = encoded(Image.new("RGB", (1200, 300)), exif=exif(orientation))
    assert open_within(photo, (360, 270)).size == size


def test_a_photo_for_people_keeps_no_metadata() -> None:
    photo = Image.new("RGB", (40, 20))
    content = encoded(photo, "JPEG", exif=exif(1), comment=b"my phone number", dpi=(72, 72))
    assert not open_within(content, (40, 20)).info


def test_opening_loads_neither_torch_nor_django() -> None:
    code = "import sys, trainer.engine.opening; sys.exit(bool({'torch', 'django'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("opened", [lambda p: for_network(p, 8), lambda p: open_within(p, (8, 8))])
def test_a_disk_that_does_not_answer_speaks_against_no_photo(
    tmp_path: Path, opened: Callable[[Path], Image.Image]
) -> None:
    """The kernel answers EIO to whoever reads this file from its start, as a broken disk does."""
    (tmp_path / "x.jpg").symlink_to("/proc/self/mem")
    with pytest.raises(StorageFailure, match="Input/output error"):
        opened(tmp_path / "x.jpg")


# --- memory


def noise(mode: str) -> Image.Image:
    tones = np.random.default_rng(1).integers(0, 256, (43, 61, 4), np.uint8)
    if mode in ("I;16", "I", "F"):
        dtype = {"I;16": np.uint16, "I": np.int32, "F": np.float32}[mode]
        return Image.fromarray(tones[..., 0].astype(dtype) * dtype(200))
    return Image.fromarray(tones, "RGBA").convert(mode)


@both
@pytest.mark.parametrize(
    ("mode", "kind", "options"),
    [
        ("RGBA", "PNG", {}),
        ("RGBA", "PNG", {"exif": exif(6), "icc_profile": exchanged(SRGB.tobytes())}),
        ("RGB", "PNG", {"icc_profile": exchanged(SRGB.tobytes())}),
        ("RGB", "PNG", {"transparency": (1, 2, 3)}),
        ("P", "PNG", {"transparency": 7}),
        ("LA", "PNG", {}),
        ("1", "PNG", {}),
        ("I;16", "PNG", {"transparency": 1000}),
        ("I;16", "TIFF", {"exif": exif(6)}),
        ("I", "TIFF", {}),
        ("F", "TIFF", {}),
        ("CMYK", "TIFF", {}),
    ],
)
def test_pixels_are_the_same_in_one_strip_or_in_many(
    opened: Open, mode: str, kind: str, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    content = encoded(noise(mode), kind, **options)
    whole = opened(content)
    monkeypatch.setattr(opening, "PIXELS_OF_A_STRIP", 61 * 5)
    assert opened(content).tobytes() == whole.tobytes()
    assert len(set(whole.tobytes())) > 1


def is_all_free() -> bool:
    try:
        with patience(0), DECODING.share(DECODING.size):
            return True
    except DecodersBusy:
        return False


def test_an_opened_photo_counts_until_its_block_ends() -> None:
    content = encoded(Image.new("RGB", (64, 48)))
    with open_photo(content, size=32):
        assert not is_all_free()
    assert is_all_free()
    open_within(content, (32, 32))
    assert is_all_free()


@both
def test_whoever_cannot_wait_is_told_so_and_the_photo_is_not_blamed(opened: Open) -> None:
    with DECODING.share(DECODING.size), patience(0), pytest.raises(DecodersBusy):
        opened(encoded(Image.new("RGB", (64, 48))))


@both
def test_a_photo_that_needs_more_than_all_memory_is_refused_with_its_need(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "DECODING", Budget(24 * 2**20))
    photo = Image.new("RGB", (1000, 1000))
    assert opened(encoded(photo, "JPEG")).width == 1000
    with pytest.raises(TooMuchMemoryError, match="opening it takes 28 MB of memory, more than 24 MB"):
        opened(encoded(photo, "WEBP"))


@both
def test_a_small_tiff_of_one_huge_tile_is_refused_before_it_is_decoded(opened: Open) -> None:
    with pytest.raises(TooMuchMemoryError, match="takes 6,"):
        opened(tiff_of_one_tile(40_000))


@both
@pytest.mark.parametrize("content", [heic_that_says(64, 64), heic_of_tiles(2, 2, size=(64, 64))])
def test_a_heic_larger_than_it_says_is_refused(opened: Open, content: bytes) -> None:
    with pytest.raises(UnreadablePhotoError):
        opened(content)
    assert opened(heic_of_tiles(2, 1)).size[0] <= 3200


def test_a_jpeg_is_only_checked_in_an_eighth_of_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    content = encoded(Image.effect_noise((2400, 1600), 60), "JPEG")
    monkeypatch.setattr(opening, "DECODING", Budget(20 * 2**20))
    decode_to_end(open_checked(content))
    with pytest.raises(UnreadablePhotoError):
        decode_to_end(open_checked(content[:-2000]))
