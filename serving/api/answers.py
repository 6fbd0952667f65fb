"""Answers to the photos of one request, all by the same model, as they are sent."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db import Error
from rest_framework import status
from rest_framework.exceptions import ValidationError

from serving.answer_ids import make_id
from serving.api.active import describe
from serving.api.options import Options
from serving.api.photos import FIELD, Photo, TooLarge, read_content
from trainer.engine.budget import DecodersBusy
from trainer.models import TrainedModel
from trainer.registry.serving import Judged, suggest_one, unreadable

if TYPE_CHECKING:
    from trainer.engine.serving.predict import Suggester

AWAY = "The database is busy or does not answer. Send this photo again."
BUSY = "Too many photos are being opened at the moment. Send this photo again."
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Desk:
    """Answers one request. `owner` is the account that asks."""

    model: TrainedModel
    network: Suggester
    options: Options
    owner: int

    def answer(self, photo: Photo) -> dict[str, Any]:
        """Raises TooLarge; ValidationError for what is no photo; DecodersBusy and database errors."""
        judged = suggest_one(
            read_content(photo),
            network=self.network,
            owner=self.owner,
            most=self.options.most,
            preparation=self.options.preparation,
        )
        if reason := unreadable(judged.suggestion):
            raise ValidationError({FIELD: [f"This photo cannot be read: {reason}."]})
        return self._as_dict(judged, file=photo.name or "")

    def answer_each(self, photos: Iterable[Photo]) -> Iterator[dict[str, Any]]:
        """One answer for each photo, in order; or what went wrong with it, and with which status it would
        have been refused alone.
        """
        for photo in photos:
            file = photo.name or ""
            try:
                yield self.answer(photo)
            except ValidationError as error:
                words = error.detail[FIELD][0]  # type: ignore[call-overload, index]
                yield _refused(file, str(words), error.status_code)
            except TooLarge as error:
                yield _refused(file, str(error.detail), error.status_code)
            except DecodersBusy:
                yield _refused(file, BUSY, status.HTTP_503_SERVICE_UNAVAILABLE)
            except Error as error:
                log.warning("A photo in the middle of a request got no answer: %s", error)
                yield _refused(file, AWAY, status.HTTP_503_SERVICE_UNAVAILABLE)

    def _as_dict(self, judged: Judged, *, file: str) -> dict[str, Any]:
        """The one place where an answer becomes what is sent."""
        suggestion, blocked = judged
        answer = suggestion.as_dict() | {"file": file}
        if self.options.with_probabilities:
            answer["probabilities"] = {
                label: round(p, 4) for label, p in suggestion.probabilities.items() if label not in blocked
            }
        answer_id = make_id(
            model=self.model.pk,
            account=self.owner,
            hashtag=suggestion.hashtag,
            confidence=suggestion.confidence or 0.0,
        )
        return answer | {"id": answer_id, "model": describe(self.model, self.network, blocked)["tag"]}


def _refused(file: str, words: str, code: int) -> dict[str, Any]:
    return {"file": file, "error": words, "status": code}
