"""JPEGs that take far longer to decode than their size suggests."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from tests.validation.photos.hostile import many_scans
from trainer.engine.opening import TooManyScansError, open_photo
from trainer.engine.scans import count_scans


@pytest.mark.parametrize(("more", "is_read"), [(98, True), (200, False)])
def test_a_jpeg_of_very_many_scans_is_refused_before_it_is_decoded(
    tmp_path: Path, more: int, is_read: bool
) -> None:
    (tmp_path / "x.jpg").write_bytes(many_scans(more))
    for source in (many_scans(more), tmp_path / "x.jpg", io.BytesIO(many_scans(more))):
        if is_read:
            with open_photo(source, size=32) as photo:
                assert photo.size == (64, 48)
        else:
            with (
                pytest.raises(TooManyScansError, match="201 scans, more than 100"),
                open_photo(source, size=32),
            ):
                pass


def test_scans_are_counted_as_decoders_read_them() -> None:
    """Nothing in the EXIF, in a comment or after the end counts; nor do restarts and fill bytes."""
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
