"""Answers to the photos of one request, as they are sent: all by the same model, but for a trial's photos."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db import Error
from rest_framework import status
from rest_framework.exceptions import ValidationError

from serving.answers import send
from serving.api.active import describe, load_challenger
from serving.api.options import Options
from serving.api.photos import FIELD, Photo, TooLarge, read_content
from serving.trials import Choice, Chooser
from trainer.engine.budget import DecodersBusy
from trainer.registry.serving import Judged, suggest_one, unreadable

if TYPE_CHECKING:
    from trainer.engine.serving.predict import Suggester

AWAY = "The database is busy or does not answer. Send this photo again."
BUSY = "Too many photos are being opened at the moment. Send this photo again."
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Desk:
    """Answers one request. `network` is the active model's; `owner` is the account that asks."""

    chooser: Chooser
    network: Suggester
    options: Options
    owner: int

    def answer(self, photo: Photo) -> dict[str, Any]:
        """Raises TooLarge; ValidationError for what is no photo; DecodersBusy and database errors."""
        content = read_content(photo)
        choice, network = self._choose(content)
        judged = suggest_one(
            content,
            network=network,
            owner=self.owner,
            most=self.options.most,
            preparation=self.options.preparation,
        )
        if reason := unreadable(judged.suggestion):
            raise ValidationError({FIELD: [f"This photo cannot be read: {reason}."]})
        answer_id = send(answer=judged.suggestion, content=content, choice=choice, account=self.owner)
        tag = describe(choice.model, network, judged.blocked)["tag"]
        return self._as_dict(judged, file=photo.name or "", answer_id=answer_id, tag=tag)

    def _choose(self, content: bytes) -> tuple[Choice, Suggester]:
        """Who answers this photo."""
        choice = self.chooser.choose(content)
        if choice.model.pk == self.chooser.active.pk:
            return choice, self.network
        if challenger := load_challenger(self.chooser):
            return choice, challenger
        return self.chooser.choose_active(), self.network

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

    def _as_dict(self, judged: Judged, *, file: str, answer_id: str, tag: str) -> dict[str, Any]:
        """The one place where an answer becomes what is sent."""
        suggestion, blocked = judged
        answer = suggestion.as_dict() | {"file": file}
        if self.options.with_probabilities:
            answer["probabilities"] = {
                label: round(p, 4) for label, p in suggestion.probabilities.items() if label not in blocked
            }
        return answer | {"id": answer_id, "model": tag}


def _refused(file: str, words: str, code: int) -> dict[str, Any]:
    return {"file": file, "error": words, "status": code}
