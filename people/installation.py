"""The site's own name, time zone and language, as administrators set them. Every page shows the name, so it
is remembered in the cache."""

from __future__ import annotations

from dataclasses import dataclass
from zoneinfo import ZoneInfo

from django.core.cache import cache
from django.db import DatabaseError
from django.http import HttpRequest

from people.models import Installation

NAME = "Scenetag"
KEY, SECONDS = "installation", 300


@dataclass(frozen=True)
class Site:
    name: str = NAME
    time_zone: str = ""  # empty: the settings'
    language: str = ""

    @property
    def zone(self) -> ZoneInfo | None:
        return ZoneInfo(self.time_zone) if self.time_zone else None


def current() -> Site:
    """While the database is away, what holds before the setup: a page about an outage has a name, too."""
    if found := cache.get(KEY):
        return Site(*found)
    try:
        row = Installation.objects.first()
    except DatabaseError:
        return Site()
    return remember(Site(row.name or NAME, row.time_zone, row.language) if row else Site())


def remember(site: Site) -> Site:
    cache.set(KEY, (site.name, site.time_zone, site.language), timeout=SECONDS)
    return site


def of(request: HttpRequest) -> Site:
    """The same, looked up once for a request, which asks for the zone and for the name."""
    known = vars(request)
    if KEY not in known:
        known[KEY] = current()
    site: Site = known[KEY]
    return site


def names(request: HttpRequest) -> dict[str, object]:
    """For all templates. The name is read when a page shows it."""
    return {"site_name": lambda: of(request).name}
