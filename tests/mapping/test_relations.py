"""What WordNet says about a sense, on the pages of a class; and the classes of a domain."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from mapping.models import MappingEntry
from mapping.opinions.opinions import start_opinion

pytestmark = pytest.mark.usefixtures("few", "wordnet_domains")
ClientFor = Callable[..., Client]


def entry_of(key: str) -> MappingEntry:
    return MappingEntry.objects.get(scene_class__key=key)


def keys_of(response: Any) -> list[str]:
    return [row.scene_class.key for row in response.context["page"].rows]


def test_class_page_shows_kinds_parts_and_domains(client_for: ClientFor) -> None:
    client, path = client_for("viewer"), reverse("mapping:entry", args=[entry_of("a/abbey").pk])
    page = client.get(path).content.decode()
    for domain in ("buildings", "town_planning", "religion"):
        assert f'href="/mapping/?domain={domain}"' in page
    assert "Hyponyms" not in page  # an abbey has none
    fragment = client.get(path, {"sense": "church.n.02"}, headers={"HX-Request": "true"}).content.decode()
    assert ">cathedral</span>" in fragment
    assert ">nave</span>" in fragment
    assert "WordNet Domains" not in fragment


def test_long_lists_are_cut(client_for: ClientFor) -> None:
    path = reverse("mapping:queue_path")
    fragment = client_for("curator").get(path, {"sense": "shop.n.01"}).content.decode()
    assert "bakery" in fragment
    assert ", and " in fragment
    assert client_for("curator").get(path, {"sense": "nonsense"}).status_code == 200


def test_queue_shows_the_domains_of_its_class(client_for: ClientFor) -> None:
    client = client_for("curator")
    page = client.get(reverse("mapping:queue"), {"at": "a/abbey"}).content.decode()
    assert 'href="/mapping/queue/?domain=religion"' in page
    queue = client.get("/mapping/queue/?domain=religion")
    assert queue.context["entry"] == entry_of("a/abbey")


def test_blind_queue_links_to_itself(client_for: ClientFor, user_for: Callable[..., Any]) -> None:
    opinion = start_opinion(name="Ann's", by=user_for("curator"))
    client = client_for("curator")
    path = reverse("mapping:queue_path")
    fragment = client.get(path, {"sense": "abbey.n.01", "opinion": str(opinion.pk)}).content.decode()
    assert f'href="/mapping/queue/?opinion={opinion.pk}&amp;domain=religion"' in fragment
    assert client.get(path, {"sense": "abbey.n.01", "opinion": "99"}).status_code == 404


def test_domain_is_a_group_of_classes(client_for: ClientFor) -> None:
    """A toyshop has no chosen sense: its likeliest one counts until somebody confirms that it has none."""
    client, path = client_for("viewer"), reverse("mapping:entries")
    assert keys_of(client.get(path, {"domain": "buildings"})) == ["a/abbey", "t/toyshop"]
    assert keys_of(client.get(path, {"domain": "geology"})) == ["b/beach"]
    MappingEntry.objects.filter(scene_class__key="t/toyshop").update(status="confirmed")
    assert keys_of(client.get(path, {"domain": "buildings"})) == ["a/abbey"]


def test_api_lists_the_classes_of_a_domain(client_for: ClientFor) -> None:
    client, path = client_for("viewer"), "/api/v1/mapping/entries"
    rows = client.get(path, {"domain": "religion"}).json()["results"]
    assert [row["key"] for row in rows] == ["a/abbey"]
    assert client.get(path, {"domain": "nonsense"}).status_code == 400
