"""Shared by the addresses below: pages of rows by keyset, and what the schema says of refusals."""

from __future__ import annotations

from typing import Any, TypeVar

from django.db import models
from rest_framework import serializers
from rest_framework.request import Request

from formats.numbers import LARGEST
from mapping.api.base import MappingView, error, next_page
from serving.api.fields import read_fields

TAG = "results"
Row = TypeVar("Row", bound=models.Model)


class ResultsView(MappingView):
    """Reads only, with the permission of the page that shows the same."""


class NumberedPageQuery(serializers.Serializer[Any]):
    after = serializers.IntegerField(
        required=False, min_value=1, max_value=LARGEST, help_text="The page begins after this id."
    )
    limit = serializers.IntegerField(required=False, default=100, min_value=1, max_value=500)


def read_page(request: Request) -> tuple[int | None, int]:
    """The parameters after and limit. Raises ValidationError, also for one that nobody knows."""
    query = read_fields(request, NumberedPageQuery)
    return query.get("after"), query["limit"]


def newest_first(request: Request, rows: models.QuerySet[Row]) -> tuple[list[Row], str | None]:
    """A page of rows, the highest id first, and the address of the next page. Raises ValidationError."""
    return newest_of(request, rows, *read_page(request))


def newest_of(
    request: Request, rows: models.QuerySet[Row], after: int | None, limit: int
) -> tuple[list[Row], str | None]:
    """The same, for parameters that were read."""
    if after is not None:
        rows = rows.filter(pk__lt=after)
    page = list(rows.order_by("-pk")[: limit + 1])
    last = page[limit - 1].pk if len(page) > limit else None
    return page[:limit], next_page(request, str(last) if last else None)


NOT_SIGNED_IN = error("Not signed in", {"detail": "Authentication credentials were not provided."})
NOT_ALLOWED = error("Not allowed", {"detail": "This account needs the permission …"})
ERRORS = {
    400: error("A parameter is wrong or unknown", {"limit": ["A valid integer is required."]}),
    401: NOT_SIGNED_IN,
    403: NOT_ALLOWED,
}
NOT_FOUND = {404: error("Not found", {"detail": "No Campaign matches the given query."})}
