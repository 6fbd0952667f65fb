"""Relabelling a model against training again, on the SUN photos, frozen Lite0, split 80/20 by seed 0.

    python -m benchmarks.relabel [--releases 3] [--move 6] [--data FOLDER]

A model learns the published mapping. Then, for each of some releases drawn at random, --move scene classes
get another label: another hashtag that is used, ``other``, or a new hashtag. The model is relabelled with the
release, and another is trained on it: the same photos, recipe and split, with the features already cached.
Figures are those of the manifests: accuracy, balanced accuracy, and, cross-fitted at a target precision of
0.9, coverage and precision. "old model": the old labels and thresholds, judged by the release. Seconds are
those of the commands from start to end: `relabel`; `train` and `export`.

Prints a table and one line of JSON. Baseline: training again.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.photos import DATA, print_table, train, unpack
from formats.classes import OTHER

TARS = ("sun_photos.tar",)
FIGURES = ("accuracy", "balanced", "coverage", "precision", "seconds")
NEW = "brandnew"  # a hashtag that the first mapping does not have


def draw_release(labels: dict[str, str], moves: int, seed: int) -> dict[str, str]:
    """The labels with some classes moved: one to other, one to a new hashtag, the rest at random."""
    rng = random.Random(seed)
    hashtags = sorted(set(labels.values()) - {OTHER})
    release = dict(labels)
    named = sorted(key for key, label in labels.items() if label != OTHER)
    for at, key in enumerate(rng.sample(named, moves)):
        choices = [name for name in hashtags if name != labels[key]]
        release[key] = (OTHER, NEW)[at] if at < 2 else rng.choice(choices)
    return release


def engine(*arguments: object) -> float:
    """The seconds that the command takes; ends the program if it fails."""
    start = time.monotonic()
    command = [sys.executable, "-m", "trainer.engine", *map(str, arguments)]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    if process.returncode:
        sys.exit(f"{arguments[0]} failed: {process.stdout.splitlines()[-1:]} {process.stderr[-500:]}")
    return time.monotonic() - start


def with_labels(manifest: Path, labels: dict[str, str], file: Path) -> Path:
    with manifest.open(newline="", encoding="utf-8") as opened:
        rows = list(csv.DictReader(opened))
    with file.open("w", newline="", encoding="utf-8") as out:
        writer = csv.DictWriter(out, rows[0].keys())
        writer.writeheader()
        writer.writerows(row | {"label": labels[row["scene_class"]]} for row in rows)
    return file


def figures(manifest: dict[str, Any], seconds: float) -> dict[str, float]:
    metrics, held_out = manifest["metrics"], manifest["held_out"]
    return {
        "accuracy": metrics["accuracy"],
        "balanced": metrics["balanced_accuracy"],
        "coverage": held_out["coverage"],
        "precision": held_out["precision"],
        "seconds": seconds,
    }


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--releases", type=int, default=3)
    options.add_argument("--move", type=int, default=6, help="scene classes that get another label")
    options.add_argument("--data", type=Path, default=DATA)
    arguments = options.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    rows: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        manifest, photos = unpack(arguments.data, TARS, folder)
        with manifest.open(newline="", encoding="utf-8") as file:
            labels = {row["scene_class"]: row["label"] for row in csv.DictReader(file)}
        train(folder, "first", manifest, {}, folder / "cache")
        engine("export", folder / "first", folder / "model")
        for seed in range(arguments.releases):
            release = draw_release(labels, arguments.move, seed)
            table = folder / f"labels-{seed}.csv"
            with table.open("w", newline="", encoding="utf-8") as out:
                csv.writer(out).writerows([("key", "hashtag"), *release.items()])
            seconds = engine("relabel", folder / "model", table, folder / f"relabelled-{seed}")
            relabelled = json.loads((folder / f"relabelled-{seed}" / "manifest.json").read_text())
            start = time.monotonic()
            again = with_labels(manifest, release, folder / f"again-{seed}.csv")
            train(folder, f"again-{seed}", again, {}, folder / "cache")
            engine("export", folder / f"again-{seed}", folder / f"trained-{seed}")
            trained = json.loads((folder / f"trained-{seed}" / "manifest.json").read_text())
            rows[f"release {seed}: relabelled"] = figures(relabelled, seconds)
            rows[f"release {seed}: trained again"] = figures(trained, time.monotonic() - start)
            old = relabelled["relabelled"]["old_model"]
            nothing = float("nan")
            rows[f"release {seed}: old model"] = {
                **dict.fromkeys(("accuracy", "balanced", "seconds"), nothing),
                **{key: old[key] for key in ("coverage", "precision")},
            }
    print_table({name: {key: row[key] for key in FIGURES} for name, row in rows.items()})
    kinds = ("relabelled", "trained again", "old model")
    means = {
        kind: {key: _mean([row[key] for name, row in rows.items() if name.endswith(kind)]) for key in FIGURES}
        for kind in kinds
    }
    base = means["trained again"]
    print(
        json.dumps(
            {
                "benchmark": "relabel",
                "photos": photos,
                "releases": arguments.releases,
                "moved_classes": arguments.move,
                "classes": len(labels),
                "means": {
                    kind: {key: round(x, 4) for key, x in row.items() if not math.isnan(x)}
                    for kind, row in means.items()
                },
                "baseline": "trained again",
                "ratios": {key: round(means["relabelled"][key] / base[key], 4) for key in FIGURES},
            }
        )
    )


def _mean(numbers: list[float]) -> float:
    return sum(numbers) / len(numbers)


if __name__ == "__main__":
    main()
