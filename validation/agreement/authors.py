"""Compares the authors' own hashtags with what the model says."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Count, F, Q

from mapping.models import Hashtag
from validation.models import Campaign, Prediction
from validation.models.predictions import is_suggested


@dataclass(frozen=True)
class AuthorRow:
    """The photos whose authors gave them this hashtag, and what the model says about them. Authors also use
    hashtags for things that a photo does not show, so differences are not errors, only worth a look.
    """

    hashtag: str
    photos: int
    same: int
    other: int
    silent: int


def compare_with_authors(campaign: Campaign) -> list[AuthorRow]:
    """One row for each of our hashtags that authors used, most photos first."""
    name = "photo__author_hashtags__name"
    rows = Prediction.objects.of(campaign).filter(
        photo__author_hashtags__name__in=Hashtag.objects.unblocked().values("name")
    )
    counts = (
        rows.order_by()
        .values(name)
        .annotate(
            photos=Count("pk"),
            same=Count("pk", filter=Q(hashtag__name=F(name))),
            silent=Count("pk", filter=~is_suggested()),
        )
    )
    table = [
        AuthorRow(
            row[name], row["photos"], row["same"], row["photos"] - row["same"] - row["silent"], row["silent"]
        )
        for row in counts
    ]
    return sorted(table, key=lambda one: (-one.photos, one.hashtag))
