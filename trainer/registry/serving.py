"""Suggestions of the active model. A process keeps one network, and replaces it when the model changes."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from mapping.hashtags import blocked_names
from trainer.engine.serving.prepare import AS_IT_IS, Preparation
from trainer.models import Promotion, TrainedModel
from trainer.registry import answer_cache

if TYPE_CHECKING:
    from trainer.engine.serving.predict import Answer, Suggester, Suggestion

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
    images: Iterable[Any],
    *,
    model: TrainedModel | None = None,
    threads: int | None = 1,
    most: int = 1,
    preparation: Preparation = AS_IT_IS,
) -> Iterator[Suggestion]:
    """One Suggestion per image (path, bytes, file, PIL image), in order. Raises NoActiveModel immediately.

    Every door suggests through here or by `suggest_one`, so that none suggests a blocked hashtag. What is
    blocked is read once a batch and never cached: another process may block a hashtag at any time.
    """
    network = suggester(model=model, threads=threads)
    return network.suggest(images, blocked=blocked_names, most=most, preparation=preparation)


class Judged(NamedTuple):
    suggestion: Suggestion
    blocked: frozenset[str]  # what was blocked then


def suggest_one(
    content: bytes, *, network: Suggester, owner: int, most: int, preparation: Preparation
) -> Judged:
    """The suggestion for a photo that this account (`owner`) may have sent before: then the network is not
    asked again. What is blocked is read each time.
    """
    key = answer_cache.Key.of(content, network=network.digest, preparation=preparation, owner=owner)
    answer: Answer | str | None = answer_cache.recall(key)
    if answer is None:
        answer = network.answer(content, preparation)
        answer_cache.remember(key, answer)
    blocked = blocked_names()
    return Judged(network.judge(answer, blocked, most=most), blocked)
