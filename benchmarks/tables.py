"""Rows of the founding thesis's tables 3 and 4, for a few epochs at reduced size, with their curves.

    python -m benchmarks.tables [--presets table3-resnet18 table4-row6] [--epochs 6] [--size 96]

Trains on the SUN photos (6,158, random 80/20 by seed 0), with the preset's own optimizer, rate, augmentation
and stopper, from random weights by default. The thesis trained from ImageNet weights on 108,754 photos at 256
or 512 px; its figures are printed to compare the order of rows, not as a target. Baseline in the same run:
always the most frequent label.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.photos import DATA, train, unpack
from trainer.engine.presets import PRESETS

TARS = ("sun_photos.tar",)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    default_presets = ["table3-resnet18", "table4-row6"]
    parser.add_argument("--presets", nargs="+", default=default_presets, choices=list(PRESETS))
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--size", type=int, default=96, help="px; Inception v3 needs 75")
    parser.add_argument("--weights", default="none", help="imagenet, none, or a file")
    parser.add_argument("--data", type=Path, default=DATA, help="folder with the tar and sun397_mapping.csv")
    options = parser.parse_args()
    missing_files = [name for name in (*TARS, "sun397_mapping.csv") if not (options.data / name).exists()]
    if missing_files:
        sys.exit(f"{options.data} has no {', '.join(missing_files)}: nothing was measured. Set --data.")
    return options


def most_frequent_share(predictions: Path) -> float:
    with predictions.open(newline="") as file:
        true = Counter(row["true"] for row in csv.DictReader(file))
    return true.most_common(1)[0][1] / true.total()


def show(name: str, report: dict[str, Any]) -> None:
    thesis = PRESETS[name].thesis
    thesis_figures = f", thesis {thesis.accuracy:.3f} / {thesis.balanced_accuracy:.3f}" if thesis else ""
    print(f"\n{PRESETS[name].title}{thesis_figures}")
    print(
        f"{'epoch':>6}{'rate':>9}{'loss':>9}{'training':>10}{'accuracy':>10}{'balanced':>10}{'photos/s':>10}"
    )
    for row in report["history"]:
        print(
            f"{row['epoch']:>6}{row['lr']:>9.4f}{row['loss']:>9.3f}{row['train_accuracy']:>10.3f}"
            f"{row['accuracy']:>10.3f}{row['balanced_accuracy']:>10.3f}{row['photos_per_second']:>10.0f}"
        )


def main() -> None:
    options = arguments()
    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="scenetag-bench-") as name:
        folder = Path(name)
        manifest, _ = unpack(options.data, TARS, folder)
        for preset in options.presets:
            recipe = replace(
                PRESETS[preset].recipe,
                epochs=options.epochs,
                image_size=options.size,
                weights=options.weights,
            )
            report = train(folder, preset, manifest, recipe.as_dict(), folder / "cache")
            show(preset, report)
            result[preset] = {
                "accuracy": round(report["accuracy"], 4),
                "balanced_accuracy": round(report["balanced_accuracy"], 4),
                "best_epoch": report["best_epoch"],
                "seconds": report["seconds"],
                "commonest_label": round(most_frequent_share(folder / preset / "test_predictions.csv"), 4),
            }
            print(
                f"best epoch {report['best_epoch']}, {report['seconds']:.0f} s; "
                f"always the most frequent label: {result[preset]['commonest_label']:.3f}"
            )
    print(json.dumps(result))


if __name__ == "__main__":
    main()
