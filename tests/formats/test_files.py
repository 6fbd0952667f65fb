"""What no photo is: one list, for folders, tars, zips, uploads and the engine."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path

import pytest
from PIL import Image

from formats.files import is_left_by_system, walk
from trainer.engine.photos.folder import write_manifest
from trainer.photosets.layout import is_photo_name
from validation.photos.intake_files import is_junk

LEFT = [
    "a/abbey/@eaDir/x.jpg",
    "a/abbey/@EADIR/x.jpg/SYNOPHOTO_THUMB_M.jpg",
    "__MACOSX/a/abbey/x.jpg",
    "a/abbey/.ipynb_checkpoints/x-checkpoint.jpg",
    ".thumbnails/x.jpg",
    ".Trash/x.jpg",
    "a/abbey/._x.jpg",
    "$RECYCLE.BIN/x.jpg",
]


@pytest.mark.parametrize("path", LEFT)
def test_what_a_system_left_is_no_photo_at_any_door(path: str, tmp_path: Path) -> None:
    assert is_left_by_system(path)
    assert not is_photo_name(path)
    assert is_junk(path)
    assert is_junk(path.replace("/", "\\"))
    for name in ("a/abbey/real.jpg", path):
        file = tmp_path / "photos" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8)).save(file, "JPEG")
    assert write_manifest(tmp_path / "photos", None, tmp_path / "manifest.csv") == 1
    [row] = csv.DictReader(io.StringIO((tmp_path / "manifest.csv").read_text()))
    assert row["photo_id"] == "a/abbey/real.jpg"


@pytest.mark.parametrize("name", ["Thumbs.db", "THUMBS.DB", "a/desktop.ini", ".DS_Store"])
def test_files_of_systems_are_found_in_any_case(name: str) -> None:
    assert is_junk(name)


def test_a_folder_with_the_name_of_a_photo_is_no_photo(tmp_path: Path) -> None:
    (tmp_path / "photos/a/0.jpg").mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(tmp_path / "photos/a/0.jpg/1.jpg")
    assert write_manifest(tmp_path / "photos", None, tmp_path / "manifest.csv") == 1


@pytest.mark.parametrize(
    "path", ["a/abbey/x.jpg", "./a/x.jpg", "../a/x.jpg", "a/trash/x.jpg", "a/macosx/x.jpg"]
)
def test_ordinary_paths_are_photos(path: str) -> None:
    assert not is_left_by_system(path)
    assert is_photo_name(path)


def test_folders_that_are_not_entered_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "photos/a").mkdir(parents=True)
    (tmp_path / "photos/b").mkdir()
    (tmp_path / "photos/a/1.jpg").touch()
    (tmp_path / "photos/circle").symlink_to(tmp_path / "photos")
    (tmp_path / "photos/gone").symlink_to(tmp_path / "nowhere")
    scandir = os.scandir

    def refuse(path: Path) -> object:  # a fake: who runs the tests as root may list everything
        if path.name == "b":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert list(walk(tmp_path / "photos")) == [
        ("circle", "link to a folder: links are not followed"),
        ("gone", ""),
        ("a/1.jpg", ""),
        ("b/", "folder cannot be listed (Permission denied)"),
    ]
