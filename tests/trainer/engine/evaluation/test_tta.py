"""Test-time augmentation averages probabilities over distorted copies, the same ones every time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.trainer.engine.conftest import CLASSES, Engine, write_job, write_manifest, write_photo
from trainer.engine.evaluation.tta import average_copies
from trainer.engine.photos.manifest import Photo
from trainer.engine.photos.sources import Batch, PhotoSource
from trainer.engine.preprocess import Input

SPEC = Input(16, (127.5,) * 3, (127.5,) * 3)


@pytest.fixture
def source(tmp_path: Path) -> PhotoSource:
    photos = []
    for at, name in enumerate(CLASSES):
        write_photo(tmp_path / f"{at}.jpg", name, at)
        photos.append(Photo(str(at), str(tmp_path / f"{at}.jpg"), name, name))
    index = {name: at for at, name in enumerate(CLASSES)}
    return PhotoSource(photos, photos, index, index, spec=SPEC, batch_size=2, seed=0, num_workers=0)


def channel_means(batches: Iterator[Batch]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """A network whose logits are ten times the mean red, green and blue of a photo."""
    rows = [batch.inputs.mean((2, 3)).numpy() * 10 for batch in batches]
    return np.concatenate(rows), np.arange(len(rows))


def test_probabilities_are_averaged_not_logits(source: PhotoSource) -> None:
    copies = [channel_means(source.test_batches(augment=3, epoch=1_000_000 + n))[0] for n in range(4)]
    assert not np.allclose(copies[0], copies[1])
    powers = [np.exp(logits) / np.exp(logits).sum(1, keepdims=True) for logits in copies]
    average = average_copies(channel_means, source, copies=4, strength=3)
    assert np.exp(average) == pytest.approx(np.mean(powers, axis=0), abs=1e-5)
    assert np.array_equal(average, average_copies(channel_means, source, copies=4, strength=3))


@pytest.mark.integration
def test_a_run_reports_both(tmp_path: Path, engine: Engine) -> None:
    recipe = {"kind": "finetune", "weights": "none", "image_size": 32, "epochs": 1, "tta": 2, "batch_size": 8}
    code, events = engine("train", write_job(tmp_path, write_manifest(tmp_path, 6), recipe))
    assert code == 0, events[-1]
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    assert report["tta"].keys() == {"copies", "accuracy", "balanced_accuracy"}
    # An exported model answers without copies: thresholds and predictions are those of the photos themselves.
    assert report["accuracy"] == report["history"][-1]["accuracy"]
