"""Which files are photos."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

import pytest

from formats.files import walk
from formats.storage import StorageFailure
from tests.trainer.conftest import jpeg, write
from tests.validation.photos.hostile import many_scans
from trainer.engine import opening
from trainer.engine.budget import DECODING, Budget, DecodersBusy, patience
from trainer.photosets.layout import BadPhoto, check_photo, is_photo_name


@pytest.mark.parametrize(
    ("name", "is_photo"),
    [("a/x.JPG", True), ("a/x.webp", True), ("a/._x.jpg", False), ("a/x.txt", False), ("a/jpg", False)],
)
def test_photos_by_name(name: str, is_photo: bool) -> None:
    assert is_photo_name(name) is is_photo


def png_header(width: int, height: int) -> bytes:
    """A PNG that announces a size and holds nothing: a bomb for whoever believes it."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b""))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty file"),
        (b"not a photo at all", "does not decode"),
        (jpeg(size=(400, 400))[:-300], "does not decode"),
        (png_header(12_000, 12_000), "too many pixels"),
        (png_header(60_000, 60_000), "too many pixels"),
        (b"x" * 2000, "file too large"),
        (many_scans(101), "too many scans"),
    ],
)
def test_bad_files_say_why(tmp_path: Path, content: bytes, reason: str) -> None:
    limit = 1000 if reason == "file too large" else 10**6
    with pytest.raises(BadPhoto, match=reason):
        check_photo(write(tmp_path / "x.jpg", content), max_bytes=limit, max_pixels=10**8)


def test_file_that_needs_too_much_memory_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "DECODING", Budget(2**20))
    with pytest.raises(BadPhoto, match="takes too much memory to open"):
        check_photo(write(tmp_path / "x.jpg", jpeg()), max_bytes=10**6, max_pixels=10**8)


def test_busy_decoders_make_no_file_bad(tmp_path: Path) -> None:
    with DECODING.share(DECODING.size), patience(0), pytest.raises(DecodersBusy):
        check_photo(write(tmp_path / "x.jpg", jpeg()), max_bytes=10**6, max_pixels=10**8)


def test_good_file_is_hashed_and_measured(tmp_path: Path) -> None:
    checked = check_photo(write(tmp_path / "x.jpg", jpeg()), max_bytes=10**6, max_pixels=10**8)
    assert (checked.width, checked.height, len(checked.sha256)) == (48, 32, 64)


def test_unreadable_path_is_a_bad_photo(tmp_path: Path) -> None:
    with pytest.raises(BadPhoto, match="cannot be read"):
        check_photo(tmp_path / "gone.jpg", max_bytes=10, max_pixels=10)


def test_nobody_waits_for_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.jpg")
    with pytest.raises(BadPhoto, match="regular file"):
        check_photo(tmp_path / "x.jpg", max_bytes=10, max_pixels=10)


def test_a_disk_that_does_not_answer_speaks_against_no_photo(tmp_path: Path) -> None:
    """The kernel answers EIO to whoever reads this file from its start, as a broken disk does."""
    (tmp_path / "x.jpg").symlink_to("/proc/self/mem")
    with pytest.raises(StorageFailure, match="Input/output error"):
        check_photo(tmp_path / "x.jpg", max_bytes=10, max_pixels=10)


def test_a_photo_that_is_away_with_its_folder_is_not_bad(tmp_path: Path) -> None:
    root = tmp_path / "unmounted"
    with pytest.raises(StorageFailure):
        check_photo(root / "b/bar/x.jpg", max_bytes=10, max_pixels=10, root=root)
    with pytest.raises(StorageFailure):
        list(walk(root))
