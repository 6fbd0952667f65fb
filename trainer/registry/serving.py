"""Suggestions of the active model. A process keeps its network, and replaces it when the model changes.

While other models are tried beside it, the process keeps their networks, too.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from mapping.hashtags import blocked_names
from trainer.models import Promotion, TrainedModel

if TYPE_CHECKING:
    from trainer.engine.serving.predict import Suggester, Suggestion

_lock = threading.Lock()
_cache: dict[tuple[int, str, int], Suggester] = {}


UNREADABLE = "unreadable: "


class NoActiveModel(Exception):
    """No model has been promoted, so there are no suggestions."""


def active_model() -> TrainedModel | None:
    promotion = Promotion.objects.current()
    return promotion.model if promotion else None


def suggester(
    *, model: TrainedModel | None = None, threads: int = 1, beside: Collection[int] = ()
) -> Suggester:
    """The network of `model`, by default of the active one. Raises NoActiveModel.

    `beside` are models whose networks stay in memory; others are dropped.

    Several web workers share the cores, so each uses one thread; a command may use all cores.
    """
    model = model or active_model()
    if model is None or not model.is_ready:
        raise NoActiveModel("No model is active: a trainer admin promotes one on the page Models.")
    key = (model.pk, str(model.manifest.get("sha256", "")), threads)
    with _lock:
        for other in [one for one in _cache if one != key and (one[0] == model.pk or one[0] not in beside)]:
            del _cache[other]
        if key not in _cache:
            from trainer.engine.serving.predict import (
                Suggester,  # ONNX Runtime: only where suggestions are made
            )

            _cache[key] = Suggester(model.folder, threads=threads)
        return _cache[key]


def unreadable(answer: Suggestion) -> str:
    """Why the photo could not be read; empty if it could."""
    reason = answer.reason or ""
    return reason.removeprefix(UNREADABLE) if reason.startswith(UNREADABLE) else ""


def suggest(
    images: Iterable[Any],
    *,
    model: TrainedModel | None = None,
    threads: int = 1,
    beside: Collection[int] = (),
) -> Iterator[Suggestion]:
    """One Suggestion per image (path, bytes, file, PIL image), in order. Raises NoActiveModel immediately.

    Every door suggests through here, so that none suggests a blocked hashtag. What is blocked is read once a
    batch and never cached: another process may block a hashtag at any time.
    """
    return suggester(model=model, threads=threads, beside=beside).suggest(images, blocked=blocked_names)
