"""Which score tells best when to stay silent, and what photos out of scope teach.

    python -m benchmarks.silence [--data FOLDER] [--backbone NAME] [--features FOLDER [--only-computed]]

A head on frozen features is trained (80/20), with and without half of the photos out of scope as `other`.
Each score ranks the likeliest hashtags of the held-out photos in scope and of the other half out of scope,
for which every hashtag is wrong. Shown are AURC and AUGRC over all of them, precision at 40 % coverage of
those in scope, and the share out of scope that stays silent at that threshold. Baseline: the probability, by
which models are served.
"""

from __future__ import annotations

import json

import numpy as np

from benchmarks.held_out import Case, Floats, bench, parser
from benchmarks.photos import print_table
from trainer.engine.evaluation import metrics, silence
from trainer.engine.evaluation.calibrate import fit_temperature
from trainer.engine.evaluation.report import softmax

COVERAGE = 0.4


def scores(case: Case) -> tuple[dict[str, Floats], Floats]:
    """Each score of the photos in scope, then out of scope; and whether their likeliest hashtag is wrong."""
    parts = (case.inside, case.outside)
    logits, outputs, features = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("logits", "outputs", "features")
    )
    probabilities = softmax(logits, fit_temperature(case.inside.logits, case.inside.true))
    chosen, confidence = metrics.best_hashtags(probabilities, case.labels)
    places = [at for at, label in enumerate(case.labels) if label != "other"]
    of_hashtag = np.isin(case.known_labels, places)
    known, labels = case.known[of_hashtag], case.known_labels[of_hashtag]
    deviation = case.known.std(0).clip(1e-3)
    plain, known_plain = ((x - case.known.mean(0)) / deviation for x in (features, known))
    wrong = np.concatenate(
        [chosen[: len(case.inside.true)] != case.inside.true, np.ones(len(case.outside.true))]
    )
    distance, near = silence.mahalanobis(plain, known_plain, labels), silence.neighbours(features, known)
    found = {
        "probability": confidence,
        "margin to the next label": silence.margin(probabilities, chosen),
        "logit of the hashtag": logits[np.arange(len(chosen)), chosen],
        "highest scene output": outputs.max(1),
        "energy of hashtags": silence.energy(logits[:, places]),
        "energy of scenes": silence.energy(outputs),
        "Mahalanobis": distance,
        "10th neighbour": near,
        "probability, then neighbour": np.log(confidence) + near,
    }
    return found, wrong


def measure(case: Case) -> dict[str, dict[str, float]]:
    found, wrong = scores(case)
    inside = len(case.inside.true)
    outside = np.arange(len(wrong)) >= inside
    rows = {}
    for name, score in found.items():
        threshold = np.sort(score[:inside])[::-1][int(np.ceil(COVERAGE * inside)) - 1]
        rows[name] = {
            "AURC": silence.aurc(score, wrong),
            "AUGRC": silence.augrc(score, wrong),
            "in scope AURC": silence.aurc(score[:inside], wrong[:inside]),
            "p@40%": 1 - float(wrong[:inside][score[:inside] >= threshold].mean()),
            "silent": silence.silent_share(score, COVERAGE, outside),
        }
    return rows


def main() -> None:
    options = parser(__doc__).parse_args()
    result = {"benchmark": "silence", "backbone": options.backbone, "seed": options.seed}
    with bench(options) as photos:
        result |= {"in_scope": len(photos.inside), "out_of_scope": len(photos.outside)}
        for negatives in (False, True):
            case = photos.case(negatives=negatives)
            title = "with photos out of scope" if negatives else "without"
            result[title] = measure(case)
            print(f"{title}: {len(case.inside.true)} held out, {len(case.outside.true)} out of scope")
            print_table(result[title])
    print(json.dumps(result))


if __name__ == "__main__":
    main()
