"""What the photos of a class look like: the mean of some of them, and how far they agree."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from tests.trainer.engine.conftest import CLASSES, write_manifest
from trainer.engine.__main__ import main
from trainer.engine.backbones import BACKBONES
from trainer.engine.errors import PhotosError
from trainer.engine.looks import PER_CLASS, Looks, sample, summarised
from trainer.engine.networks.features import FeatureCache
from trainer.engine.opening import VERSION
from trainer.engine.photos.manifest import Photo

LITE0 = BACKBONES["efficientnet_lite0"]


def photo(number: int, scene_class: str) -> Photo:
    return Photo(str(number), f"{number}.jpg", "-", scene_class, f"{scene_class}{number}")


def row(*values: float) -> np.ndarray:
    return np.array(values, np.float16)


def test_command_averages_cached_features_and_says_how_many(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = write_manifest(tmp_path, 2)
    store = FeatureCache(tmp_path / f"cache/{LITE0.name}-{LITE0.input.size}-whole-{VERSION}")
    for at, scene_class in enumerate(CLASSES):
        hashes = [
            hashlib.sha256((tmp_path / f"photos/{scene_class}/{i}.jpg").read_bytes()).hexdigest()
            for i in (0, 1)
        ]
        features = np.zeros((2, LITE0.features), np.float16)
        features[:, at] = 5
        store.add(hashes, features)
    options = ["--backbone", LITE0.name, "--cache", str(tmp_path / "cache")]
    assert main(["--json", "look", str(manifest), str(tmp_path / "looks.npz"), *options]) == 0
    looks = Looks.from_bytes((tmp_path / "looks.npz").read_bytes())
    assert looks.classes == tuple(CLASSES)
    assert looks.photos.tolist() == [2, 2, 2]
    assert (looks.means[:, :3] == np.eye(3)).all()
    assert looks.agreement == pytest.approx(1)
    assert '"classes":3,"photos":6' in capsys.readouterr().out.replace(" ", "")


def test_many_photos_of_a_class_are_sampled_evenly() -> None:
    chosen = sample([photo(number, "b/bar") for number in range(5 * PER_CLASS)] + [photo(0, "a/abbey")])
    numbers = [int(one.photo_id) for one in chosen if one.scene_class == "b/bar"]
    assert len(numbers) == PER_CLASS
    assert (numbers[0], numbers[-1]) == (0, 5 * PER_CLASS - 1)
    assert max(np.diff(numbers)) <= 6
    assert [one.scene_class for one in chosen].count("a/abbey") == 1


def test_agreement_tells_alike_photos_from_different_ones() -> None:
    photos = [
        photo(i, key) for key in ("alike", "differ", "single") for i in range(2 if key != "single" else 1)
    ]
    rows = dict(
        zip(
            (one.sha256 for one in photos),
            (row(9, 1, 0, 0), row(9, 1, 0, 0), row(0, 9, 0, 0), row(0, 0, 9, 0), row(0, 0, 0, 1)),
            strict=True,
        )
    )
    looks = summarised(photos, rows)
    alike, differ, single = looks.agreement
    assert alike == pytest.approx(1)
    assert differ < 0.3
    assert np.isnan(single)
    assert np.linalg.norm(looks.means[0]) == pytest.approx(1, abs=1e-3)


def test_photos_without_features_are_left_out() -> None:
    photos = [photo(0, "a/abbey"), photo(1, "b/bar")]
    assert summarised(photos, {"b/bar1": row(1, 0)}).classes == ("b/bar",)
    with pytest.raises(PhotosError, match="no photo"):
        summarised(photos, {})
