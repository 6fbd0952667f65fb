"""Reads from the page's address which runs to compare."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from django.db.models import Q
from django.http import QueryDict
from django.utils.translation import gettext as _

from formats.numbers import read_number
from trainer.models import PhotoSet, Sweep

MOST = 2_000  # runs that are compared at once; further ones are not read
MOST_RANGES = 400  # "7-19" in an address


@dataclass(frozen=True)
class Choice:
    """Which runs an address selects: `where` for the database, `query` to select the same runs again."""

    where: Q | None = None  # None: the address names no runs
    query: tuple[tuple[str, str], ...] = ()
    words: str = ""
    singles: tuple[str, ...] = ()  # runs that the address names one by one, as it writes them
    without: frozenset[int] = frozenset()

    def missing(self, runs: Iterable[int]) -> list[str]:
        """The names in the address that belong to no run."""
        keys = set(runs) | self.without
        return [text for text in dict.fromkeys(self.singles) if read_number(text) not in keys]


def read_choice(query: QueryDict) -> Choice:
    """Reads run=7, run=7-19 (several), sweep=3 or photo_set=2; without=8 leaves a run out.

    Values that are not numbers are ignored.
    """
    choice = _read_runs(query)
    without = {pk for text in query.getlist("without") if (pk := read_number(text)) is not None}
    if choice.where is None or not without:
        return choice
    pairs = choice.query + tuple(("without", str(pk)) for pk in sorted(without))
    where = choice.where & ~Q(pk__in=without)
    return replace(choice, where=where, query=pairs, without=frozenset(without))


def _read_runs(query: QueryDict) -> Choice:
    texts = query.getlist("run")
    ranges = [bounds for text in texts if (bounds := _range(text))]
    singles = tuple(text for text in texts if not ((bounds := _range(text)) and bounds[0] < bounds[1]))
    sweep, photo_set = read_number(query.get("sweep")), read_number(query.get("photo_set"))
    if ranges:
        # One list instead of an OR for each run: SQLite accepts at most 1,000 of those.
        where = Q(pk__in=[low for low, high in ranges if low == high])
        for low, high in [bounds for bounds in ranges if bounds[0] < bounds[1]][:MOST_RANGES]:
            where |= Q(pk__range=(low, high))
        return Choice(where, tuple(("run", text) for text in _join(ranges)), singles=singles)
    if sweep is not None:
        name = Sweep.objects.filter(pk=sweep).values_list("name", flat=True).first()
        return Choice(
            Q(sweep=sweep), (("sweep", str(sweep)),), (_("Sweep “%(name)s”") % {"name": name}) if name else ""
        )
    if photo_set is not None:
        name = PhotoSet.objects.filter(pk=photo_set).values_list("name", flat=True).first()
        words = _("All runs on “%(name)s”") % {"name": name} if name else ""
        return Choice(Q(photo_set=photo_set), (("photo_set", str(photo_set)),), words)
    return Choice(singles=singles)


def _range(text: str) -> tuple[int, int] | None:
    low, _, high = text.partition("-")
    first, last = read_number(low), read_number(high or low)
    return (first, last) if first is not None and last is not None and first <= last else None


def _join(ranges: Sequence[tuple[int, int]]) -> list[str]:
    """The ranges as text. Consecutive runs become one range, so that the address stays short."""
    spans: list[tuple[int, int]] = []
    for low, high in ranges:
        if spans and low == spans[-1][1] + 1:
            spans[-1] = (spans[-1][0], high)
        else:
            spans.append((low, high))
    return [str(low) if low == high else f"{low}-{high}" for low, high in spans]
