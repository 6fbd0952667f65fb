"""The photos that ship: all attributed, none in both parts, all readable, all of known classes."""

from __future__ import annotations

import csv
from hashlib import sha256
from pathlib import Path

from PIL import Image

from mapping.lexicon.names import scene_key

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "samples"
ROWS = list(csv.DictReader((SAMPLES / "ATTRIBUTION.csv").open(encoding="utf-8")))
PHOTOS = sorted(SAMPLES.rglob("*.jpg"))


def test_every_photo_has_its_attribution_and_the_reverse() -> None:
    assert len(PHOTOS) == 104
    assert sorted(row["path"] for row in ROWS) == [p.relative_to(SAMPLES).as_posix() for p in PHOTOS]
    assert all(row["flickr_url"] and row["licence"] and row["licence_url"] for row in ROWS)


def test_no_photo_is_in_both_parts() -> None:
    assert len({sha256(photo.read_bytes()).digest() for photo in PHOTOS}) == len(PHOTOS)


def test_classes_are_of_the_catalogue_and_several_hashtags_and_other_are_there() -> None:
    with (ROOT / "mapping/data/sun397.csv").open(encoding="utf-8") as catalogue:
        label = {scene_key(row["raw_name"]): row["hashtag"] for row in csv.DictReader(catalogue)}
    labels = [label[row["scene_class"]] for row in ROWS if row["part"] == "photoset"]
    assert len(labels) > 40
    assert len(set(labels)) >= 6
    assert "other" in labels


def test_all_are_readable() -> None:
    for photo in PHOTOS:
        with Image.open(photo) as image:
            image.verify()
