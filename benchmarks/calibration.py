"""Ways to calibrate confidences, compared on held-out photos that did not choose them.

    python -m benchmarks.calibration [--data FOLDER] [--backbone NAME] [--features FOLDER [--only-computed]]

A head on frozen features is trained (80/20). Each way is fitted on one half of the held-out photos and
measured on the other, and the other way round, ten times with other halves: expected calibration error of the
likeliest label and of the likeliest hashtag, log-loss, AURC. Baseline in the same run: no calibration.
"""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax
from sklearn.isotonic import IsotonicRegression

from benchmarks.held_out import Answers, Floats, Ints, bench, parser
from benchmarks.photos import print_table
from trainer.engine.evaluation import metrics
from trainer.engine.evaluation.calibrate import fit_temperature
from trainer.engine.evaluation.report import silence_figures, softmax

SMALLEST = 1e-6
SPLITS = 10
Way = Callable[[Floats, Ints, Floats], Floats]  # logits and labels to learn from, new logits → probabilities


def unchanged(logits: Floats, true: Ints, new: Floats) -> Floats:
    return softmax(new)


def temperature(logits: Floats, true: Ints, new: Floats) -> Floats:
    return softmax(new, fit_temperature(logits, true))


def vector(logits: Floats, true: Ints, new: Floats) -> Floats:
    """A factor and a summand of each label's logit, with the least log-loss (Guo et al. 2017)."""
    count, photos = logits.shape[1], np.arange(len(true))
    hits = np.eye(count)[true]

    def loss(x: Floats) -> tuple[float, Floats]:
        logs = log_softmax(logits * x[:count] + x[count:], axis=1)
        slope = (np.exp(logs) - hits) / len(true)
        return -logs[photos, true].mean(), np.concatenate([(slope * logits).sum(0), slope.sum(0)])

    best = minimize(loss, np.concatenate([np.ones(count), np.zeros(count)]), jac=True, method="L-BFGS-B").x
    return softmax(new * best[:count] + best[count:])


def isotonic(logits: Floats, true: Ints, new: Floats) -> Floats:
    """A rising step function of each label's probability, rescaled to a sum of one (Zadrozny, Elkan 2002)."""
    old, fresh = softmax(logits), softmax(new)
    columns = []
    for at in range(logits.shape[1]):
        fit = IsotonicRegression(y_min=SMALLEST, y_max=1, out_of_bounds="clip").fit(old[:, at], true == at)
        columns.append(fit.predict(fresh[:, at]))
    rows = np.stack(columns, 1)
    return np.asarray(rows / rows.sum(1, keepdims=True))


WAYS: dict[str, Way] = {
    "none": unchanged,
    "temperature": temperature,
    "vector scaling": vector,
    "isotonic": isotonic,
}


def hashtag_error(probabilities: Floats, true: Ints, labels: list[str]) -> float:
    """The expected calibration error of the likeliest hashtag's probability, in ten bins of equal width."""
    chosen, confidence = metrics.best_hashtags(probabilities, labels)
    place, right = np.minimum((10 * confidence).astype(int), 9), chosen == true
    gaps = [
        abs(confidence[place == at].mean() - right[place == at].mean()) * (place == at).mean()
        for at in set(place)
    ]
    return float(sum(gaps))


def measure(photos: Answers, labels: list[str], way: Way) -> dict[str, float]:
    rows = []
    for seed in range(SPLITS):
        half = np.random.default_rng(seed).permutation(len(photos.true)) % 2 == 0
        probabilities = np.empty_like(photos.logits)
        for choose, test in ((half, ~half), (~half, half)):
            probabilities[test] = way(photos.logits[choose], photos.true[choose], photos.logits[test])
        own = probabilities[np.arange(len(photos.true)), photos.true]
        rows.append(
            {
                "ECE": metrics.calibration_error(metrics.reliability(probabilities, photos.true)),
                "ECE hashtag": hashtag_error(probabilities, photos.true, labels),
                "log-loss": -float(np.log(own.clip(SMALLEST)).mean()),
                "accuracy": float((probabilities.argmax(1) == photos.true).mean()),
                "AURC": silence_figures(probabilities, photos.true, labels)["aurc"],
            }
        )
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


def main() -> None:
    options = parser(__doc__).parse_args()
    with bench(options) as photos:
        case = photos.case(negatives=False)
    rows = {name: measure(case.inside, case.labels, way) for name, way in WAYS.items()}
    print_table(rows)
    result = {"benchmark": "calibration", "backbone": options.backbone, "held_out": len(case.inside.true)}
    print(json.dumps(result | {"rows": rows}))


if __name__ == "__main__":
    main()
