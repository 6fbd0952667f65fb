"""The shipped starter models on the 104 everyday sample photos, which nothing was tuned on.

    python -m benchmarks.everyday [MODEL_FOLDER …]

Without folders the starters are assembled: each whose backbone's weights are here, and their cascade.
samples/HASHTAGS.csv says which hashtags fit each photo; it was written before any model had seen them.
Shown is how often the likeliest hashtag fits if only the surest 45, 50 or 60 % of the photos get one, and at
the model's own thresholds: for how many photos it suggests, and how often that fits. The baseline is the
first model.
"""

from __future__ import annotations

import csv
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.photos import print_table
from trainer.engine.backbones import BACKBONES
from trainer.engine.errors import WeightsError
from trainer.engine.serving.assemble import FACTS, assemble
from trainer.engine.serving.cascade import join, read_limits
from trainer.engine.serving.predict import Suggester, Suggestion

ROOT = Path(__file__).parents[1]
STARTERS = ROOT / "trainer/starter"
COVERAGES = (0.45, 0.5, 0.6)


def assembled(folder: Path) -> dict[str, Path]:
    """Name → folder of each starter model that can be assembled here."""
    models = {}
    for speed in ("fast", "accurate"):
        facts = json.loads((STARTERS / speed / FACTS).read_text(encoding="utf-8"))
        try:
            for name in facts["recipe"]["backbone"].split("+"):
                BACKBONES[name].weights()
        except WeightsError as error:
            print(f"{speed} is left out: {error}. {error.hint}", file=sys.stderr)
            continue
        assemble(STARTERS / speed, folder / speed)
        models[speed] = folder / speed
    limits = STARTERS / "cascade" / FACTS
    if len(models) == 2 and limits.exists():
        join(models["fast"], models["accurate"], read_limits(limits), folder / "cascade")
        models["cascade"] = folder / "cascade"
    return models


def labelled() -> dict[Path, set[str]]:
    """Each sample photo with the hashtags that fit it."""
    places = {path.name: path for path in (ROOT / "samples").rglob("*.jpg")}
    with (ROOT / "samples/HASHTAGS.csv").open(newline="", encoding="utf-8") as file:
        return {places[row["file"]]: set(row["hashtags"].split()) for row in csv.DictReader(file)}


def best_hashtag(suggestion: Suggestion) -> tuple[float, str]:
    return max((p, name) for name, p in suggestion.probabilities.items() if name != "other")


def figures(model: Path, photos: dict[Path, set[str]]) -> dict[str, float]:
    suggester = Suggester(model)
    start = time.process_time()
    answers = list(suggester.suggest(photos))
    seconds = time.process_time() - start
    best = [
        (*best_hashtag(answer), fitting) for answer, fitting in zip(answers, photos.values(), strict=True)
    ]
    best.sort(key=lambda one: -one[0])
    fits = [name in fitting for _, name, fitting in best]
    said = [(answer.hashtag, fitting) for answer, fitting in zip(answers, photos.values(), strict=True)]
    right = [hashtag in fitting for hashtag, fitting in said if hashtag]
    row = {
        f"fits at {share:.0%}": sum(fits[: round(share * len(fits))]) / round(share * len(fits))
        for share in COVERAGES
    }
    return row | {
        "suggests": len(right) / len(said),
        "which fit": sum(right) / max(len(right), 1),
        "ms a photo": 1000 * seconds / len(said),
    }


def main() -> None:
    photos = labelled()
    with tempfile.TemporaryDirectory() as name:
        models = {Path(one).name: Path(one) for one in sys.argv[1:]} or assembled(Path(name))
        rows = {model: figures(folder, photos) for model, folder in models.items()}
    print_table(rows)
    base = next(iter(rows))
    result: dict[str, Any] = {
        "benchmark": "everyday",
        "photos": len(photos),
        "models": rows,
        "baseline": base,
        "fits_at_45_ratios": {
            name: row["fits at 45%"] / rows[base]["fits at 45%"] for name, row in rows.items()
        },
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
