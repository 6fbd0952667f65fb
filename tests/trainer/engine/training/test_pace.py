"""What settings of pace mean for a whole run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.trainer.engine.conftest import CLASSES, write_job, write_manifest, write_photo
from trainer.engine.errors import RecipeError
from trainer.engine.events import StopRequest
from trainer.engine.training import checkpoint
from trainer.engine.training.run import RunJob, train

pytestmark = pytest.mark.integration

SMALL: dict[str, Any] = {
    "kind": "finetune",
    "network": "test_resnet",
    "weights": "none",
    "image_size": 32,
    "epochs": 1,
    "batch_size": 4,
    "mixup": 0.0,
    "balance": 0.5,
}


@pytest.mark.parametrize(
    ("settings", "is_corrected"), [({}, True), ({"balanced_sampling": 0.3, "weighted_loss": 0.2}, False)]
)
def test_balance_corrects_what_was_not_taught_already(
    settings: dict[str, float], is_corrected: bool, tmp_path: Path
) -> None:
    """Beaches are twice as many as the others."""
    rows = []
    for at in range(3):
        write_photo(tmp_path / f"{at}.jpg", "b/beach", 100 + at)
        rows.append([f"more/{at}", str(tmp_path / f"{at}.jpg"), CLASSES["b/beach"], "b/beach"])
    manifest = write_manifest(tmp_path, 3, extra=rows)
    report = train(RunJob.read(write_job(tmp_path, manifest, {**SMALL, **settings})), StopRequest())
    shift = checkpoint.load(tmp_path / "run" / "best.pt")["state"]["1.shift"]
    assert bool(torch.any(shift != 0)) == is_corrected
    assert report["environment"]["precision"] in ("fp32", "bf16")


def test_a_network_of_one_size_refuses_photos_that_grow(tmp_path: Path) -> None:
    recipe = {**SMALL, "network": "vit_tiny_patch16_224", "image_size": 64, "first_size": 32}
    with pytest.raises(RecipeError, match="first_size: vit_tiny_patch16_224 takes photos of one size only"):
        train(RunJob.read(write_job(tmp_path, write_manifest(tmp_path, 3), recipe)), StopRequest())
