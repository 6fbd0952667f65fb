"""How much each token is used, by day and address.

Requests are counted in the cache. Once a minute the count of an address is moved to the database, with the
time of last use, so that a busy token does not write a row per request. What was counted since is moved when
somebody looks at the page. If Redis is lost, so is at most what was counted since the last move.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from django.core.cache import cache
from django.db import DatabaseError, transaction
from django.db.models import F, Sum
from django.utils import timezone

from people.models import Token, TokenUse

MINUTE = 60  # seconds between two moves of one count
KEPT = 8 * 24 * 3600  # seconds that a count waits in the cache for its move
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Bar:
    """One day or address of a chart."""

    name: str
    requests: int
    share: float  # of the largest bar, in percent


def count(token: Token, address: str) -> None:
    """One more request. It never fails: an answer is worth more than its count."""
    now = timezone.now()
    key = _key(token.pk, now.astimezone(UTC).date(), address)
    cache.add(key, 0, timeout=KEPT)
    try:
        cache.incr(key)
    except ValueError:  # it ended in between
        return
    if not cache.add(f"{key}:moved", 1, timeout=MINUTE):
        return
    try:
        _move(token.pk, now.astimezone(UTC).date(), address)
        if cache.add(f"token:{token.pk}:seen", 1, timeout=MINUTE):
            Token.objects.filter(pk=token.pk).update(last_used_at=now)
    except DatabaseError as error:
        log.warning("The use of token %s is not written yet: %s", token.pk, error)


def by_day(token: Token, days: int) -> list[Bar]:
    """The last `days` days, the oldest first, days without requests too."""
    _move_waiting(token)
    today = datetime.now(UTC).date()
    first = today - timedelta(days=days - 1)
    rows = token.uses.filter(day__gte=first).values_list("day").order_by("day").annotate(Sum("requests"))
    counts = dict(rows)
    names = [first + timedelta(days=number) for number in range(days)]
    return _bars([(f"{day:%-d %b}", counts.get(day, 0)) for day in names])


def by_address(token: Token, days: int) -> list[Bar]:
    """Each address that was asked in the last `days` days, the busiest first."""
    first = datetime.now(UTC).date() - timedelta(days=days - 1)
    rows = token.uses.filter(day__gte=first).values_list("address").annotate(n=Sum("requests"))
    return _bars(list(rows.order_by("-n", "address")))


def _bars(rows: list[tuple[str, int]]) -> list[Bar]:
    most = max((requests for _, requests in rows), default=0) or 1
    return [Bar(name, requests, 100 * requests / most) for name, requests in rows]


def _move_waiting(token: Token) -> None:
    """Every count in the cache has its row, because the first request of a day and address makes it."""
    oldest = datetime.now(UTC).date() - timedelta(seconds=KEPT)
    for use in token.uses.filter(day__gte=oldest):
        _move(token.pk, use.day, use.address)


def _move(token_pk: int, day: date, address: str) -> None:
    key = _key(token_pk, day, address)
    waiting = cache.get(key) or 0
    if waiting <= 0:
        return
    # Taken before it is written: of two moves at once, one finds nothing left.
    if cache.incr(key, -waiting) < 0:
        cache.incr(key, waiting)
        return
    try:
        with transaction.atomic():
            use, _ = TokenUse.objects.get_or_create(token_id=token_pk, day=day, address=address)
            TokenUse.objects.filter(pk=use.pk).update(requests=F("requests") + waiting)
    except DatabaseError:
        cache.incr(key, waiting)
        raise


def _key(token_pk: int, day: date, address: str) -> str:
    return f"token:{token_pk}:{day.isoformat()}:{address}"
