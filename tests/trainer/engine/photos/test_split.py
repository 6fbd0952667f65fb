"""80/20 by seed: in every scene class alike, copies together, whatever the order."""

from __future__ import annotations

import csv
import random
from collections import Counter
from pathlib import Path

import pytest

from trainer.engine.errors import PhotosError
from trainer.engine.events import StopRequest
from trainer.engine.photos.manifest import (
    Photo,
    labels_of,
    read_manifest,
    scene_groups,
    split_photos,
    with_hashes,
)


def photos(counts: dict[str, int]) -> list[Photo]:
    return [
        Photo(f"{name}/{at}", f"{name}/{at}.jpg", "cafe", name, f"{name}{at}")
        for name, count in counts.items()
        for at in range(count)
    ]


def test_every_scene_class_is_split_alike() -> None:
    split = split_photos(photos({"a": 100, "b": 10, "c": 2, "d": 1}), test_share=0.2, seed=0)
    assert Counter(p.scene_class for p in split.test) == {"a": 20, "b": 2, "c": 1}
    assert Counter(p.scene_class for p in split.train) == {"a": 80, "b": 8, "c": 1, "d": 1}


def test_the_seed_decides_and_the_order_does_not() -> None:
    rows = photos({"a": 50, "b": 30})
    shuffled = random.Random(1).sample(rows, len(rows))
    first = split_photos(rows, test_share=0.2, seed=0)
    assert split_photos(shuffled, test_share=0.2, seed=0) == first
    assert split_photos(rows, test_share=0.2, seed=1) != first


def test_copies_of_a_photo_never_stand_on_both_sides() -> None:
    originals = photos({"a": 40})
    copies = [Photo(f"copy {p.photo_id}", p.path, p.label, "b", p.sha256) for p in originals]
    split = split_photos(originals + copies, test_share=0.3, seed=3)
    assert not {p.sha256 for p in split.train} & {p.sha256 for p in split.test}
    assert len(split.train) + len(split.test) == 80


def test_one_label_cannot_be_learned() -> None:
    with pytest.raises(PhotosError, match="cafe"):
        labels_of(photos({"a": 3}))


def test_other_comes_last() -> None:
    named = [Photo("1", "", name, "s") for name in ("sky", "other", "water", "art")]
    assert labels_of(named) == ["art", "sky", "water", "other"]


def test_a_scene_class_with_two_labels_is_refused() -> None:
    with pytest.raises(PhotosError, match="scene class s"):
        scene_groups([Photo("1", "", "sky", "s"), Photo("2", "", "art", "s")], ["art", "sky"])


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([["photo_id", "path", "label"]], "scene_class"),
        ([["photo_id", "path", "label", "scene_class"]], "no photos"),
        ([["photo_id", "path", "label", "scene_class"], ["1", "x.jpg", "", "s"]], "line 2"),
    ],
)
def test_a_bad_manifest_says_what_is_missing(tmp_path: Path, rows: list[list[str]], words: str) -> None:
    with (tmp_path / "manifest.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    with pytest.raises(PhotosError, match=words):
        read_manifest(tmp_path / "manifest.csv")


def test_a_photo_whose_file_is_gone_is_left_out_and_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Somebody withdrew it between its registration and the run."""
    (tmp_path / "a.jpg").write_bytes(b"a")
    given = [Photo(name, str(tmp_path / f"{name}.jpg"), "cafe", "c/cafe") for name in ("a", "gone")]
    assert [one.photo_id for one in with_hashes(given, StopRequest())] == ["a"]
    assert '"photo_id": "gone"' in capsys.readouterr().out
