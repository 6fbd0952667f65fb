"""Writes a notice, a delivery for each hook and an e-mail for each person who wants it, in the transaction of
what it tells of.

All are rows: nothing is sent here, so a hook that is slow or away cannot hold up anybody. `notices.courier`
delivers, in the workers, once the rows are committed.
"""

from __future__ import annotations

import logging
from typing import Any

from django.db import Error, transaction

from formats.texts import as_words
from notices.events import EVENTS
from notices.mail import write_to_readers
from notices.models import Delivery, Hook, Notice

log = logging.getLogger(__name__)


def announce(
    event: str,
    *,
    title: str,
    url: str = "",
    key: str = "",
    **facts: Any,
) -> None:
    """Tell of an event, of what has the same `key` only once. A failure is logged and never raised: what has
    happened is worth more than the news of it.

    title: as a Text, pages show it in their reader's language.
    Raises KeyError for an event that is not in EVENTS.
    """
    EVENTS[event]
    try:
        with transaction.atomic():  # a savepoint: the transaction around it goes on
            _write(event=event, title=title[:300], url=url, key=key, facts=facts, **as_words(title))
    except Error:
        log.exception("Nobody is told of %s: %s", event, title)


def _write(*, key: str, **fields: Any) -> None:
    if key:
        notice, is_new = Notice.objects.get_or_create(key=key, defaults=fields)
        if not is_new:
            return
    else:
        notice = Notice.objects.create(**fields)
    hooks = [hook for hook in Hook.objects.filter(is_enabled=True) if notice.event in hook.events]
    Delivery.objects.bulk_create([Delivery(hook=hook, notice=notice) for hook in hooks])
    write_to_readers(notice)
