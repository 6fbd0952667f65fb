"""Several processes learn what one would, and the same each time. test_launch.py starts them by torchrun."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
import torch

from formats.json_text import from_json
from tests.trainer.engine.conftest import write_job, write_manifest
from tests.trainer.engine.together import train_together
from trainer.engine.errors import RecipeError
from trainer.engine.events import StopRequest
from trainer.engine.training import checkpoint
from trainer.engine.training.run import RunJob, train

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("ranks")]

# No random numbers but those of the photos: mixing and dropout are drawn by each process.
RECIPE: dict[str, Any] = {
    "kind": "finetune",
    "network": "test_convnext",
    "weights": "none",
    "image_size": 32,
    "epochs": 2,
    "batch_size": 8,  # of 21 photos the last batch has 5, of which one process gets 3 and the other 2
    "lr": 0.01,
    "optimizer": "sgd",
    "mixup": 0.0,
    "augment": 2,
    "precision": "fp32",
    "accumulate": 2,
    "clip_norm": 1.0,
    "ema": 0.5,
    "weighted_loss": 0.5,
}
# What is drawn or remembered by each process.
DRAWN = {
    **RECIPE,
    "network": "test_resnet",
    "mixup": 0.2,
    "balanced_sampling": 0.5,
    "unfreeze": 0.3,
    "tta": 1,
}
TOLERANCE = 1e-4  # of a loss, relative


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    return write_manifest(tmp_path_factory.mktemp("ranks"), 9)


def job_in(folder: Path, manifest: Path, recipe: dict[str, Any]) -> Path:
    folder.mkdir()
    return write_job(folder, manifest, recipe)


def weights_of(job: Path) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = checkpoint.load(job.parent / "run" / "best.pt")["state"]
    return state


@pytest.mark.parametrize("settings", [{}, {"network": "test_resnet", "sync_batchnorm": True}])
def test_two_processes_learn_what_one_does(settings: dict[str, Any], tmp_path: Path, manifest: Path) -> None:
    one = job_in(tmp_path / "one", manifest, RECIPE | settings | {"sync_batchnorm": False})
    two = job_in(tmp_path / "two", manifest, RECIPE | settings | {"processes": 2})
    train(RunJob.read(one), StopRequest())
    codes, _ = train_together(two)
    assert codes == [0, 0]
    reports = [from_json((job.parent / "run" / "report.json").read_text()) for job in (one, two)]
    for row, other in zip(*(report["history"] for report in reports), strict=True):
        for name in ("loss", "test_loss"):
            assert other[name] == pytest.approx(row[name], rel=TOLERANCE)
        for name in ("train_accuracy", "accuracy", "balanced_accuracy"):
            assert other[name] == row[name]
    rows = [list(csv.DictReader((job.parent / "run" / "test_predictions.csv").open())) for job in (one, two)]
    told = [[(row["photo_id"], row["predicted"]) for row in table] for table in rows]
    assert told[0] == told[1]
    for name, weight in weights_of(one).items():
        assert torch.allclose(weights_of(two)[name].float(), weight.float(), rtol=1e-3, atol=1e-4), name


def test_without_synchronised_norms_the_statistics_are_of_all_photos(tmp_path: Path, manifest: Path) -> None:
    """After one step, the mean of a norm's inputs over the batch is the mean of both halves' means."""
    settings = {"network": "test_resnet", "epochs": 1, "batch_size": 20, "accumulate": 1, "ema": 0.0}
    jobs = [
        job_in(tmp_path / str(count), manifest, RECIPE | settings | {"processes": count}) for count in (1, 2)
    ]
    train(RunJob.read(jobs[0]), StopRequest())
    train_together(jobs[1])
    names = [name for name in weights_of(jobs[0]) if name.endswith("running_mean")]
    first, other = (weights_of(job)[names[0]] for job in jobs)
    assert torch.allclose(first, other, atol=1e-5)
    assert first.abs().max() > 0.01


@pytest.mark.parametrize("looks", [2, 5])
def test_stopped_and_continued_the_weights_are_the_same(
    looks: int, tmp_path: Path, manifest: Path, undisturbed: dict[str, torch.Tensor]
) -> None:
    """The first process alone is asked to stop: in the middle of a step, or after an epoch."""
    job = job_in(tmp_path / "two", manifest, DRAWN | {"processes": 2})
    codes, _ = train_together(job, looks=looks)
    assert codes == [143, 143]
    position = checkpoint.latest(job.parent / "run")["position"]
    assert (position["epoch"], position["batch"]) == {2: (0, 1), 5: (1, 0)}[looks]
    assert train_together(job)[0] == [0, 0]
    ours = weights_of(job)
    assert all(torch.equal(ours[name], undisturbed[name]) for name in undisturbed)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, manifest: Path) -> dict[str, torch.Tensor]:
    folder = tmp_path_factory.mktemp("undisturbed")
    job = job_in(folder / "two", manifest, DRAWN | {"processes": 2})
    assert train_together(job)[0] == [0, 0]
    return weights_of(job)


def test_photos_that_cannot_be_read_are_told_once(tmp_path: Path) -> None:
    """A batch with fewer than two photos for one of the processes teaches neither."""
    manifest = write_manifest(tmp_path, 7)
    rows = list(csv.DictReader(manifest.read_text().splitlines()))
    bad = [row for at, row in enumerate(rows) if at % 3 == 0]
    for row in bad:
        Path(row["path"]).write_bytes(row["photo_id"].encode())
    job = job_in(tmp_path / "two", manifest, RECIPE | {"processes": 2, "batch_size": 4, "epochs": 1})
    codes, (events, _) = train_together(job)
    assert codes == [0, 0]
    told = [event["photo_id"] for event in events if event["event"] == "skipped"]
    assert sorted(told) == sorted(row["photo_id"] for row in bad)


def test_fewer_processes_than_asked_for_are_refused(tmp_path: Path, manifest: Path) -> None:
    job = RunJob.read(job_in(tmp_path / "two", manifest, RECIPE | {"processes": 2}))
    with pytest.raises(RecipeError, match="processes: the recipe asks for 2 in all, and 1 were started"):
        train(job, StopRequest())
