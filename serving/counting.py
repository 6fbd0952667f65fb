"""Counts what is answered, in this process, and adds it to the database every few seconds.

A row for each answer, or even a command to Redis, would be a write for each upload. A process that is killed
loses what it counted since the last flush, COUNT_SECONDS at most; one that ends in order loses nothing.
"""

from __future__ import annotations

import atexit
import logging
import threading
from collections import Counter
from collections.abc import Mapping
from datetime import date

from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from serving.models import AnswerTally
from serving.models.tallies import add_counts
from trainer.models import TrainedModel

# Figures of answers, and the bin of each.
ANSWER = "answer"  # the hashtag; empty for silence
CONFIDENCE = "confidence"  # tenth, "0" to "9"
PIXELS = "pixels"  # of the photo, by SIZES
SHADOW = "shadow"  # of a shadow model, by how its answer compares: serving.shadow
SIZES = (
    (100_000, "under 0.1 MP"),
    (500_000, "0.1 to 0.5 MP"),
    (2_000_000, "0.5 to 2 MP"),
    (8_000_000, "2 to 8 MP"),
)
LARGEST = "over 8 MP"

log = logging.getLogger(__name__)
_lock = threading.Lock()
_counts: Counter[tuple[date, int, int, str, str]] = Counter()
_timer: threading.Timer | None = None


def tenth(confidence: float) -> str:
    return str(min(9, int(10 * confidence)))


def size_bin(width: int, height: int) -> str:
    return next((name for edge, name in SIZES if width * height < edge), LARGEST)


def count(*, model: int, figures: Mapping[str, str], trial: int = 0) -> None:
    """Count one answer: figure → bin."""
    global _timer
    day = timezone.localdate()
    with _lock:
        for figure, name in figures.items():
            _counts[day, model, trial, figure, name] += 1
        if _timer is None and settings.WORK_BESIDE:
            _timer = threading.Timer(settings.COUNT_SECONDS, _flush_beside)
            _timer.daemon = True
            _timer.start()


def _flush_beside() -> None:
    global _timer
    with _lock:
        _timer = None
    try:
        flush()
    finally:
        connection.close()  # that of this thread


def flush() -> None:
    """Add what was counted to the database. If that is away, it stays counted for the next time."""
    with _lock:
        taken = dict(_counts)
        _counts.clear()
    if not taken:
        return
    try:
        with transaction.atomic():
            models = {key[1] for key in taken}
            known = set(TrainedModel.objects.filter(pk__in=models).values_list("pk", flat=True))
            add_counts(AnswerTally, {key: (n,) for key, n in taken.items() if key[1] in known})
    except DatabaseError as error:
        log.warning("Counts of answers cannot be stored now: %s", error)
        with _lock:
            _counts.update(taken)


@atexit.register
def _flush_at_exit() -> None:
    if settings.WORK_BESIDE:
        flush()


def forget() -> None:
    """Drop what was counted. For tests."""
    with _lock:
        _counts.clear()
