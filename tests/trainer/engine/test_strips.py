"""TIFFs that take gigabytes as soon as they are opened."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from tests.trainer.engine.bombs import encoded, tiff_of_strips
from trainer.engine.opening import UnreadablePhotoError, open_photo, open_within
from trainer.engine.strips import count_strips

KINDS = [("<", False), (">", False), ("<", True)]


@pytest.mark.parametrize(("order", "is_big"), KINDS)
def test_strips_are_counted_as_pillow_reads_them(order: str, is_big: bool) -> None:
    file = io.BytesIO(tiff_of_strips(300, order=order, is_big=is_big))
    assert count_strips(file) == 300
    assert len(Image.open(file).tile) == 300


def test_what_is_no_tiff_or_broken_has_none() -> None:
    photo = Image.new("RGB", (64, 48))
    assert count_strips(io.BytesIO(encoded(photo, "TIFF"))) == 1
    content = tiff_of_strips(300)
    for broken in (b"", b"II*\0", encoded(photo), content[:8], content[:30], b"II+\0" + b"\xff" * 40):
        assert count_strips(io.BytesIO(broken)) == 0


@pytest.mark.parametrize(("order", "is_big"), KINDS)
def test_a_tiff_of_very_many_strips_is_refused_unopened(tmp_path: Path, order: str, is_big: bool) -> None:
    content = tiff_of_strips(200_001, order=order, is_big=is_big)
    (tmp_path / "x.tif").write_bytes(content)
    for source in (content, tmp_path / "x.tif", io.BytesIO(content)):
        with pytest.raises(UnreadablePhotoError, match="200,001 strips, more than 200,000"):
            open_within(source, (32, 32))
    with (
        pytest.raises(UnreadablePhotoError, match="200,001 strips"),
        open_photo(io.BytesIO(content), size=32),
    ):
        pass
