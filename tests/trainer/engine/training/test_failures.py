"""What ends a run before its time: each by the real thing, each with its reason and what to do."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.trainer.engine.conftest import Engine, StopsAfter, write_job, write_manifest
from trainer.engine.events import Stopped
from trainer.engine.training import checkpoint
from trainer.engine.training.run import RunJob, train

pytestmark = pytest.mark.integration

RECIPE: dict[str, Any] = {
    "kind": "finetune",
    "network": "test_resnet",  # of timm: the smallest there is
    "weights": "none",
    "image_size": 32,
    "epochs": 2,
    "batch_size": 4,
    "lr": 0.001,
    "mixup": 0.0,
}


@contextmanager
def limited(which: int, most: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(which)
    resource.setrlimit(which, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(which, (soft, hard))


def error_of(events: list[dict[str, Any]]) -> dict[str, Any]:
    assert events[-1]["event"] == "error", events[-1]
    assert events[-1]["hint"]
    return events[-1]


def test_a_full_disk_keeps_the_checkpoint_and_a_damaged_one_is_passed_over(
    tmp_path: Path, engine: Engine
) -> None:
    job = write_job(tmp_path, write_manifest(tmp_path, 6), RECIPE)
    with pytest.raises(Stopped):
        train(RunJob.read(job), StopsAfter(4))
    newest = tmp_path / "run" / checkpoint.NAME
    before = newest.read_bytes()
    with limited(resource.RLIMIT_FSIZE, 2**20):
        code, events = engine("train", job)
    assert (code, error_of(events)["kind"]) == (1, "disk")
    assert newest.read_bytes() == before
    assert not list((tmp_path / "run").glob("*.part"))
    with pytest.raises(Stopped):
        train(RunJob.read(job), StopsAfter(2))  # there is room again
    newest.write_bytes(before[: len(before) // 2])
    code, events = engine("train", job)
    assert (code, events[-1]["event"]) == (0, "done"), events
    assert {"damaged", "saved"} <= {event["event"] for event in events}


def test_too_little_memory(tmp_path: Path, engine: Engine) -> None:
    recipe = {**RECIPE, "image_size": 1024, "batch_size": 64}
    job = write_job(tmp_path, write_manifest(tmp_path, 12), recipe)
    with limited(resource.RLIMIT_AS, psutil.Process().memory_info().vms + 2**30):
        code, events = engine("train", job)
    assert (code, error_of(events)["kind"]) == (1, "memory")


@pytest.mark.parametrize("workers", [0, 1])
def test_files_that_are_not_photos_are_skipped(tmp_path: Path, engine: Engine, workers: int) -> None:
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"\xff\xd8\xff\xe0 not a photo")
    manifest = write_manifest(tmp_path, 4, extra=[["bad", str(bad), "street", "a/alley"]])
    code, events = engine("train", write_job(tmp_path, manifest, {**RECIPE, "num_workers": workers}))
    assert (code, events[-1]["event"]) == (0, "done"), events
    assert [event["photo_id"] for event in events if event["event"] == "skipped"] == ["bad"]


def test_no_photo_that_can_be_read(tmp_path: Path, engine: Engine) -> None:
    manifest = write_manifest(tmp_path, 3)
    for file in (tmp_path / "photos").rglob("*.jpg"):
        file.write_bytes(file.name.encode() + file.parent.name.encode())
    code, events = engine("train", write_job(tmp_path, manifest, RECIPE))
    assert (code, error_of(events)["kind"]) == (1, "photos")


def test_no_weights_and_no_network(tmp_path: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The download goes to a port where nobody listens."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    for name in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    recipe = {**RECIPE, "network": "resnet18", "weights": "imagenet"}
    code, events = engine("train", write_job(tmp_path, write_manifest(tmp_path, 3), recipe))
    error = error_of(events)
    assert (code, error["kind"]) == (1, "weights")
    assert str(tmp_path / "torch" / "hub" / "checkpoints") in error["hint"]
