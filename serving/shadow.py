"""A shadow model looks at a share of the photos after they were answered, and answers nobody.

One thread a process does it, for one photo at a time. A photo that comes meanwhile is left out, so a slow
shadow delays nobody and fills no memory.
"""

from __future__ import annotations

import logging
import threading

from django.conf import settings
from django.db import connection

from serving import counting
from serving.models import Trial
from serving.trials import Choice, place
from trainer.registry.serving import suggest

log = logging.getLogger(__name__)
_busy = threading.Lock()


def follow(*, content: bytes, hashtag: str | None, choice: Choice) -> None:
    """Have the shadow model, if there is one, look at the photo. `hashtag` is what was answered."""
    trial = choice.shadow
    if trial is None or choice.model.pk != trial.champion_id or place(trial, content) >= trial.share:
        return
    if not _busy.acquire(blocking=False):
        return
    if settings.WORK_BESIDE:
        threading.Thread(
            target=_look, args=(trial, content, hashtag, choice.in_use, True), daemon=True
        ).start()
    else:
        _look(trial, content, hashtag, choice.in_use, False)


def _look(
    trial: Trial, content: bytes, hashtag: str | None, in_use: tuple[int, ...], is_thread: bool
) -> None:
    try:
        answer = next(iter(suggest([content], model=trial.challenger, beside=in_use)))
        name = compare(hashtag, answer.hashtag)
        counting.count(model=trial.challenger_id, trial=trial.pk, figures={counting.SHADOW: name})
    except Exception as error:
        log.warning("The shadow model %s cannot look at a photo: %s", trial.challenger, error)
    finally:
        _busy.release()
        if is_thread:
            connection.close()


def compare(active: str | None, shadow: str | None) -> str:
    if active is None or shadow is None:
        silent = {(True, True): "both silent", (True, False): "only shadow", (False, True): "only active"}
        return silent[active is None, shadow is None]
    return "same" if active == shadow else "other"
