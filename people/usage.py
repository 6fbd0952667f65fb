"""How much each token is used, by day and address.

Each process counts for itself and writes its counts once a minute, and when it ends. So a request costs an
addition; `python -m benchmarks.tokens` compares that with a row or with the cache. A process that is killed
loses at most the last minute.
"""

from __future__ import annotations

import atexit
import logging
import threading
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from django.conf import settings
from django.db import DatabaseError, connections, transaction
from django.db.models import F, Sum
from django.utils import timezone
from django.utils.formats import date_format

from people.models import Token, TokenUse

MINUTE = 60.0  # seconds between two writes
Key = tuple[int, date, str]  # token, day in UTC, address
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Bar:
    """One day or address of a chart."""

    name: str
    requests: int
    share: float  # of the largest bar, in percent


# --- counting ---------------------------------------------------------------------------------

_lock = threading.Lock()
_waiting: Counter[Key] = Counter()
_seen: dict[int, datetime] = {}  # last use by token
_timer: threading.Timer | None = None


def count(token: Token, address: str) -> None:
    """One more request."""
    global _timer
    now = timezone.now()
    with _lock:
        _waiting[token.pk, now.astimezone(UTC).date(), address] += 1
        _seen[token.pk] = now
        if _timer is None and settings.WRITE_USE_BESIDE:
            _timer = threading.Timer(MINUTE, _write_beside)
            _timer.daemon = True
            _timer.start()
            atexit.register(write)


def write() -> None:
    """Write what was counted since the last time. If the database does not take it, it waits for the next."""
    with _lock:
        counts, seen = dict(_waiting), dict(_seen)
        _waiting.clear()
        _seen.clear()
    if not counts:
        return
    try:
        _write(counts, seen)
    except DatabaseError as error:
        log.warning("The use of tokens is written later: %s", error)
        with _lock:
            _waiting.update(counts)
            _seen.update(seen | _seen)


def _write_beside() -> None:
    global _timer
    with _lock:
        _timer = None
    atexit.unregister(write)
    try:
        write()
    finally:
        connections.close_all()  # of this thread


@transaction.atomic
def _write(counts: dict[Key, int], seen: dict[int, datetime]) -> None:
    there = set(Token.objects.filter(pk__in=seen).values_list("pk", flat=True))  # others were deleted
    for (token_pk, day, address), requests in sorted(counts.items()):
        if token_pk in there:
            use, _ = TokenUse.objects.get_or_create(token_id=token_pk, day=day, address=address)
            TokenUse.objects.filter(pk=use.pk).update(requests=F("requests") + requests)
    for token_pk, at in seen.items():
        Token.objects.filter(pk=token_pk).exclude(last_used_at__gt=at).update(last_used_at=at)


# --- reading ----------------------------------------------------------------------------------


def by_day(token: Token, days: int) -> list[Bar]:
    """The last `days` days, the oldest first, days without requests too."""
    today = datetime.now(UTC).date()
    first = today - timedelta(days=days - 1)
    rows = token.uses.filter(day__gte=first).values_list("day").order_by("day").annotate(Sum("requests"))
    counts = dict(rows)
    names = [first + timedelta(days=number) for number in range(days)]
    return _bars([(date_format(day, "j M"), counts.get(day, 0)) for day in names])


def by_address(token: Token, days: int) -> list[Bar]:
    """Each address that was asked in the last `days` days, the busiest first."""
    first = datetime.now(UTC).date() - timedelta(days=days - 1)
    rows = token.uses.filter(day__gte=first).values_list("address").annotate(n=Sum("requests"))
    return _bars(list(rows.order_by("-n", "address")))


def _bars(rows: list[tuple[str, int]]) -> list[Bar]:
    most = max((requests for _, requests in rows), default=0) or 1
    return [Bar(name, requests, 100 * requests / most) for name, requests in rows]
