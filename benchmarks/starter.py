"""The starter model's recipe on SUN and Places photos, split 80/20 by seed 0, and the shipped head.

    python -m benchmarks.starter [--data FOLDER]

Baseline in the same run: a plain linear head on the same cached features. The shipped head is assembled and
evaluated on the same test photos, from photo file to hashtag. Takes about 10 minutes on 2 cores.
"""

from __future__ import annotations

import csv
import json
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.frozen import PLAIN
from benchmarks.photos import data_folder, figures, print_table, train, unpack
from trainer.engine.presets import PRESETS
from trainer.engine.serving.assemble import assemble
from trainer.engine.serving.evaluate import evaluate

TARS = ("sun_photos.tar", "places_photos.tar")
STARTER = Path(__file__).parents[1] / "trainer/starter/fast"


def judge_shipped(folder: Path, run: Path) -> dict[str, Any]:
    """Evaluate the shipped head on the run's test photos. It has not seen them: the split is the same."""
    manifest = folder / "test.csv"
    with (run / "test_predictions.csv").open(newline="") as file:
        rows = [[r["photo_id"], r["path"], r["true"], r["scene_class"]] for r in csv.DictReader(file)]
    with manifest.open("w", newline="") as file:
        csv.writer(file).writerows([["photo_id", "path", "label", "scene_class"], *rows])
    assemble(STARTER, folder / "model")
    return evaluate(folder / "model", manifest)


def main() -> None:
    data = data_folder(__doc__, TARS)
    recipe = PRESETS["frozen-lite2"].recipe.as_dict()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        manifest, photos = unpack(data, TARS, folder)
        report = train(folder, "starter", manifest, recipe, folder / "cache")
        plain = train(folder, "plain", manifest, {**recipe, **PLAIN}, folder / "cache")
        shipped_figures = judge_shipped(folder, folder / "starter")
    print_table({"frozen-lite2": figures(report), "plain head": figures(plain)})
    result = {
        "benchmark": "starter",
        "photos": photos,
        "retrained": figures(report),
        "shipped": shipped_figures,
        "baseline": "plain linear head on the same features",
        "accuracy_ratio": report["accuracy"] / plain["accuracy"],
        "balanced_accuracy_ratio": report["balanced_accuracy"] / plain["balanced_accuracy"],
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
