"""Which runs are compared, as the page's address says."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from django.db.models import Q
from django.http import QueryDict

from trainer.models import PhotoSet, Sweep

MOST = 2_000  # runs on one page's addresses; more are not read
MOST_RANGES = 400  # "7-19" in an address


@dataclass(frozen=True)
class Choice:
    """Which runs an address asks for: `where` for the database, `query` to ask for the same again."""

    where: Q | None = None  # None: none were named
    query: tuple[tuple[str, str], ...] = ()
    words: str = ""
    named: tuple[str, ...] = ()  # runs named one by one, as they were written
    without: frozenset[int] = frozenset()

    def missing(self, runs: Iterable[int]) -> list[str]:
        """What the address names, but is no run."""
        there = set(runs) | self.without
        return [text for text in dict.fromkeys(self.named) if _number(text) not in there]


def read_choice(query: QueryDict) -> Choice:
    """run=7, run=7-19 (several), sweep=3, or photo_set=2; without=8 takes one out again.

    What is not a number is left out.
    """
    choice = _chosen(query)
    without = {pk for text in query.getlist("without") if (pk := _number(text)) is not None}
    if choice.where is None or not without:
        return choice
    kept = choice.query + tuple(("without", str(pk)) for pk in sorted(without))
    where = choice.where & ~Q(pk__in=without)
    return replace(choice, where=where, query=kept, without=frozenset(without))


def _chosen(query: QueryDict) -> Choice:
    texts = query.getlist("run")
    ranges = [found for text in texts for found in [_range(text)] if found]
    named = tuple(text for text in texts if not ((found := _range(text)) and found[0] < found[1]))
    sweep, photo_set = _number(query.get("sweep")), _number(query.get("photo_set"))
    if ranges:
        # One list, not an OR a run: SQLite takes no more than 1,000 of those.
        where = Q(pk__in=[low for low, high in ranges if low == high])
        for low, high in [found for found in ranges if found[0] < found[1]][:MOST_RANGES]:
            where |= Q(pk__range=(low, high))
        return Choice(where, tuple(("run", text) for text in _written(ranges)), named=named)
    if sweep is not None:
        name = Sweep.objects.filter(pk=sweep).values_list("name", flat=True).first()
        return Choice(Q(sweep=sweep), (("sweep", str(sweep)),), f"Sweep “{name}”" if name else "")
    if photo_set is not None:
        name = PhotoSet.objects.filter(pk=photo_set).values_list("name", flat=True).first()
        words = f"All runs on “{name}”" if name else ""
        return Choice(Q(photo_set=photo_set), (("photo_set", str(photo_set)),), words)
    return Choice(named=named)


def _number(text: str | None) -> int | None:
    return int(text) if text and re.fullmatch(r"[0-9]{1,15}", text) else None


def _range(text: str) -> tuple[int, int] | None:
    low, _, high = text.partition("-")
    first, last = _number(low), _number(high or low)
    return (first, last) if first is not None and last is not None and first <= last else None


def _written(ranges: Sequence[tuple[int, int]]) -> list[str]:
    """Short enough for an address, however many runs follow each other."""
    joined: list[tuple[int, int]] = []
    for low, high in ranges:
        if joined and low == joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], high)
        else:
            joined.append((low, high))
    return [str(low) if low == high else f"{low}-{high}" for low, high in joined]
