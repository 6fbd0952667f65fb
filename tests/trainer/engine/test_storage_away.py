"""A failing disk ends a command of the engine as a fault of the disk, not of a photo, model or checkpoint."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from formats.storage import StorageFailure
from tests.trainer.engine.conftest import CLASSES, Engine, write_job, write_photo
from trainer.engine.events import StopRequest
from trainer.engine.networks.features import FeatureCache
from trainer.engine.photos.folder import read_meanings
from trainer.engine.photos.manifest import Photo, read_manifest, with_hashes
from trainer.engine.photos.partitions import _read_list
from trainer.engine.photos.sources import PhotoSource
from trainer.engine.preprocess import Input
from trainer.engine.serving.evaluate import evaluate
from trainer.engine.serving.predict import Suggester
from trainer.engine.training import checkpoint
from trainer.engine.training.run import RunJob, tells_skipped


def broken(path: Path) -> Path:
    """A file at whose start the kernel answers EIO, as a broken disk does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to("/proc/self/mem")
    return path


def photos_in(folder: Path) -> list[Photo]:
    photos = []
    for scene_class, label in CLASSES.items():
        for at in range(2):
            path = folder / scene_class / f"{at}.jpg"
            write_photo(path, scene_class, at)
            photos.append(Photo(f"{scene_class}/{at}", str(path), label, scene_class))
    return photos


def source_of(photos: list[Photo]) -> PhotoSource:
    labels = {label: at for at, label in enumerate(sorted(set(CLASSES.values())))}
    scenes = {scene: at for at, scene in enumerate(CLASSES)}
    spec = Input(32, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    return PhotoSource(photos, photos, labels, scenes, spec=spec, batch_size=4, seed=0, num_workers=0)


def test_photos_that_are_away_with_their_folder_are_not_skipped(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    photos = with_hashes(photos_in(folder), StopRequest())
    source = source_of(photos)
    Path(photos[0].path).unlink()
    assert len(with_hashes(photos, StopRequest())) == len(photos) - 1
    assert sum(len(batch.labels) for batch in source.test_batches()) == len(photos) - 1
    folder.rename(tmp_path / "unmounted")
    with pytest.raises(StorageFailure):
        with_hashes(photos, StopRequest())
    with pytest.raises(StorageFailure):
        list(source.batches(0, 0))


def test_photos_without_labels_that_are_away_with_a_folder_of_their_own_are_not_skipped(
    tmp_path: Path,
) -> None:
    labelled = with_hashes(photos_in(tmp_path / "labelled"), StopRequest())
    new = with_hashes(photos_in(tmp_path / "mounted" / "new"), StopRequest())
    source, skip = source_of([*labelled, *new]), tells_skipped()
    Path(new[0].path).unlink()
    skip(new[0], "gone")  # that one alone
    (tmp_path / "mounted" / "new").rename(tmp_path / "unmounted")
    skip(labelled[0], "gone")
    with pytest.raises(StorageFailure):
        skip(new[1], "gone")
    with pytest.raises(StorageFailure):
        list(source.batches(0, 0))


def test_a_photo_that_the_disk_does_not_give_is_not_skipped(tmp_path: Path) -> None:
    photos = photos_in(tmp_path)
    Path(photos[0].path).unlink()
    broken(Path(photos[0].path))
    with pytest.raises(StorageFailure):
        with_hashes(photos, StopRequest())
    with pytest.raises(StorageFailure):
        list(source_of(photos).test_batches())


def test_features_that_cannot_be_read_now_are_kept(tmp_path: Path) -> None:
    FeatureCache(tmp_path).add(["a"], np.ones((1, 2), np.float16))
    file = broken(tmp_path / "b.npz")
    with pytest.raises(StorageFailure):
        FeatureCache(tmp_path)
    assert file.is_symlink()
    file.unlink()
    (tmp_path / "c.npz").write_bytes(b"cut off")
    assert list(FeatureCache(tmp_path).rows) == ["a"]
    assert not (tmp_path / "c.npz").exists()


def test_no_older_checkpoint_replaces_one_that_cannot_be_read_now(tmp_path: Path) -> None:
    checkpoint.save(tmp_path / checkpoint.PREVIOUS, {"x": 1})
    broken(tmp_path / checkpoint.NAME)
    with pytest.raises(StorageFailure):
        checkpoint.latest(tmp_path)


@pytest.mark.parametrize(
    "read",
    [
        read_manifest,
        read_meanings,
        RunJob.read,
        lambda path: _read_list(path, "Partitions"),
    ],
)
def test_lists_that_cannot_be_read_now_are_not_wrong(tmp_path: Path, read: Callable[[Path], Any]) -> None:
    with pytest.raises(StorageFailure):
        read(broken(tmp_path / "x"))


def test_a_model_that_is_away_is_not_damaged(tmp_path: Path) -> None:
    broken(tmp_path / "models" / "1" / "manifest.json")
    with pytest.raises(StorageFailure):
        Suggester(tmp_path / "models" / "1")
    with pytest.raises(StorageFailure):
        Suggester(tmp_path / "unmounted" / "1")


@pytest.mark.integration  # the model is trained by the engine
def test_figures_are_not_made_of_the_photos_that_are_left(tmp_path: Path, model: Path) -> None:
    folder = tmp_path / "photos"
    rows = [[p.photo_id, p.path, p.label, p.scene_class] for p in photos_in(folder)]
    manifest = tmp_path / "manifest.csv"
    with manifest.open("w", newline="") as file:
        csv.writer(file).writerows([["photo_id", "path", "label", "scene_class"], *rows])
    folder.rename(tmp_path / "unmounted")
    with pytest.raises(StorageFailure):
        evaluate(model, manifest)


def test_a_run_without_a_place_says_so(tmp_path: Path, engine: Engine) -> None:
    (tmp_path / "run").touch()
    photos = photos_in(tmp_path / "photos")
    manifest = tmp_path / "manifest.csv"
    with manifest.open("w", newline="") as file:
        rows = [[p.photo_id, p.path, p.label, p.scene_class] for p in photos]
        csv.writer(file).writerows([["photo_id", "path", "label", "scene_class"], *rows])
    code, [error] = engine("train", write_job(tmp_path, manifest, {"epochs": 1}))
    assert (code, error["kind"]) == (1, "disk")
    assert str(tmp_path / "run") in error["message"]
    assert error["hint"]
