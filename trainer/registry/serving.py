"""Suggestions of the active model. A process keeps its network, and replaces it when the model changes.

While other models are tried beside it, the process keeps their networks, too.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

from django.utils.translation import gettext as _
from prometheus_client import Counter, Histogram

from mapping.hashtags import blocked_names
from trainer.engine.serving.prepare import AS_IT_IS, Preparation
from trainer.models import Promotion, TrainedModel
from trainer.registry import answer_cache, files

if TYPE_CHECKING:
    from trainer.engine.serving.predict import Answer, Suggester, Suggestion

_lock = threading.Lock()
_cache: dict[tuple[int, str, int | None], Suggester] = {}
_kept: Collection[int] = ()


UNREADABLE = "unreadable: "
SUGGESTIONS = Counter("scenetag_suggestions", "Answers of the active model.", ["outcome", "hashtag"])
SECONDS = Histogram("scenetag_photo_seconds", "Seconds for a photo, by any model.", ["part"])
NETWORKS = Counter("scenetag_networks", "Uses of a network: kept in memory, or loaded.", ["cache"])


class NoActiveModel(Exception):
    """No model has been promoted, so there are no suggestions."""


def active_model() -> TrainedModel | None:
    promotion = Promotion.objects.current()
    return promotion.model if promotion else None


def suggester(
    *, model: TrainedModel | None = None, threads: int | None = 1, beside: Collection[int] | None = None
) -> Suggester:
    """The network of `model`, by default of the active one. Raises NoActiveModel.

    `beside` are models whose networks stay in memory from now on, too (None: as before); others are dropped.

    Several web workers share the cores, so each uses one thread; a command or a job uses all cores: None.
    """
    global _kept
    model = model or active_model()
    if model is None or not model.is_ready:
        raise NoActiveModel(_("No model is active: a trainer admin promotes one on the page Models."))
    key = (model.pk, str(model.manifest.get("sha256", "")), threads)
    with _lock:
        if beside is not None:
            _kept = beside
        for other in [one for one in _cache if one != key and (one[0] == model.pk or one[0] not in _kept)]:
            del _cache[other]
        if key not in _cache:
            from trainer.engine.serving.predict import (
                Suggester,  # ONNX Runtime: only where suggestions are made
            )

            try:
                with files.at_hand(model) as folder:
                    _cache[key] = Suggester(folder, threads=threads, watch=_watch)
            except FileNotFoundError as error:
                raise NoActiveModel(
                    _("“%(model)s” has no files: import or export it again.") % {"model": model}
                ) from error
            NETWORKS.labels("loaded").inc()
        else:
            NETWORKS.labels("kept").inc()
        return _cache[key]


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
    beside: Collection[int] | None = None,
    pool: ThreadPoolExecutor | None = None,
) -> Iterator[Suggestion]:
    """One Suggestion per image (path, bytes, file, PIL image), in order. Raises NoActiveModel immediately.

    `pool`: as many threads as `threads` says, for who calls this again and again.

    Every door suggests through here or by `suggest_one`, so that none suggests a blocked hashtag. What is
    blocked is read once a batch and never cached: another process may block a hashtag at any time.
    """
    network = suggester(model=model, threads=threads, beside=beside)
    answers = network.suggest(images, blocked=blocked_names, most=most, preparation=preparation, pool=pool)
    return _counted(answers) if model is None else answers


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
    suggestion = network.judge(answer, blocked, most=most)
    _count(suggestion)
    return Judged(suggestion, blocked)


def _counted(answers: Iterator[Suggestion]) -> Iterator[Suggestion]:
    for answer in answers:
        _count(answer)
        yield answer


def _count(answer: Suggestion) -> None:
    outcome = "suggested" if answer.hashtag else "unreadable" if unreadable(answer) else "silent"
    SUGGESTIONS.labels(outcome, answer.hashtag or "").inc()


def _watch(part: str, seconds: float) -> None:
    SECONDS.labels(part).observe(seconds)
