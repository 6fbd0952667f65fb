"""What a network said of a photo, remembered for a while: probabilities, never a verdict.

The cache has a fixed number of places, and a photo's hash says which is its own: a later photo with the same
place replaces it. So it cannot outgrow its memory, and nothing has to be counted. Answers are kept apart by
account, or else the time that an answer takes would tell whether somebody else has sent the same photo.
While Redis is away nothing is remembered, which is no error.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from django.conf import settings
from django.core.cache import caches

from jobs.broker import BrokerAway, reach
from trainer.engine.serving.prepare import Preparation

if TYPE_CHECKING:
    from trainer.engine.serving.predict import Answer


class Key(NamedTuple):
    place: str
    digest: bytes  # tells apart photos of the same place

    @classmethod
    def of(cls, content: bytes, *, network: str, preparation: Preparation, owner: int) -> Key:
        photo = hashlib.sha256(content).hexdigest()
        digest = hashlib.sha256(f"{owner} {network} {preparation} {photo}".encode()).digest()
        place = int.from_bytes(digest[:8]) % max(1, settings.SUGGEST_CACHE_ENTRIES)
        return cls(f"answer:{place}", digest)


def recall(key: Key) -> Answer | None:
    """The answer, if it is still remembered."""
    if not _is_on():
        return None
    try:
        with reach():
            entry = caches["shared"].get(key.place)
    except BrokerAway:
        return None
    if not entry or entry[0] != key.digest:
        return None
    from trainer.engine.serving.predict import Answer  # ONNX Runtime: whoever recalls has loaded it

    _, row, scene, is_early = entry
    return Answer(np.frombuffer(row), scene, is_early)


def remember(key: Key, answer: Answer | str) -> None:
    """Keep the answer for SUGGEST_CACHE_SECONDS. Why a photo cannot be read is not kept."""
    if isinstance(answer, str) or not _is_on():
        return
    entry = (key.digest, answer.probabilities.tobytes(), answer.scene, answer.is_early)
    try:
        with reach():
            caches["shared"].set(key.place, entry, settings.SUGGEST_CACHE_SECONDS)
    except BrokerAway:
        pass


def _is_on() -> bool:
    return bool(settings.SUGGEST_CACHE_SECONDS > 0 and settings.SUGGEST_CACHE_ENTRIES > 0)
