"""Rows about a photo and a hashtag: predictions, questions, votes and gold answers."""

from __future__ import annotations

from typing import Self, TypeVar

from django.db import models
from django.db.models import OuterRef

from mapping.models import Hashtag

Row = TypeVar("Row", bound=models.Model)


class PairQuerySet(models.QuerySet[Row]):
    def offered(self) -> Self:
        """Without rows about a blocked hashtag: what may be suggested and asked now."""
        # NOT IN, because an IN would tempt SQLite to walk the questions by hashtag instead of by rank.
        return self.exclude(hashtag__in=Hashtag.objects.blocked())

    def on_pair(self, photo_id: int, hashtag_id: int) -> Self:
        return self.filter(photo_id=photo_id, hashtag_id=hashtag_id)

    def on_outer_pair(self) -> Self:
        """In a subquery: rows about the photo and hashtag of the outer row."""
        return self.filter(photo_id=OuterRef("photo_id"), hashtag_id=OuterRef("hashtag_id"))
