"""The shipped starter models on the 104 everyday sample photos, which nothing was tuned on.

    python -m benchmarks.everyday [MODEL_FOLDER …]

Without folders the starters are assembled: each whose backbone's weights are here, and their cascade.
samples/HASHTAGS.csv says which hashtags fit each photo, by the eyes of two people, who saw neither each
other's answers nor a model's. Shown is how often the likeliest hashtag fits if only the surest 45, 50 or 60 %
of the photos get one, and at the model's own thresholds: for how many photos it suggests, and how often that
fits. Each is told by the first person's labels, by the second's, and by either's: a hashtag fits if one of
the two says so. How far the two agree (Cohen's kappa over all pairs of a photo and a hashtag) bounds what
these figures can tell. The baseline is the first model.
"""

from __future__ import annotations

import csv
import json
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sklearn.metrics import cohen_kappa_score

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


def labelled(column: str = "hashtags") -> dict[Path, set[str]]:
    """Each sample photo with the hashtags that fit it, by the first ("hashtags") or the "second" person."""
    places = {path.name: path for path in (ROOT / "samples").rglob("*.jpg")}
    with (ROOT / "samples/HASHTAGS.csv").open(newline="", encoding="utf-8") as file:
        return {places[row["file"]]: set(row[column].split()) for row in csv.DictReader(file)}


def agreement(first: dict[Path, set[str]], second: dict[Path, set[str]]) -> float:
    """Cohen's kappa of two people over all pairs of a photo and a hashtag that one of them has used."""
    hashtags = sorted(set().union(*first.values(), *second.values()))
    pairs = [(photo, tag) for photo in first for tag in hashtags]
    answers = [[tag in labels[photo] for photo, tag in pairs] for labels in (first, second)]
    return float(cohen_kappa_score(*answers))


def best_hashtag(suggestion: Suggestion) -> tuple[float, str]:
    return max((p, name) for name, p in suggestion.probabilities.items() if name != "other")


def figures(answers: list[Suggestion], labels: Iterable[set[str]]) -> dict[str, float]:
    best = [(*best_hashtag(answer), fitting) for answer, fitting in zip(answers, labels, strict=True)]
    best.sort(key=lambda one: -one[0])
    fits = [name in fitting for _, name, fitting in best]
    right = [
        answer.hashtag in fitting for answer, fitting in zip(answers, labels, strict=True) if answer.hashtag
    ]
    row = {
        f"fits at {share:.0%}": sum(fits[: round(share * len(fits))]) / round(share * len(fits))
        for share in COVERAGES
    }
    return row | {"suggests": len(right) / len(answers), "which fit": sum(right) / max(len(right), 1)}


def main() -> None:
    first, second = labelled(), labelled("second")
    either = {photo: first[photo] | second[photo] for photo in first}
    people = {"": first, ", second": second, ", either": either}
    rows: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as name:
        models = {Path(one).name: Path(one) for one in sys.argv[1:]} or assembled(Path(name))
        for model, folder in models.items():
            suggester = Suggester(folder)
            start = time.process_time()
            answers = list(suggester.suggest(first))
            milliseconds = 1000 * (time.process_time() - start) / len(first)
            rows |= {
                model + person: figures(answers, labels.values()) | {"ms a photo": milliseconds}
                for person, labels in people.items()
            }
    kappa = agreement(first, second)
    print_table(rows)
    print(f"\nThe two people agree with a kappa of {kappa:.2f}.")
    base = next(iter(rows))
    result: dict[str, Any] = {
        "benchmark": "everyday",
        "photos": len(first),
        "kappa": kappa,
        "models": rows,
        "baseline": base,
        "fits_at_45_ratios": {
            name: row["fits at 45%"] / rows[base]["fits at 45%"] for name, row in rows.items()
        },
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
