"""Suggestions of the active model. One loaded network per process, changed when the active model is."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from trainer.models import Promotion, TrainedModel

if TYPE_CHECKING:
    from trainer.engine.serving.predict import Suggester, Suggestion

_lock = threading.Lock()
_loaded: tuple[tuple[int, str, int], Suggester] | None = None


UNREADABLE = "unreadable: "


class NoActiveModel(Exception):
    """No model has been promoted, so there is nothing to suggest with."""


def active_model() -> TrainedModel | None:
    promotion = Promotion.objects.current()
    return promotion.model if promotion else None


def suggester(*, model: TrainedModel | None = None, threads: int = 1) -> Suggester:
    """The model's network, the active one's unless named. Raises NoActiveModel.

    Several web workers share the cores, so each answers with one thread; a command may take them all.
    """
    global _loaded
    model = model or active_model()
    if model is None or not model.is_ready:
        raise NoActiveModel("No model is active: a trainer admin promotes one on the page Models.")
    key = (model.pk, str(model.manifest.get("sha256", "")), threads)
    with _lock:
        if _loaded is None or _loaded[0] != key:
            from trainer.engine.serving.predict import (
                Suggester,  # ONNX Runtime: only where suggestions are made
            )

            _loaded = (key, Suggester(model.folder, threads=threads))
        return _loaded[1]


def unreadable(answer: Suggestion) -> str:
    """Why the photo could not be read, or nothing where it could."""
    reason = answer.reason or ""
    return reason.removeprefix(UNREADABLE) if reason.startswith(UNREADABLE) else ""


def suggest(images: Iterable[Any], *, model: TrainedModel | None = None) -> Iterator[Suggestion]:
    """One Suggestion per image (path, bytes, file, PIL image), in order. Raises NoActiveModel at once."""
    return suggester(model=model).suggest(images)
