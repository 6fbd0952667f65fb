"""The mapping's list: everybody who may look sees all 397, narrowed by words and filters."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from mapping.models import MappingEntry

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("catalogue")]
ClientFor = Callable[..., Client]


def found(client: Client, query: str) -> int:
    page = client.get(f"/mapping/?{query}").context["page"]
    count: int = page.paginator.count
    return count


def test_all_397_are_listed_with_a_constant_number_of_queries(client_for: ClientFor) -> None:
    client = client_for("viewer")
    with CaptureQueriesContext(
        connection,
    ) as paged:
        client.get("/mapping/")
    with CaptureQueriesContext(connection) as whole:
        response = client.get("/mapping/?all=1")
    assert response.content.count(b"<tr>") == 398
    assert len(whole) <= len(paged)


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("", 397),
        ("q=abbey", 1),
        ("q=аббатство", 1),
        ("q=Аббатство", 1),
        ("q=toyshop", 1),
        ("q=%23snow&hashtag=snow", 7),
        ("hashtag=other", 194),
        ("status=confirmed", 0),
        ("status=imported", 397),
        ("q=no such class", 0),
    ],
)
def test_search_and_filters(client_for: ClientFor, query: str, count: int) -> None:
    assert found(client_for("viewer"), query) == count


def test_filters_come_together(client_for: ClientFor) -> None:
    entry = MappingEntry.objects.get(scene_class__key="a/abbey")
    query = f"group={entry.scene_class.level2}&hashtag=church&q=abbey"
    assert found(client_for("viewer"), query) == 1


def test_unknown_filter_value_shows_all_rather_than_breaking(client_for: ClientFor) -> None:
    assert client_for("viewer").get("/mapping/?status=nonsense&page=999").status_code == 200


def test_htmx_gets_the_rows_only(client_for: ClientFor) -> None:
    response = client_for("viewer").get("/mapping/?q=abbey", headers={"HX-Request": "true"})
    assert b"<html" not in response.content
    assert b"abbey" in response.content


def test_hashtags_page_counts_classes(client_for: ClientFor) -> None:
    rows = client_for("viewer").get("/mapping/hashtags/").context["rows"]
    assert len(rows) == 20
    assert sum(row["hashtag"].classes for row in rows) == 397 - 194


@pytest.mark.parametrize(("role", "status"), [("stranger", 302), ("validator", 403), ("viewer", 200)])
@pytest.mark.parametrize(
    "page", ["/mapping/", "/mapping/hashtags/", "/mapping/releases/", "/mapping/releases/1/"]
)
def test_who_may_look(client_for: ClientFor, role: str, status: int, page: str) -> None:
    assert client_for(role).get(page).status_code == status
