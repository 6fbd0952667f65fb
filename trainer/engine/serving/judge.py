"""Which label is suggested, if any. Without ONNX Runtime, so that web code may judge, too."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import islice

from formats.classes import OTHER
from trainer.engine.evaluation.calibrate import NEVER

BLOCKED = "blocked: the likeliest hashtag is not offered"  # a reason for silence that names no hashtag
MOST_HASHTAGS = 3  # for one photo
Ranking = Sequence[tuple[str, float]]  # labels and their probabilities, likeliest first


def judge(
    ranking: Ranking, thresholds: Mapping[str, float], blocked: Collection[str]
) -> tuple[str | None, float, str | None]:
    """What to suggest; the probability of the likeliest label that is not blocked; the reason for silence.

    A blocked hashtag gives its probability to nobody: the next one is suggested only if it reaches its own
    threshold. All labels may be blocked if the ranking is cut short.
    """
    offered = [(label, p) for label, p in ranking if label not in blocked]
    if not offered:
        return None, 0.0, BLOCKED
    best, confidence = offered[0]
    threshold = thresholds.get(best, NEVER)
    if best != OTHER and confidence >= threshold and threshold <= 1:
        return best, confidence, None
    if ranking[0][0] in blocked:
        reason = BLOCKED
    elif best == OTHER:
        reason = "other: none of the hashtags fits"
    elif threshold > 1:
        reason = f"unsure: #{best} is not reliable enough to be suggested"
    else:
        reason = f"unsure: {confidence:.2f} < {threshold:.2f} needed for #{best}"
    return None, confidence, reason


def further_hashtags(
    first: str, ranking: Ranking, thresholds: Mapping[str, float], blocked: Collection[str], *, most: int
) -> list[tuple[str, float]]:
    """Which other hashtags fit beside the suggested one: at most ``most``, each at or above its own
    threshold, likeliest first.

    Probabilities that sum to 1 leave a second hashtag little room: it needs a threshold below one half.
    """
    others = (
        (label, p)
        for label, p in ranking
        if label not in (first, OTHER) and label not in blocked and thresholds.get(label, NEVER) <= min(p, 1)
    )
    return list(islice(others, most))
