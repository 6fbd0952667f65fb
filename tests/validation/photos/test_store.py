"""Which photos are stored and which are refused, why, and that a refused one leaves no file."""

from __future__ import annotations

import hashlib
import io
import resource
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.files.storage import default_storage
from PIL import Image
from pytest_django import Settings

from formats.storage import StorageFailure
from tests.trainer.engine.test_opening import odd_exif
from tests.validation.conftest import picture
from trainer.engine import opening
from trainer.engine.budget import Budget
from validation.models import Photo
from validation.photos import store
from validation.photos.store import PhotoRefused, Prepared, add_prepared, forget_prepared, prepare, take_in

pytestmark = pytest.mark.django_db


def take(raw: bytes, name: str = "photo.jpg", **attribution: str) -> Photo:
    return take_in(file=io.BytesIO(raw), name=name, by=None, **attribution)


def stored(photo: Photo) -> Image.Image:
    with photo.file.open("rb") as file:
        return Image.open(io.BytesIO(file.read()))


@pytest.fixture(autouse=True)
def media(settings: Settings, tmp_path: Path) -> Path:
    settings.MEDIA_ROOT = tmp_path
    return tmp_path


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_takes_photos_and_stores_them_under_their_hash(kind: str, media: Path) -> None:
    raw = picture(1, kind=kind)
    photo = take(raw, name=r"C:\holiday\cafe.bin", licence="CC BY 2.0", source_url="https://example.org/1")
    assert photo.sha256 == hashlib.sha256(raw).hexdigest()
    assert photo.file.name == f"photos/{photo.sha256[:2]}/{photo.sha256}.jpg"
    assert stored(photo).format == "JPEG"
    assert (photo.name, photo.width, photo.height, photo.licence) == ("cafe.bin", 64, 48, "CC BY 2.0")


def test_same_photo_twice_is_one_row_and_missing_attribution_is_added(media: Path) -> None:
    first = take(picture(1))
    second = take(picture(1), name="again.jpg", licence="CC BY 2.0")
    third = take(picture(1), licence="CC0")
    assert first.pk == second.pk == third.pk
    assert (third.name, third.licence) == ("photo.jpg", "CC BY 2.0")
    assert len([path for path in media.rglob("*") if path.is_file()]) == 1


def test_large_photos_are_made_smaller() -> None:
    photo = take(picture(1, size=(4000, 1000)))
    assert (photo.width, photo.height) == (1280, 320) == stored(photo).size


def test_exif_is_stripped_and_its_rotation_applied() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # lies on its side
    exif[0x010E] = "Taken at home"
    exif.get_ifd(0x8825)[1] = "N"  # GPS latitude reference
    raw = picture(1, size=(64, 32), exif=exif.tobytes(), comment=b"my phone number")
    assert b"Taken at home" in raw
    photo = take(raw)
    result = stored(photo)
    assert (result.size, (photo.width, photo.height)) == ((32, 64), (32, 64))
    assert not result.getexif()
    with photo.file.open("rb") as file:
        content = file.read()
    assert b"Exif" not in content
    assert b"Taken at home" not in content
    assert b"my phone number" not in content


def test_photo_with_harmless_exif_errors_is_stored() -> None:
    photo = take(picture(1, size=(64, 32), exif=odd_exif(6)))
    assert stored(photo).size == (32, 64)


def test_transparency_becomes_white() -> None:
    buffer = io.BytesIO()
    Image.new("RGBA", (10, 10), (255, 0, 0, 0)).save(buffer, "PNG")
    assert min(stored(take(buffer.getvalue())).getpixel((5, 5))) >= 250  # type: ignore[arg-type]


def test_sixteen_bit_grey_keeps_its_tones_and_orientation(media: Path) -> None:
    """Also when scaled down, which Pillow cannot do with sixteen bits."""
    tones = np.linspace(0, 65535, 3000, dtype=np.uint16)
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    Image.fromarray(np.tile(tones, (100, 1))).save(buffer, "PNG", exif=exif)
    result = np.asarray(stored(take(buffer.getvalue())).convert("L"))
    assert result.shape == (1280, 43)
    assert [abs(int(result[at, 20]) - tone) <= 2 for at, tone in ((0, 0), (640, 128), (1279, 255))]
    assert all(np.diff(result[::64, 20].astype(int)) > 0)


def test_palette_image_is_scaled_by_averaging_colours() -> None:
    stripes = Image.fromarray(np.tile(np.array([[0, 255]], np.uint8), (200, 1300))).convert("P")
    buffer = io.BytesIO()
    stripes.save(buffer, "PNG")
    tones = np.asarray(stored(take(buffer.getvalue())).convert("L"))
    assert 100 < tones[:, 10:-10].mean() < 155
    assert tones[:, 10:-10].std() < 40


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes whose header declares this many pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"0"))
        + chunk(b"IEND", b"")
    )


HOSTILE = {
    "truncated": (picture(1, size=(400, 300))[:900], "cannot be decoded"),
    "renamed executable": (b"\x7fELF\x02\x01\x01" + bytes(500), "not a JPEG, PNG, WebP or HEIC"),
    "bomb": (bomb(12_000, 12_000), "pixels are more than 100 megapixels"),
    "huge bomb": (bomb(200_000, 200_000), "pixels are too many"),
    "empty": (b"", "empty"),
    "svg": (b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>', "not a JPEG"),
    "gif": (picture(1, kind="GIF"), "not a JPEG"),
    "html": (b"<html><body>\xff\xd8\xff</body></html>", "not a JPEG"),
    "cut after its header": (picture(1)[:20], ""),
    "broken png": (bomb(50, 50), "cannot be decoded"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_refusals_name_the_file_and_leave_nothing_behind(kind: str, media: Path) -> None:
    raw, reason = HOSTILE[kind]
    with pytest.raises(PhotoRefused) as refusal:
        take(raw, name="../../evil.jpg")
    assert str(refusal.value).startswith("evil.jpg: ")
    assert reason in str(refusal.value)
    assert not Photo.objects.exists()
    assert not [path for path in media.rglob("*") if path.is_file()]


def test_too_large_file_is_refused_without_reading_all_of_it(settings: Settings) -> None:
    settings.MAX_PHOTO_BYTES = 2**20
    endless = io.BytesIO(bytes(3 * 2**20))
    with pytest.raises(PhotoRefused, match="larger than 1 MB"):
        take_in(file=endless, name="big.jpg", by=None)
    assert endless.tell() == 2**20 + 1


def test_photo_that_needs_too_much_memory_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "DECODING", Budget(2**20))
    with pytest.raises(PhotoRefused, match=r"big.jpg: opening it takes 1. MB of memory, more than 1 MB"):
        take(picture(1), name="big.jpg")


def test_a_failing_database_leaves_no_file(media: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise RuntimeError("the disk of the database is full")

    monkeypatch.setattr(Photo, "save", fail)
    with pytest.raises(RuntimeError):
        take(picture(1))
    assert not [path for path in media.rglob("*") if path.is_file()]


def test_same_photo_from_two_people_at_once_is_stored_once(
    media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = take(picture(1))
    # What the second upload saw before the first one was stored:
    real = Photo.objects.filter
    answers = [Photo.objects.none()]
    monkeypatch.setattr(
        Photo.objects, "filter", lambda **kwargs: answers.pop() if answers else real(**kwargs)
    )
    assert take(picture(1)).pk == first.pk
    assert default_storage.exists(str(first.file.name))
    assert len([path for path in media.rglob("*") if path.is_file()]) == 1


def test_a_full_disk_loses_no_file_that_another_has_stored(media: Path) -> None:
    first = prepare(file=io.BytesIO(picture(1)), name="photo.jpg")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        with pytest.raises(StorageFailure):
            prepare(file=io.BytesIO(picture(1)), name="photo.jpg")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    photo, is_new = add_prepared(first, by=None)
    assert (is_new, stored(photo).size) == (True, (64, 48))
    assert len([path for path in media.rglob("*") if path.is_file()]) == 1


def test_files_that_another_forgets_before_the_row_is_there_are_stored_again(
    media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def add_late(prepared: Prepared, **terms: Any) -> tuple[Photo, bool]:
        forget_prepared(prepared)
        return add_prepared(prepared, **terms)

    monkeypatch.setattr(store, "add_prepared", add_late)
    assert stored(take(picture(1))).size == (64, 48)


def test_a_photo_that_lacks_its_files_gets_them_when_it_comes_again(media: Path) -> None:
    photo = take(picture(1))
    default_storage.delete(str(photo.file.name))
    assert take(picture(1)).pk == photo.pk
    assert stored(photo).size == (64, 48)
