"""The hashtags there are: which of them are offered, and how one is found."""

from __future__ import annotations

from django.conf import settings
from django.db.models import Case, IntegerField, QuerySet, Value, When

from mapping.models import Hashtag


def offered() -> QuerySet[Hashtag]:
    """Popular enough and not blocked, most popular first."""
    return Hashtag.objects.filter(blocked=False, posts__gte=settings.HASHTAG_MIN_POSTS)


def search(words: str, limit: int) -> list[Hashtag]:
    """Hashtags on offer that contain what was typed: the very one, those that begin so, the rest."""
    wanted = words.strip().lstrip("#").replace(" ", "").lower()
    if not wanted:
        return []
    place = Case(
        When(name__iexact=wanted, then=Value(0)),
        When(name__istartswith=wanted, then=Value(1)),
        default=Value(2),
        output_field=IntegerField(),
    )
    found = offered().filter(name__icontains=wanted).annotate(place=place)
    return list(found.order_by("place", "-posts", "name")[:limit])
