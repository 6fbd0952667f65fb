"""SUN's three levels, predicted together."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tests.trainer.engine.conftest import Engine, StopsAfter, write_job, write_manifest
from trainer.engine.errors import PhotosError
from trainer.engine.events import Stopped, StopRequest
from trainer.engine.photos.manifest import Photo
from trainer.engine.recipe import Recipe
from trainer.engine.serving.export import rebuild
from trainer.engine.training import checkpoint
from trainer.engine.training.levels import UNKNOWN, Levels, groups_of, hits
from trainer.engine.training.run import RunJob, train

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("frozen")]

SCENES = ["a/alley", "b/beach", "p/pantry"]
GROUPS = {"a/alley": ("outdoor", "city"), "b/beach": ("outdoor", "water"), "p/pantry": ("indoor", "")}
FINETUNE: dict[str, Any] = {
    "kind": "finetune",
    "network": "test_resnet",
    "weights": "none",
    "image_size": 32,
    "mixup": 0.0,
}
FINETUNE |= {"epochs": 2, "batch_size": 4, "lr": 0.001}


def photo(scene: str, levels: tuple[str, str]) -> Photo:
    return Photo(scene, "x.jpg", "street", scene, levels=levels)


def levels_of(recipe: Recipe, network: nn.Module | None = None) -> Levels:
    groups = groups_of([photo(*item) for item in GROUPS.items()], SCENES)
    return Levels(recipe, network or nn.Identity(), groups, 2)


def test_groups_are_numbered_by_level() -> None:
    photos = [photo(*item) for item in GROUPS.items()]
    assert groups_of(photos, SCENES) == [[1, 1, 0], [0, 1, UNKNOWN]]


@pytest.mark.parametrize(
    ("photos", "words"),
    [
        ([("a/alley", ("indoor", "")), ("a/alley", ("outdoor", ""))], "a/alley has two groups of level1"),
        ([("a/alley", ("", ""))], "no scene class of these photos has a group"),
    ],
)
def test_groups_that_cannot_be_used_are_refused(photos: list[Any], words: str) -> None:
    with pytest.raises(PhotosError, match=words):
        groups_of([photo(*item) for item in photos], ["a/alley"])


def test_a_frozen_recipe_adds_up_scene_classes() -> None:
    """Level 1: alley and beach are outdoor, .5 + .3. Level 2: pantry has no group. Level 3 has its loss."""
    levels = levels_of(Recipe(level_loss=2.0))
    scenes = torch.tensor([[0.5, 0.3, 0.2], [0.5, 0.3, 0.2]]).log()
    loss = levels.loss(scenes, torch.tensor([0, 2]))
    assert loss.item() == pytest.approx(2 * (-(math.log(0.8) + math.log(0.2)) / 2 - math.log(0.5)))
    assert not list(levels.parameters())


def test_a_photo_without_any_group_adds_nothing() -> None:
    groups = groups_of([photo("a/alley", ("outdoor", "")), photo("p/pantry", ("", ""))], SCENES[::2])
    levels = Levels(Recipe(level_loss=1.0), nn.Identity(), groups, 2)
    assert levels.loss(torch.zeros(1, 2), torch.tensor([1])).item() == 0.0


def test_right_answers_are_counted_by_level() -> None:
    scenes = torch.tensor([[0.3, 0.5, 0.2], [0.1, 0.1, 0.8]]).log()
    counts = hits(levels_of(Recipe(level_loss=1.0)).answers(scenes, torch.tensor([0, 2])))
    assert counts.tolist() == [[2, 2], [0, 1], [1, 2]]


def test_fine_tuning_gets_a_head_over_scene_classes() -> None:
    """Its loss reaches the features and all three levels count."""
    features, last = nn.Linear(4, 3), nn.Linear(3, 2)
    network = nn.Sequential(features, last)
    recipe = Recipe(**FINETUNE | {"level_loss": 1.0})
    levels = levels_of(recipe, Untried(network))
    with torch.no_grad():
        assert levels.head is not None
        levels.head.weight.zero_()
        levels.head.bias.zero_()
    outputs = network(torch.randn(1, 4))
    # Three equal scene classes: outdoor 2/3, city 1/3, alley 1/3.
    loss = levels.loss(outputs, torch.tensor([0]))
    assert loss.item() == pytest.approx(-math.log(2 / 3) - 2 * math.log(1 / 3))
    with torch.no_grad():
        levels.head.weight.normal_()
    levels.loss(network(torch.randn(1, 4)), torch.tensor([0])).backward()  # type: ignore[no-untyped-call]
    assert features.weight.grad is not None
    assert features.weight.grad.abs().sum() > 0
    assert last.weight.grad is None


class Untried(nn.Module):
    """A network of four numbers in place of photos."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, photos: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.network(photos.flatten(1)[:, :4])
        return logits


def with_groups(manifest: Path) -> Path:
    with manifest.open(newline="") as file:
        rows = list(csv.DictReader(file))
    with manifest.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*rows[0], "level1", "level2"])
        writer.writerows([*row.values(), *GROUPS[row["scene_class"]]] for row in rows)
    return manifest


def test_a_fine_tuned_run_reports_its_levels_and_continues(tmp_path: Path, engine: Engine) -> None:
    """Bit for bit, with the head's weights; the model is the network alone."""
    manifest = with_groups(write_manifest(tmp_path, 4))
    recipe = FINETUNE | {"level_loss": 0.5}
    for name in ("whole", "parts"):
        (tmp_path / name).mkdir()
    whole = train(RunJob.read(write_job(tmp_path / "whole", manifest, recipe)), StopRequest())
    assert len(whole["levels"]) == 3
    assert all(0 <= share <= 1 for share in whole["levels"])
    assert whole["masks"] is None
    parts = write_job(tmp_path / "parts", manifest, recipe)
    with pytest.raises(Stopped):
        train(RunJob.read(parts), StopsAfter(2))
    train(RunJob.read(parts), StopRequest())
    first, second = (checkpoint.load(tmp_path / name / "run" / "best.pt") for name in ("whole", "parts"))
    assert first["extras"].keys() == {"extras.levels.head.weight", "extras.levels.head.bias"}
    for part in ("state", "extras"):
        assert all(torch.equal(first[part][key], second[part][key]) for key in first[part])
    rebuild(tmp_path / "whole" / "run")


def test_photos_without_groups_are_refused(frozen: dict[str, Any], engine: Engine, tmp_path: Path) -> None:
    job = json.loads(frozen["job"].read_text())
    job |= {"recipe": {"epochs": 1, "level_loss": 1.0}, "out": str(tmp_path / "run")}
    (tmp_path / "job.json").write_text(json.dumps(job))
    code, events = engine("train", tmp_path / "job.json")
    assert (code, events[-1]["kind"]) == (1, "photos")
    assert "level1" in events[-1]["hint"]


def test_a_frozen_run_reports_its_levels(frozen: dict[str, Any], engine: Engine, tmp_path: Path) -> None:
    manifest = with_groups(write_manifest(tmp_path, 12))
    job = write_job(tmp_path, manifest, {"epochs": 2, "level_loss": 0.5}, cache=frozen["folder"] / "cache")
    code, events = engine("train", job)
    assert code == 0, events[-1]
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    assert [share > 0.5 for share in report["levels"]] == [True] * 3
