"""Suggestions of the active model. A process keeps one network, and replaces it when the model changes."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from mapping.hashtags import blocked_names
from trainer.models import Promotion, TrainedModel

if TYPE_CHECKING:
    from trainer.engine.serving.predict import Suggester, Suggestion

_lock = threading.Lock()
_cache: tuple[tuple[int, str, int | None], Suggester] | None = None


UNREADABLE = "unreadable: "


class NoActiveModel(Exception):
    """No model has been promoted, so there are no suggestions."""


def active_model() -> TrainedModel | None:
    promotion = Promotion.objects.current()
    return promotion.model if promotion else None


def suggester(*, model: TrainedModel | None = None, threads: int | None = 1) -> Suggester:
    """The network of `model`, by default of the active one. Raises NoActiveModel.

    Several web workers share the cores, so each uses one thread; a command or a job uses all cores: None.
    """
    global _cache
    model = model or active_model()
    if model is None or not model.is_ready:
        raise NoActiveModel("No model is active: a trainer admin promotes one on the page Models.")
    key = (model.pk, str(model.manifest.get("sha256", "")), threads)
    with _lock:
        if _cache is None or _cache[0] != key:
            from trainer.engine.serving.predict import (
                Suggester,  # ONNX Runtime: only where suggestions are made
            )

            _cache = (key, Suggester(model.folder, threads=threads))
        return _cache[1]


def unreadable(answer: Suggestion) -> str:
    """Why the photo could not be read; empty if it could."""
    reason = answer.reason or ""
    return reason.removeprefix(UNREADABLE) if reason.startswith(UNREADABLE) else ""


def suggest(
    images: Iterable[Any], *, model: TrainedModel | None = None, threads: int | None = 1
) -> Iterator[Suggestion]:
    """One Suggestion per image (path, bytes, file, PIL image), in order. Raises NoActiveModel immediately.

    Every door suggests through here, so that none suggests a blocked hashtag. What is blocked is read once a
    batch and never cached: another process may block a hashtag at any time.
    """
    return suggester(model=model, threads=threads).suggest(images, blocked=blocked_names)
