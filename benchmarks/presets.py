"""Each row of the thesis's tables 3 and 4 with its own network: start, step, save, stop, resume, end.

    python -m benchmarks.presets [--only table3-vgg11 …]

Trains on 12 generated photos of 32 px (Inception: 75) in two batches from random weights, to see whether it
works, not how well. Each training is stopped in the middle of its only epoch, then resumed.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import io
import json
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.resume import write_photos
from trainer.engine.events import Stopped, StopRequest
from trainer.engine.presets import PRESETS
from trainer.engine.recipe import Recipe
from trainer.engine.training import checkpoint
from trainer.engine.training.run import RunJob, train


class AfterOneBatch(StopRequest):
    """Requests a stop at its third check. The checks: after reading the photos, and before every batch."""

    looks = 2

    def __bool__(self) -> bool:
        self.looks -= 1
        return self.looks < 0


def small(recipe: Recipe) -> Recipe:
    size = 75 if recipe.network == "inception_v3" else 32
    sizes: dict[str, Any] = {"image_size": size, "batch_size": 5, "epochs": 1, "num_workers": 0}
    return replace(recipe, weights="none", **sizes)


def cycle(recipe: Recipe, manifest: Path, out: Path) -> dict[str, Any]:
    """Stop after one batch, resume to the end, and return the figures. Raises AssertionError on failure."""
    job, output, start = RunJob(recipe, manifest, out, out), io.StringIO(), time.monotonic()
    with contextlib.redirect_stdout(output):
        try:
            train(job, AfterOneBatch())
        except Stopped:
            pass
        else:
            raise AssertionError("the training did not stop")
        position = checkpoint.latest(out)["position"]
        report = train(job, StopRequest())
    events = [json.loads(line) for line in output.getvalue().splitlines()]
    assert (position["epoch"], position["batch"]) == (0, 1), position
    assert [event["resumed"] for event in events if event["event"] == "started"] == [False, True]
    assert len(report["history"]) == 1
    checkpoint_bytes = [event["bytes"] for event in events if event["event"] == "saved"]
    return {
        "seconds": round(time.monotonic() - start, 1),
        "checkpoint_mb": round(max(checkpoint_bytes) / 1e6),
    }


def main() -> None:
    rows = [name for name, preset in PRESETS.items() if preset.thesis]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=rows, default=rows)
    options = parser.parse_args()
    results: dict[str, Any] = {}
    torch.set_num_threads(2)
    print(f"{'':<22}{'network':<14}{'seconds':>8}{'checkpoint MB':>15}")
    with tempfile.TemporaryDirectory() as name:
        folder, manifest = Path(name), Path(name) / "manifest.csv"
        with manifest.open("w", newline="") as file:
            photos = [[p.photo_id, p.path, p.label, p.scene_class] for p in write_photos(folder, 4, (48, 36))]
            csv.writer(file).writerows([["photo_id", "path", "label", "scene_class"], *photos])
        for row in options.only:
            with tempfile.TemporaryDirectory() as out:
                recipe = small(PRESETS[row].recipe)
                results[row] = cycle(recipe, manifest, Path(out))
            print(
                f"{row:<22}{recipe.network:<14}{results[row]['seconds']:>8}{results[row]['checkpoint_mb']:>15}",
                flush=True,
            )
    print(json.dumps({"benchmark": "presets", "presets": len(results), "rows": results}))


if __name__ == "__main__":
    main()
