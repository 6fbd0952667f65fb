"""JPEGs that cost far more to decode than they weigh, and how photos are turned."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import pytest
from PIL import Image, ImageOps

from tests.validation.photos.hostile import many_scans
from trainer.engine import preprocess
from trainer.engine.scans import count_scans


@pytest.mark.parametrize(("more", "is_read"), [(98, True), (200, False)])
def test_a_jpeg_of_very_many_scans_is_refused_before_it_is_decoded(
    tmp_path: Path, more: int, is_read: bool
) -> None:
    (tmp_path / "x.jpg").write_bytes(many_scans(more))
    for source in (many_scans(more), tmp_path / "x.jpg", io.BytesIO(many_scans(more))):
        if is_read:
            assert preprocess.open_photo(source, size=32).size == (64, 48)
        else:
            with pytest.raises(preprocess.UnreadablePhotoError, match="201 scans, more than 100"):
                preprocess.open_photo(source, size=32)


def test_scans_are_counted_as_decoders_read_them() -> None:
    """Not in the EXIF, a comment or behind the end; restarts and fill bytes are none."""
    exif = Image.Exif()
    exif[0x010E] = "\xff\xda" * 300
    file = io.BytesIO()
    photo = Image.effect_noise((200, 150), 90).convert("RGB")
    photo.save(file, "JPEG", exif=exif, quality=98, restart_marker_blocks=3, comment=b"\xff\xda" * 300)
    assert file.getvalue().count(b"\xff\xda") > 300
    assert count_scans(file.getvalue() + b"\xff\xda\0\x02" * 300) == 1
    photo.save(file := io.BytesIO(), "JPEG", progressive=True)
    assert 5 < count_scans(file.getvalue()) < 20
    assert count_scans(file.getvalue().replace(b"\xff\xda", b"\xff\xff\xff\xda")) > 5
    assert count_scans(b"\xff" * 10**6) == count_scans(b"") == count_scans(b"\xff\xda\xff") - 1 == 0


def test_every_orientation_turns_as_pillow_would() -> None:
    photo = Image.effect_noise((40, 24), 90).convert("RGB")
    for how in range(10):
        exif = Image.Exif()
        exif[0x0112] = how
        photo.save(file := io.BytesIO(), "PNG", exif=exif)
        read = Image.open(file)
        assert preprocess.upright(read).tobytes() == ImageOps.exif_transpose(read).tobytes(), how


def odd_exif(orientation: int) -> bytes:
    """As some cameras write it: the resolution as text. Pillow reads it and cannot write it again."""
    entries = struct.pack("<HHII", 0x0112, 3, 1, orientation) + struct.pack("<HHI4s", 0x011A, 2, 3, b"72")
    return b"Exif\0\0II*\0\x08\0\0\0\x02\0" + entries + bytes(4)


@pytest.mark.parametrize(("exif", "size"), [(odd_exif(6), (20, 40)), (b"Exif\0\0II*\0garbage", (40, 20))])
def test_odd_exif_turns_the_photo_if_it_can_be_read_and_never_loses_it(
    exif: bytes, size: tuple[int, int]
) -> None:
    Image.new("RGB", (40, 20)).save(file := io.BytesIO(), "JPEG", exif=exif)
    assert preprocess.open_photo(file.getvalue(), size=32).size == size
