"""Every row of the thesis's tables starts, steps, saves, stops when asked and goes on, on few small photos.

With a network of timm that is made for tests; each of the 17 with its own: ``python -m benchmarks.presets``.
"""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.trainer.engine.conftest import StopsAfter, write_manifest
from trainer.engine.events import Stopped
from trainer.engine.presets import PRESETS
from trainer.engine.recipe import Recipe
from trainer.engine.training import checkpoint
from trainer.engine.training.run import RunJob, train

pytestmark = pytest.mark.integration

THESIS = [name for name, preset in PRESETS.items() if preset.thesis]


def small(recipe: Recipe) -> Recipe:
    """All that the preset is, but for its size: two batches an epoch, nothing to download."""
    sizes: dict[str, Any] = {"image_size": 32, "batch_size": 3, "epochs": 5, "num_workers": 0}
    return replace(recipe, network="test_resnet", weights="none", **sizes)


def rates_of(recipe: Recipe) -> list[float]:
    """Of each epoch: the thesis's equation 14 where it anneals, else always the same."""
    if recipe.schedule == "constant":
        return [recipe.lr] * 5
    return [0.001 + (0.1 - 0.001) / 2 * (1 + math.cos(i * math.pi / recipe.period)) for i in range(5)]


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_manifest(tmp_path_factory.mktemp("presets"), 3)


def test_there_are_seventeen() -> None:
    assert len(THESIS) == 17


@pytest.mark.parametrize("name", THESIS)
def test_it_starts_saves_stops_and_continues(
    name: str, manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.set_num_threads(1)
    job = RunJob(small(PRESETS[name].recipe), manifest, tmp_path, tmp_path)
    with pytest.raises(Stopped):
        train(job, StopsAfter(2))
    position = checkpoint.latest(tmp_path)["position"]
    assert (position["epoch"], position["batch"]) == (0, 1)
    report = train(job, StopsAfter(1000))
    events: list[dict[str, Any]] = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [event["resumed"] for event in events if event["event"] == "started"] == [False, True]
    assert [row["epoch"] for row in report["history"]] == [1, 2, 3, 4, 5]
    assert [row["lr"] for row in report["history"]] == pytest.approx(rates_of(job.recipe), abs=1e-15)
    assert not checkpoint.exists(tmp_path)
