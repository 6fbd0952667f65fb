"""What a model says about photos, and when it stays silent."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.trainer.engine.conftest import write_photo
from trainer.engine import preprocess
from trainer.engine.serving.predict import Suggester

# One process for all that use the finished run of conftest.py: it takes seconds to train.
pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("frozen")]


@pytest.fixture(scope="session")
def suggester(model: Path) -> Suggester:
    return Suggester(model, batch=2)


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    paths = []
    for at, scene_class in enumerate(("a/alley", "b/beach", "p/pantry")):
        paths.append(tmp_path / f"{at}.jpg")
        write_photo(paths[-1], scene_class, 500 + at)
    return paths


def test_photos_are_answered_in_order(suggester: Suggester, photos: list[Path]) -> None:
    paths = photos * 3
    found = list(suggester.suggest(paths))
    assert [suggestion.file for suggestion in found] == [str(path) for path in paths]
    assert [suggestion.candidates[0][0] for suggestion in found[:3]] == ["street", "water", "other"]


def test_other_is_silence(suggester: Suggester, photos: list[Path]) -> None:
    (found,) = suggester.suggest([photos[2]])
    assert found.hashtag is None
    assert found.reason == "other: none of the hashtags fits"
    assert found.as_dict()["candidates"][0]["hashtag"] == "other"


def test_below_its_threshold_a_hashtag_is_not_said(model: Path, photos: list[Path]) -> None:
    careful, bold = Suggester(model), Suggester(model)
    careful.temperature = bold.temperature = 10.0
    careful.thresholds, bold.thresholds = {"water": 0.99}, {"water": 0.0}
    (silent,), (spoken,) = careful.suggest([photos[1]]), bold.suggest([photos[1]])
    assert (silent.hashtag, spoken.hashtag) == (None, "water")
    assert silent.reason is not None
    assert silent.reason.startswith("unsure: ")
    assert silent.reason.endswith("needed for #water")
    assert spoken.reason is None


def test_one_bad_photo_does_not_stop_the_others(suggester: Suggester, photos: list[Path]) -> None:
    found = list(suggester.suggest([photos[0], b"nothing", photos[0].parent / "gone.jpg", photos[1]]))
    assert [suggestion.reason and suggestion.reason.split(":")[0] for suggestion in found[1:3]] == [
        "unreadable",
        "unreadable",
    ]
    assert found[2].reason == "unreadable: no such file"
    assert found[3].candidates[0][0] == "water"


def test_photos_come_as_paths_bytes_files_and_images(suggester: Suggester, photos: list[Path]) -> None:
    content = photos[0].read_bytes()
    found = list(suggester.suggest([str(photos[0]), content, io.BytesIO(content), Image.open(photos[0])]))
    assert len({suggestion.candidates for suggestion in found}) == 1


def test_photos_are_taken_a_batch_at_a_time(suggester: Suggester, photos: list[Path]) -> None:
    taken = 0

    def count() -> Iterator[Path]:
        nonlocal taken
        for path in photos * 4:
            taken += 1
            yield path

    next(suggester.suggest(count()))
    assert taken == suggester.batch


def huge_png(width: int, height: int) -> bytes:
    """A PNG that says it has so many pixels, in a few hundred bytes."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [7_000, 30_000])
def test_a_decompression_bomb_is_refused_before_it_is_decoded(side: int) -> None:
    with pytest.raises(preprocess.UnreadablePhotoError, match="too many"):
        preprocess.open_photo(huge_png(side, side), size=224)


def test_a_truncated_photo_is_unreadable(photos: list[Path]) -> None:
    content = photos[0].read_bytes()
    with pytest.raises(preprocess.UnreadablePhotoError):
        preprocess.open_photo(content[: len(content) // 2], size=224)


def test_the_exif_note_turns_the_photo() -> None:
    photo = Image.new("RGB", (40, 20))
    photo.paste((255, 255, 255), (0, 0, 20, 20))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn right
    file = io.BytesIO()
    photo.save(file, "JPEG", exif=exif, quality=95)
    upright = preprocess.open_photo(file.getvalue(), size=32)
    assert upright.size == (20, 40)
    assert upright.getpixel((10, 5)) == pytest.approx((255, 255, 255), abs=10)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16", "I", "F"])
def test_every_mode_becomes_rgb(mode: str) -> None:
    photo = Image.fromarray(np.full((20, 30), 200, np.uint8))
    photo = Image.new(mode, (30, 20), 200) if mode in ("I;16", "I", "F") else photo.convert(mode)
    assert preprocess.open_photo(photo, size=32).mode == "RGB"


def test_a_large_jpeg_is_decoded_small() -> None:
    file = io.BytesIO()
    Image.new("RGB", (4000, 3000)).save(file, "JPEG")
    assert max(preprocess.open_photo(file.getvalue(), size=224).size) <= 1000
