"""Every recipe on the same photos, the same split and the same seeds, as one table.

    python -m benchmarks.leaderboard [RECIPE …] [--seeds 3] [--cache FOLDER] [--data FOLDER]

RECIPE is a preset, with settings after a colon: frozen-lite2:hidden=512,lr=0.001. Without any, those of
RECIPES. The photos are those of the four tars in ../shared/data, 80/20 by scene class; figures are means over
seeds (each has its own split), with half the range between the lowest and the highest after ±.

Accuracy, balanced accuracy, precision at a coverage, AURC and calibration error (ECE) are those of the
held-out photos of SUN and Places. "silent" is the share of held-out photos out of scope without a
suggestion, at the confidence where 40 % of those of SUN and Places get one. "ms" is the network's processor
time for a photo on one thread. Features are computed once and kept in --cache: CLIP's take hours.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.photos import ALL, DATA, train, unpack
from formats.classes import is_outside
from trainer.engine.evaluation import metrics
from trainer.engine.evaluation.report import silence_figures
from trainer.engine.presets import PRESETS
from trainer.engine.recipe import Recipe
from trainer.engine.serving.export import export

RECIPES = (
    "frozen-lite0",
    "frozen-lite2",
    "frozen-lite2:hidden=512,lr=0.001",
    "frozen-clip",
    "frozen-clip:balance=0",
    "frozen-clip:scene_loss=0,mixup=0,dropout=0,label_smoothing=0",
)
COVERAGE = 0.4
Floats = NDArray[np.float64]


def recipe_of(words: str, seed: int) -> Recipe:
    """The recipe that the words name. Raises RecipeError."""
    name, _, changes = words.partition(":")
    settings = PRESETS[name].recipe.as_dict() | {"seed": seed}
    for change in filter(None, changes.split(",")):
        key, _, value = change.partition("=")
        settings[key] = json.loads(value) if value[:1].isdigit() else value
    return Recipe.from_dict(settings)


def figures(run: Path, report: dict[str, Any]) -> dict[str, float]:
    """The row of one run."""
    labels: list[str] = report["labels"]
    with (run / "test_predictions.csv").open(newline="", encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    probabilities: Floats = np.array([json.loads(row["probabilities"]) for row in table])
    true = np.array([labels.index(row["true"]) for row in table])
    of_scenes = np.array([row["photo_id"].startswith(("sun_photos/", "places_photos/")) for row in table])
    outside = np.array([is_outside(row["scene_class"]) for row in table])
    inside, right = probabilities[of_scenes], true[of_scenes]
    matrix = metrics.confusion(right, inside.argmax(1), len(labels))
    precision = metrics.precision_at_coverage(inside, right, labels, (0.2, COVERAGE, 0.6))
    _, confidence = metrics.best_hashtags(inside, labels)
    limit = np.sort(confidence)[-round(COVERAGE * len(confidence))]
    _, of_outside = metrics.best_hashtags(probabilities[outside], labels)
    return {
        "accuracy": metrics.accuracy(matrix),
        "balanced": metrics.balanced_accuracy(matrix),
        **{f"p@{row['coverage']:.0%}".replace("%", ""): row["precision"] for row in precision},
        "AURC": silence_figures(inside, right, labels)["aurc"],
        "ECE": metrics.calibration_error(metrics.reliability(inside, right)),
        "silent": float((of_outside < limit).mean()),
        "minutes": report["seconds"] / 60,
    }


def summary(rows: list[dict[str, float]]) -> dict[str, tuple[float, float]]:
    """Mean and half the range of each figure."""
    columns = {key: [row[key] for row in rows] for key in rows[0]}
    return {key: (sum(all_) / len(all_), (max(all_) - min(all_)) / 2) for key, all_ in columns.items()}


def cell(key: str, mean: float, spread: float) -> str:
    if key in ("minutes", "ms"):
        return f"{mean:.1f}" if mean < 10 else f"{mean:.0f}"
    text = f"{mean:.3f}".removeprefix("0")
    return text if spread < 0.0005 else f"{text} ± {spread:.3f}".replace("± 0", "± ")


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("recipes", nargs="*", default=list(RECIPES), metavar="RECIPE")
    options.add_argument("--seeds", type=int, default=3)
    options.add_argument("--cache", type=Path)
    options.add_argument("--data", type=Path, default=DATA)
    arguments = options.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # two that wait for each other take longer than one
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        manifest, photos = unpack(arguments.data, ALL, folder)
        cache = arguments.cache or folder / "cache"
        board: dict[str, dict[str, tuple[float, float]]] = {}
        for words in arguments.recipes:
            rows: list[dict[str, float]] = []
            for seed in range(arguments.seeds):
                run = f"{len(board)}-{seed}"
                report = train(folder, run, manifest, recipe_of(words, seed).as_dict(), cache)
                rows.append(figures(folder / run, report))
            model = export(folder / f"{len(board)}-0", folder / "model")
            board[words] = summary(rows) | {"ms": (model["milliseconds"], 0.0)}
            if len(board) == 1:
                print("| recipe |", " | ".join(board[words]), "|")
                print("|---|", "---|" * len(board[words]), sep="")
            print(f"| {words} |", " | ".join(cell(key, *value) for key, value in board[words].items()), "|")
    means = {words: {key: mean for key, (mean, _) in row.items()} for words, row in board.items()}
    base = next(iter(means))
    print(
        json.dumps(
            {
                "benchmark": "leaderboard",
                "photos": photos,
                "seeds": arguments.seeds,
                "means": means,
                "baseline": base,
                "accuracy_ratios": {
                    words: row["accuracy"] / means[base]["accuracy"] for words, row in means.items()
                },
            }
        )
    )


if __name__ == "__main__":
    main()
