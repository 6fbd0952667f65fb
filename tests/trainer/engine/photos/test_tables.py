"""The engine's tables, written by other tools: manifests and labels."""

from __future__ import annotations

from pathlib import Path

import pytest

from trainer.engine.__main__ import _read_object
from trainer.engine.errors import PhotosError
from trainer.engine.photos.folder import read_meanings, write_manifest
from trainer.engine.photos.manifest import read_manifest
from trainer.engine.photos.partitions import split_for
from trainer.engine.recipe import Recipe

MANIFEST = "photo_id,path,label,scene_class\nb0,/b/0.jpg,beach,b/beach\nb1,/b/1.jpg,beach,b/beach \n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "table.csv"


@pytest.mark.parametrize(
    "text",
    [
        MANIFEST,
        "\ufeff" + MANIFEST,
        "sep=;\n" + MANIFEST.replace(",", ";"),
        "\n"
        + MANIFEST.replace(",", "\t").upper().replace("JPG", "jpg").replace("B", "b").replace("EACH", "each"),
        MANIFEST.replace("\n", ",,\r\n"),
        MANIFEST.replace("b/beach ", "b/beach\u00a0"),
        MANIFEST.replace("b/beach ", "B\\Beach").replace("beach,b/beach", "#Beach,./b/beach"),
    ],
)
def test_manifests_of_other_tools_are_read(file: Path, text: str) -> None:
    file.write_bytes(text.encode())
    photos = read_manifest(file)
    assert [photo.path for photo in photos] == ["/b/0.jpg", "/b/1.jpg"]
    assert {(photo.label, photo.scene_class) for photo in photos} == {("beach", "b/beach")}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "photo_id,path,label\n1,2,3\n",
            "A manifest has the columns photo_id, path, label, scene_class. Line 1 has",
        ),
        (MANIFEST + "b2,/b/2.jpg,beach\n", "line 4 of the manifest: it has 3 cells, the header has 4"),
        (MANIFEST + "b2,/b/2.jpg, ,b/beach\n", "line 4 of the manifest has no label"),
        (MANIFEST + '"b2', "Line 4: this is not a table"),
        (MANIFEST[:32], "lists no photos"),
    ],
)
def test_a_manifest_that_cannot_be_read_names_its_line(file: Path, text: str, words: str) -> None:
    file.write_text(text)
    with pytest.raises(PhotosError, match=words):
        read_manifest(file)


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("\ufeffraw_name;Hashtag\n/b/beach;#Beach\n", {"b/beach": "beach"}),
        (
            "class,label\nB/Beach,beach\na/athletic field,sport\n",
            {"b/beach": "beach", "a/athletic_field": "sport"},
        ),
        ("key,hashtag\nb/beach,beach\nc/cafe,\n", {"b/beach": "beach", "c/cafe": "other"}),
        ("key,hashtag\nb/beach,other\nc/cafe,\n", {"b/beach": "other"}),
        ("key,hashtag,status\nb/beach,beach,imported\nc/cafe,,undecided\n", {"b/beach": "beach"}),
    ],
)
def test_labels_of_other_tools_are_read(file: Path, text: str, labels: dict[str, str]) -> None:
    file.write_bytes(text.encode())
    assert {key: meaning.label for key, meaning in read_meanings(file).items()} == labels


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "raw_name,hashtag\n/b/beach,beach\n/c/cafe,cafe\n/b/beach,home\n",
            "line 4: b/beach is already in line 2",
        ),
        ("raw_name,hashtag\n/b/beach,beach,x\n", "line 2: it has 3 cells"),
        ("raw_name,key,hashtag\n/b/beach,b,beach\n", "same meaning: key"),
    ],
)
def test_labels_are_not_dropped_in_silence(file: Path, text: str, words: str) -> None:
    file.write_text(text)
    with pytest.raises(PhotosError, match=words):
        read_meanings(file)


def test_the_groups_of_a_table_reach_the_manifest(tmp_path: Path, file: Path) -> None:
    for name in ("b/beach", "c/cafe"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        (tmp_path / "photos" / name / "1.jpg").write_bytes(b"")
    file.write_text("key,hashtag,sun_level1,sun_level2\nb/beach,beach,outdoor,water\nc/cafe,cafe,indoor,\n")
    write_manifest(tmp_path / "photos", file, tmp_path / "manifest.csv")
    photos = read_manifest(tmp_path / "manifest.csv")
    assert [photo.levels for photo in photos] == [("outdoor", "water"), ("indoor", "")]


def test_folders_are_found_in_any_spelling(
    tmp_path: Path, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("B/Cafe\u0301", "athletic field", "zoo"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        (tmp_path / "photos" / name / "1.jpg").write_bytes(b"")
    file.write_text(
        "key,hashtag,status\nb/café,cafe,confirmed\nathletic_field,sport,imported\nzoo,,undecided\n"
    )
    assert write_manifest(tmp_path / "photos", file, tmp_path / "manifest.csv") == 2
    assert '"classes": ["zoo"]' in capsys.readouterr().out


def test_photos_in_label_folders_need_no_class(tmp_path: Path, file: Path) -> None:
    for name in ("b/beach", "_other/pets", "_hashtag/cars"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        (tmp_path / "photos" / name / "1.jpg").write_bytes(b"")
    file.write_text("key,hashtag\nb/beach,beach\n")
    assert write_manifest(tmp_path / "photos", file, tmp_path / "manifest.csv") == 3
    photos = read_manifest(tmp_path / "manifest.csv")
    assert sorted((photo.scene_class, photo.label) for photo in photos) == [
        ("_hashtag/cars", "cars"),
        ("_other/pets", "other"),
        ("b/beach", "beach"),
    ]


@pytest.mark.parametrize("name", ["b/beach", "_other"])
def test_circle_of_links_is_left_to_the_reader_of_photos(tmp_path: Path, file: Path, name: str) -> None:
    """Who skips what cannot be read, and says so."""
    (tmp_path / "photos" / name).mkdir(parents=True)
    (tmp_path / "photos" / name / "1.jpg").symlink_to("1.jpg")
    assert write_manifest(tmp_path / "photos", None, tmp_path / "manifest.csv") == 1


def test_byte_order_marks_do_not_matter_in_lists_and_recipes(tmp_path: Path, file: Path) -> None:
    rows = "".join(f"b{n},/x/b/beach/sun_{n}.jpg,beach,b/beach\n" for n in range(2))
    file.write_text(MANIFEST.splitlines()[0] + "\n" + rows)
    for name, line in {
        "Training_01.txt": "/b/beach/sun_0.jpg\n",
        "Testing_01.txt": "/b/beach/sun_1.jpg\n",
    }.items():
        (tmp_path / name).write_bytes(b"\xef\xbb\xbf" + line.encode())
    split = split_for(read_manifest(file), Recipe(split="sun-01"), tmp_path)
    assert (len(split.train), len(split.test)) == (1, 1)
    (tmp_path / "recipe.json").write_bytes(b'\xef\xbb\xbf{"epochs": 3}')
    assert _read_object(tmp_path / "recipe.json") == {"epochs": 3}
