"""The list of the mapping: every reader can see all 397 classes, and narrow them by words and filters."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from mapping.acts import Decision, change_entry
from mapping.models import MappingEntry, Opinion

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("catalogue")]
ClientFor = Callable[..., Client]


def count_of(client: Client, query: str) -> int:
    count: int = client.get(f"/mapping/?{query}").context["count"]
    return count


def test_paging_shows_every_class_once_in_both_directions(client_for: ClientFor) -> None:
    client = client_for("viewer")
    forward, address = [], "/mapping/"
    while True:
        page = client.get(address).context["page"]
        forward += [entry.scene_class.key for entry in page.rows]
        if not page.next:
            break
        address = f"/mapping/?behind={page.next}"
    assert len(forward) == 397
    assert forward == sorted(set(forward))
    backward = list(page.rows)
    while page.previous:
        page = client.get(f"/mapping/?in_front={page.previous}").context["page"]
        backward = [*page.rows, *backward]
    assert [entry.scene_class.key for entry in backward] == forward


def test_number_of_queries_is_constant(client_for: ClientFor) -> None:
    client = client_for("curator")
    client.get("/mapping/")
    with CaptureQueriesContext(connection) as queries_for_many:
        assert len(client.get("/mapping/").context["page"].rows) == 60
    with CaptureQueriesContext(connection) as queries_for_few:
        assert len(client.get("/mapping/?q=abbey").context["page"].rows) == 1
    assert len(queries_for_few) == len(queries_for_many) <= 16


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("differs=release-1", 1),
        ("differs=release-1&hashtag=art", 1),
        ("status=todo", 396),
        ("hypernym=shop", 12),
        ("hypernym=shop.n.01", 12),
        ("group=indoor", 175),
    ],
)
def test_filters_for_curators_count_right(
    client_for: ClientFor, user_for: Callable[..., User], query: str, count: int
) -> None:
    entry = MappingEntry.objects.get(scene_class__key="a/abbey")
    change_entry(entry_id=entry.pk, version=1, by=user_for("curator"), decision=Decision("art"))
    assert count_of(client_for("viewer"), query) == count


def test_list_can_show_differences_from_an_opinion(client_for: ClientFor, catalogue: None) -> None:
    opinion = Opinion.objects.create(name="another")
    abbey, bakery = MappingEntry.objects.filter(scene_class__key__in=["a/abbey", "b/bakery/shop"])
    for entry, status in ((abbey, "confirmed"), (bakery, "undecided")):  # one answer is other, one is missing
        MappingEntry.everywhere.create(scene_class=entry.scene_class, opinion=opinion, status=status)
    page = client_for("viewer").get(f"/mapping/?differs=opinion-{opinion.pk}").context["page"]
    assert [(entry.scene_class.key, entry.theirs) for entry in page.rows] == [("a/abbey", "other")]


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
def test_search_and_filters_count_right(client_for: ClientFor, query: str, count: int) -> None:
    assert count_of(client_for("viewer"), query) == count


def test_filters_can_be_combined(client_for: ClientFor) -> None:
    entry = MappingEntry.objects.get(scene_class__key="a/abbey")
    query = f"group={entry.scene_class.level2}&hashtag=church&q=abbey"
    assert count_of(client_for("viewer"), query) == 1


def test_search_for_very_many_words_is_answered(client_for: ClientFor) -> None:
    assert count_of(client_for("viewer"), "q=" + "a+" * 2000) == count_of(client_for("viewer"), "q=a")


def test_unknown_filter_value_is_ignored(client_for: ClientFor) -> None:
    assert client_for("viewer").get("/mapping/?status=nonsense&page=999").status_code == 200


def test_htmx_gets_only_the_rows(client_for: ClientFor) -> None:
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
def test_pages_need_permission_to_view(client_for: ClientFor, role: str, status: int, page: str) -> None:
    assert client_for(role).get(page).status_code == status
