"""SUN397's own partitions, and folds."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from trainer.engine.errors import PhotosError
from trainer.engine.photos.manifest import Photo
from trainer.engine.photos.partitions import fold, split_for, train_only
from trainer.engine.recipe import Recipe


def photos(counts: dict[str, int]) -> list[Photo]:
    return [
        Photo(f"{name}/{at}", f"/data/SUN/{name}/sun_{at}.jpg", "cafe", name, f"{name}{at}")
        for name, count in counts.items()
        for at in range(count)
    ]


@pytest.fixture
def lists(tmp_path: Path) -> Path:
    (tmp_path / "Training_03.txt").write_text(
        "/a/abbey/sun_0.jpg\n/a/abbey/sun_1.jpg\n/b/bar/indoor/sun_0.jpg\n"
    )
    (tmp_path / "Testing_03.txt").write_text("/a/abbey/sun_2.jpg\r\n/b/bar/indoor/sun_1.jpg\r\n\r\n")
    return tmp_path


def test_the_lists_decide(lists: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = photos({"a/abbey": 5, "b/bar/indoor": 2, "b/bar": 2})
    split = split_for(rows, Recipe(split="sun-03"), lists)
    assert [p.photo_id for p in split.train] == ["a/abbey/0", "a/abbey/1", "b/bar/indoor/0"]
    assert [p.photo_id for p in split.test] == ["a/abbey/2", "b/bar/indoor/1"]
    assert '"photos": 4' in capsys.readouterr().out  # in no list


@pytest.mark.parametrize(
    ("partition", "words"),
    [
        ("sun-03", "of 3 photos 0 are in Training_03.txt and 0 in Testing_03.txt"),
        ("sun-04", "Training_04.txt is not in"),
    ],
)
def test_partitions_that_do_not_fit_are_reported(lists: Path, partition: str, words: str) -> None:
    with pytest.raises(PhotosError, match=words):
        split_for(photos({"z/zoo": 3}), Recipe(split=partition), lists)


def test_nonsense_names_its_line(lists: Path) -> None:
    (lists / "Testing_03.txt").write_text("/a/abbey/sun_2.jpg\n<html>\n")
    with pytest.raises(PhotosError, match=r"line 2 of Testing_03\.txt is not a photo: '<html>'"):
        split_for(photos({"a/abbey": 3}), Recipe(split="sun-03"), lists)


def test_without_the_files_it_says_where_they_belong() -> None:
    with pytest.raises(PhotosError) as caught:
        split_for(photos({"a/abbey": 3}), Recipe(split="sun-01"), None)
    assert "Partitions" in caught.value.hint


def test_folds_hold_every_photo_out_once() -> None:
    rows = photos({"a": 23, "b": 7, "c": 2})
    parts = [fold(rows, number=n, of=5, seed=3) for n in range(1, 6)]
    assert Counter(p.photo_id for part in parts for p in part.test) == Counter(p.photo_id for p in rows)
    for part in parts:
        assert {p.photo_id for p in part.train} == {p.photo_id for p in rows} - {
            p.photo_id for p in part.test
        }
        assert 4 <= sum(p.scene_class == "a" for p in part.test) <= 5
    assert fold(list(reversed(rows)), number=2, of=5, seed=3) == parts[1]
    assert fold(rows, number=2, of=5, seed=4) != parts[1]


def test_copies_fall_into_one_fold() -> None:
    originals = photos({"a": 20})
    copies = [Photo(f"copy {p.photo_id}", p.path, p.label, "b", p.sha256) for p in originals]
    for number in range(1, 5):
        part = fold([*originals, *copies], number=number, of=4, seed=0)
        assert not {p.sha256 for p in part.train} & {p.sha256 for p in part.test}


def test_too_few_photos_for_the_folds() -> None:
    with pytest.raises(PhotosError, match="1 photos are too few"):
        fold(photos({"a": 1}), number=1, of=3, seed=0)


@pytest.mark.parametrize("rows", [{"a": 1, "b": 1}, {"a": 1}])
def test_one_photo_a_class_leaves_none_to_hold_out(rows: dict[str, int]) -> None:
    with pytest.raises(PhotosError, match="no photo can be held out: every class has one photo"):
        split_for(photos(rows), Recipe(), None)


def test_classes_that_only_train_are_known() -> None:
    assert train_only(split_for(photos({"a": 1, "b": 2, "c": 1}), Recipe(), None)) == ["a", "c"]


def test_names_in_the_lists_may_be_spelled_otherwise(lists: Path) -> None:
    rows = [
        Photo(p.photo_id, p.path.replace("sun_", "SUN_"), p.label, p.scene_class)
        for p in photos({"a/abbey": 3})
    ]
    split = split_for(rows, Recipe(split="sun-03"), lists)
    assert (len(split.train), len(split.test)) == (2, 1)
