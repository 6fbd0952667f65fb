"""Rows about a photo and a hashtag: predictions, questions, votes and gold answers."""

from __future__ import annotations

from typing import Self, TypeVar

from django.db import models
from django.db.models import OuterRef

Row = TypeVar("Row", bound=models.Model)


class PairQuerySet(models.QuerySet[Row]):
    def on_pair(self, photo_id: int, hashtag_id: int) -> Self:
        return self.filter(photo_id=photo_id, hashtag_id=hashtag_id)

    def on_outer_pair(self) -> Self:
        """In a subquery: about the photo and hashtag of the row around it."""
        return self.filter(photo_id=OuterRef("photo_id"), hashtag_id=OuterRef("hashtag_id"))
