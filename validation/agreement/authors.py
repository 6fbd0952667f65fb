"""What authors wrote beside what the model says."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Count, F, Q

from mapping.models import Hashtag
from validation.models import (
    Campaign,
    Prediction,
)


@dataclass(frozen=True)
class AuthorRow:
    """Photos whose authors put this hashtag on them, and what the model says of them. Authors also use
    hashtags for what a photo does not show: these are no errors counted, but places to look.
    """

    hashtag: str
    photos: int
    same: int
    other: int
    silent: int


def by_authors(campaign: Campaign) -> list[AuthorRow]:
    """Of our hashtags only, most photos first."""
    name = "photo__author_hashtags__name"
    rows = Prediction.objects.of(campaign).filter(
        photo__author_hashtags__name__in=Hashtag.objects.values("name")
    )
    counted = (
        rows.order_by()
        .values(name)
        .annotate(
            photos=Count("pk"),
            same=Count("pk", filter=Q(hashtag__name=F(name))),
            silent=Count("pk", filter=Q(hashtag=None)),
        )
    )
    table = [
        AuthorRow(
            row[name], row["photos"], row["same"], row["photos"] - row["same"] - row["silent"], row["silent"]
        )
        for row in counted
    ]
    return sorted(table, key=lambda one: (-one.photos, one.hashtag))
