"""How often thresholds with a promise miss it, and what they cost in coverage.

    python -m benchmarks.promise [--repetitions 1000] [--target 0.9] [--backbone NAME] [--features FOLDER]

A head on frozen features is trained (80/20); its held-out photos stand for all photos there are. Each
repetition draws a third as many photos from them, then as many, with replacement, chooses temperature and
thresholds, and measures these on all of them, which is then the truth. A miss is a precision below the
target: of all suggestions, and of any group of hashtags with a threshold in common (of any hashtag, for
today's estimates, the baseline).
"""

from __future__ import annotations

import json

import numpy as np

from benchmarks.held_out import Answers, bench, parser
from benchmarks.photos import print_table
from trainer.engine.evaluation.calibrate import calibrate, suggestions
from trainer.engine.evaluation.promise import KINDS, Kind
from trainer.engine.evaluation.report import softmax


def measure(
    photos: Answers, labels: list[str], *, kind: Kind, target: float, size: int, repetitions: int
) -> dict[str, float]:
    numbers = np.random.default_rng(size)
    coverage, precision, missed, group_missed, silent = [], [], 0, 0, 0
    for _ in range(repetitions):
        drawn = numbers.integers(len(photos.true), size=size)
        found = calibrate(photos.logits[drawn], photos.true[drawn], labels, target, kind=kind)
        said = suggestions(softmax(photos.logits, found.temperature), labels, found.thresholds)
        coverage.append(float((said >= 0).mean()))
        if not (said >= 0).any():
            silent += 1
            continue
        precision.append(float((said == photos.true)[said >= 0].mean()))
        groups = [group.hashtags for group in found.groups] or [(label,) for label in labels]
        shares = []
        for group in groups:
            inside = np.isin(said, [labels.index(label) for label in group])
            if inside.any():
                shares.append(float((said == photos.true)[inside].mean()))
        missed += precision[-1] < target
        group_missed += min(shares) < target
    return {
        "missed": missed / repetitions,
        "a group": group_missed / repetitions,
        "coverage": float(np.mean(coverage)),
        "precision": float(np.mean(precision)) if precision else 1.0,
        "all silent": silent / repetitions,
    }


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--repetitions", type=int, default=1000)
    options.add_argument("--target", type=float, default=0.9)
    arguments = options.parse_args()
    with bench(arguments) as photos:
        case = photos.case(negatives=False)
    count = len(case.inside.true)
    rows = {}
    for size in (count // 3, count):
        for kind in KINDS:
            row = measure(
                case.inside,
                case.labels,
                kind=kind,
                target=arguments.target,
                size=size,
                repetitions=arguments.repetitions,
            )
            print_table({f"{kind}, {size} photos": row})
            rows[f"{kind}, {size}"] = row
    print(json.dumps({"benchmark": "promise", "target": arguments.target, "held_out": count, "rows": rows}))


if __name__ == "__main__":
    main()
