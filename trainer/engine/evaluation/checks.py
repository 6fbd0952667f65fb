"""Is a hashtag at home on a photo? A yes/no question about each hashtag, calibrated on held-out photos.

A label's probability answers another question: which one label is best? There a church is no architecture.
Here the evidence for hashtag h is a weighted mean of two numbers,
    ¾ · log(p_h / (1 − p_h)) + ¼ · (log p_h − mean over all labels l of log p_l),
the first of which competes with the other labels, while the second does not: it stays where it is when
another label becomes likelier. Evidence x becomes the probability that h fits, 1 / (1 + exp(−(a_h·x + b_h)))
(Platt 1999). All hashtags share a and b but for deviations that are held small, so that a hashtag with few
held-out photos follows the others. Numpy only, because web processes ask.

A held-out photo has one label, while a photo from everyday life shows several things, and the network gives
the lesser ones little. So the limit of an accusation also holds for pairs of held-out photos laid over one
another, where the lesser one's hashtag fits: ``laid_over``, docs/decisions/0056-limits-that-carry-over.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from formats.classes import OTHER
from trainer.engine.evaluation.calibrate import NEVER, pooled_precision, shrink, split_halves
from trainer.engine.evaluation.promise import CONFIDENCE

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]
Verdict = Literal["fits", "doubtful", "does_not_fit"]

SMALLEST = 1e-9  # a probability's floor before its logarithm
STRENGTH = 0.25  # weight of what does not compete: docs/decisions/0033-checks.md
FALSELY_ACCUSED = 0.02  # of the hashtags that fit, at most this share is said not to fit
ACCUSED_HERE = FALSELY_ACCUSED / 2  # on photos like the held-out ones: those of other sources are harder
RIGHT = 0.9  # of the verdicts "fits", at least this share is right
EVEN = 0.5  # what fits is likelier than not, however few photos there are to go by
NOTHING = 0.0  # no probability is below: this hashtag is never said not to fit
LESSER = 1 / 3  # weight of a photo that lies under another one: docs/decisions/0056-limits-that-carry-over.md
SAME_SLOPE, SAME_SHIFT = 30.0, 3.0  # how strongly a hashtag's slope and shift are held to those of all
WEIGHT = 20.0  # weight of the false accusations of all hashtags in those of one, in photos


@dataclass(frozen=True)
class Check:
    """One hashtag's question: from evidence to a probability, and the limits of its verdicts."""

    slope: float
    shift: float
    does_not_fit_below: float = NOTHING
    fits_from: float = NEVER

    def probability(self, evidence: float) -> float:
        return float(_sigmoid(self.slope * evidence + self.shift))

    def verdict(self, probability: float) -> Verdict:
        if probability < self.does_not_fit_below:
            return "does_not_fit"
        return "fits" if probability >= self.fits_from else "doubtful"


Checks = Mapping[str, Check]


def read_checks(facts: Mapping[str, Any]) -> dict[str, Check]:
    """The checks of a manifest, by hashtag. Raises KeyError, TypeError, ValueError."""
    names = Check.__dataclass_fields__
    return {
        hashtag: Check(**{name: float(row[name]) for name in names})
        for hashtag, row in facts["hashtags"].items()
    }


def evidence(probabilities: Floats) -> Floats:
    """For probabilities of labels (n, c), the evidence for each (n, c)."""
    p = np.clip(probabilities, SMALLEST, 1 - SMALLEST)
    logarithms = np.log(p)
    strength = logarithms - logarithms.mean(1, keepdims=True)
    result: Floats = (1 - STRENGTH) * (logarithms - np.log1p(-p)) + STRENGTH * strength
    return result


def fit_checks(probabilities: Floats, true: Ints, labels: Sequence[str]) -> dict[str, Check]:
    """The checks of all hashtags, from calibrated probabilities (n, c) and true labels (n,).

    Each photo asks about every hashtag, and only its label fits. With 95 % confidence, at most ACCUSED_HERE
    of the hashtags that fit are below their limit, and at most FALSELY_ACCUSED of those of the lesser of two
    photos: exact binomial tests. With too few photos for that, nothing is ever said not to fit.
    """
    hashtags, columns = _hashtags(labels)
    numbers = evidence(probabilities)[:, columns]
    fits = true[:, None] == columns
    slopes, shifts = _fit(numbers, fits)
    chances = _sigmoid(slopes * numbers + shifts)
    both, lesser = laid_over(probabilities, true, columns)
    lesser_chances = _sigmoid(slopes * evidence(both)[:, columns] + shifts)[lesser[:, None] == columns]
    most = min(_lowest(chances[fits], ACCUSED_HERE), _lowest(lesser_chances, FALSELY_ACCUSED))
    lows, highs = _accusing(chances, fits, most), _approving(chances, fits)
    return {
        hashtag: Check(float(slopes[at]), float(shifts[at]), lows[at], max(lows[at], highs[at], EVEN))
        for at, hashtag in enumerate(hashtags)
    }


def laid_over(probabilities: Floats, true: Ints, hashtags: Ints) -> tuple[Floats, Ints]:
    """Pairs of photos as one: probabilities (m, c), and the hashtag of the lesser photo of each (m,).

    Each photo with one of the hashtags lies once under a photo of another label, chosen by chance. The
    logarithms of the probabilities are averaged, with the weight LESSER for the photo's own.
    """
    under = np.flatnonzero(np.isin(true, hashtags))
    over = np.random.default_rng(0).permutation(len(true))[: len(under)]
    differ = true[under] != true[over]
    under, over = under[differ], over[differ]
    logarithms = np.log(np.clip(probabilities, SMALLEST, 1))
    weights = np.exp(LESSER * logarithms[under] + (1 - LESSER) * logarithms[over])
    return weights / weights.sum(1, keepdims=True), true[under]


def check_facts(probabilities: Floats, true: Ints, labels: Sequence[str]) -> dict[str, Any]:
    """What a manifest says of a model's checks: those of ``fit_checks``, and cross-fitted figures."""
    checks = fit_checks(probabilities, true, labels)
    return {
        "hashtags": {hashtag: asdict(check) for hashtag, check in checks.items()},
        "falsely_accused": FALSELY_ACCUSED,
        "confidence": CONFIDENCE,
        "right": RIGHT,
        "held_out": cross_fit(probabilities, true, labels),
    }


def cross_fit(
    probabilities: Floats, true: Ints, labels: Sequence[str], *, seed: int = 0
) -> dict[str, float | int | None]:
    """Figures of verdicts whose limits were chosen on the other half of the photos.

    ``falsely_accused``: hashtags that fit and are said not to. ``found``: wrong hashtags that are said not to
    fit, of all. ``right``: verdicts "fits" that are right.
    """
    _, columns = _hashtags(labels)
    fits = true[:, None] == columns
    accused, approved = np.zeros(fits.shape, bool), np.zeros(fits.shape, bool)
    for choose, measure in split_halves(len(true), seed):
        checks = fit_checks(probabilities[choose], true[choose], labels)
        accused[measure], approved[measure] = verdicts(probabilities[measure], labels, checks)
    return {
        "photos": len(true),
        "falsely_accused": _share(accused[fits]),
        "found": _share(accused[~fits]),
        "right": _share(fits[approved]),
        "approved": _share(approved[fits]),
    }


def verdicts(probabilities: Floats, labels: Sequence[str], checks: Checks) -> tuple[Mask, Mask]:
    """For probabilities of labels (n, c): which hashtags (n, h) do not fit, and which fit."""
    hashtags, columns = _hashtags(labels)
    asked = [checks[hashtag] for hashtag in hashtags]
    slopes, shifts, lows, highs = (
        np.array([getattr(check, name) for check in asked])
        for name in ("slope", "shift", "does_not_fit_below", "fits_from")
    )
    chances = _sigmoid(slopes * evidence(probabilities)[:, columns] + shifts)
    return chances < lows, chances >= highs


def _hashtags(labels: Sequence[str]) -> tuple[list[str], Ints]:
    columns = np.array([at for at, label in enumerate(labels) if label != OTHER], dtype=np.int64)
    return [labels[at] for at in columns], columns


def _sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-np.clip(x, -40, 40)))


def _share(part: Mask) -> float | None:
    return float(part.mean()) if part.size else None


def _fit(numbers: Floats, fits: Mask) -> tuple[Floats, Floats]:
    """Slopes and shifts (h,) with the least log-loss for evidence (n, h), held to those of all hashtags."""
    from scipy.optimize import minimize  # takes 0.4 s, and only an export needs it

    count = numbers.shape[1]

    def loss(values: Floats) -> tuple[float, Floats]:
        slope, shift, slopes, shifts = values[0], values[1], values[2 : 2 + count], values[2 + count :]
        odds = (slope + slopes) * numbers + shift + shifts
        error = _sigmoid(odds) - fits
        by_slope, by_shift = (error * numbers).sum(0), error.sum(0)
        held = SAME_SLOPE * (slopes**2).sum() / 2 + SAME_SHIFT * (shifts**2).sum() / 2
        return float((np.logaddexp(0, odds) - fits * odds).sum() + held), np.concatenate(
            [
                [by_slope.sum(), by_shift.sum()],
                by_slope + SAME_SLOPE * slopes,
                by_shift + SAME_SHIFT * shifts,
            ]
        )

    start = np.concatenate([[1.0, 0.0], np.zeros(2 * count)])
    least = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 500}).x
    return np.maximum(least[0] + least[2 : 2 + count], 0.0), least[1] + least[2 + count :]


def _accusing(chances: Floats, fits: Mask, most: float) -> list[float]:
    """For chances (n, h), the limit of each hashtag below which it is said not to fit: ``most`` or less."""
    share = float((chances[fits] < most).mean()) if fits.any() else 0.0
    limits = []
    for at in range(chances.shape[1]):
        own = np.sort(chances[fits[:, at], at])
        # A hashtag that is accused more often than others gets a lower limit; none gets a higher one.
        allowed = int(ACCUSED_HERE * (len(own) + WEIGHT) - share * WEIGHT)
        limits.append(min(most, float(own[allowed])) if allowed < len(own) else most)
    return limits


def _lowest(chances: Floats, share: float) -> float:
    """The highest limit for which chances of fitting hashtags (m,) show, 95 % sure, that at most this share
    is below; NOTHING if there are too few.
    """
    from scipy.stats import binom

    below = np.arange(len(chances))
    passing = np.flatnonzero(binom.cdf(below, len(chances), share) <= 1 - CONFIDENCE)
    return float(np.sort(chances)[passing[-1]]) if len(passing) else NOTHING


def _approving(chances: Floats, fits: Mask) -> list[float]:
    """For chances (n, h), the lowest limit of each hashtag from which RIGHT of the verdicts "fits" are right,
    estimated as in calibrate.Curves; NEVER if none is.
    """
    thresholds, pooled = pooled_precision(chances.ravel(), fits.ravel().astype(float))
    limits = []
    for at in range(chances.shape[1]):
        precision = shrink(chances[:, at], fits[:, at].astype(float), thresholds, pooled)
        places = np.flatnonzero(precision >= RIGHT)
        limits.append(float(thresholds[places[0]]) if len(places) else NEVER)
    return limits
