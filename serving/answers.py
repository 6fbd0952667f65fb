"""One answer on its way out: its id, its counts, and a shadow model that looks at the same photo."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from PIL import Image

from serving import counting, shadow
from serving.answer_ids import make_id
from serving.trials import Choice

if TYPE_CHECKING:
    from trainer.engine.serving.predict import Suggestion


def send(*, answer: Suggestion, content: bytes, choice: Choice, account: int) -> str:
    """Count a readable photo's answer. Returns its id."""
    confidence = answer.confidence or 0.0
    with Image.open(io.BytesIO(content)) as photo:  # the header: the photo was opened before
        size = counting.size_bin(*photo.size)
    counting.count(
        model=choice.model.pk,
        trial=choice.trial,
        figures={
            counting.ANSWER: answer.hashtag or "",
            counting.CONFIDENCE: counting.tenth(confidence),
            counting.PIXELS: size,
        },
    )
    shadow.follow(content=content, hashtag=answer.hashtag, choice=choice)
    return make_id(
        model=choice.model.pk,
        account=account,
        hashtag=answer.hashtag,
        confidence=confidence,
        trial=choice.trial,
    )
