"""The assistants' page on the real catalogue and the real WordNet."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from mapping import assistants
from mapping.lexicon import clustering, wordnet
from mapping.models import MappingEntry

pytestmark = pytest.mark.integration  # information content of all nouns takes a second
CLASSES = 40  # enough for clusters, and still quick


@pytest.fixture(autouse=True)
def _fresh(settings: Any, tmp_path: Path) -> None:
    settings.VAR_DIR = tmp_path
    assistants.all_distances.cache_clear()
    assistants.tree.cache_clear()
    assistants.measure_all.cache_clear()


def test_distances_are_read_from_the_file_the_second_time(monkeypatch: pytest.MonkeyPatch) -> None:
    senses = ("beach.n.01", "shop.n.01", "toyshop.n.01")
    first = assistants.all_distances(senses)
    assistants.all_distances.cache_clear()
    monkeypatch.setattr(assistants, "_compute", None)
    again = assistants.all_distances(senses)
    assert set(first) == set(assistants.KINDS) == set(again)
    assert all((first[kind] == again[kind]).all() for kind in first)
    for kind, distances in first.items():
        assert distances[1, 2] < distances[0, 1], kind  # a toyshop is nearer to a shop than a beach is


def test_too_few_or_too_many_senses_are_refused() -> None:
    with pytest.raises(assistants.TooFew):
        assistants.all_distances(("shop.n.01",))
    with pytest.raises(assistants.TooMany):
        assistants.all_distances(tuple(str(i) for i in range(assistants.MAX_SENSES + 1)))


@pytest.mark.usefixtures("catalogue")
class TestPage:
    def test_page_shows_clusters_and_quality(self, client: Client, user_for: Callable[[str], User]) -> None:
        MappingEntry.objects.filter(pk__in=MappingEntry.objects.values("pk")[CLASSES:]).delete()
        client.force_login(user_for("viewer"))
        page = client.get(reverse("mapping:assistants"), {"clusters": "5", "kind": "wup"})
        assert page.status_code == 200
        assert page.context["quality"].groups <= 5
        sense_count = sum(len(c.members) for c in page.context["clusters"]) + len(page.context["alone"])
        assert sense_count == sum(bool(e.sense) for e in assistants.catalogue().entries)
        assert b'<path d="M' in page.content
        names = [row.name for row in page.context["rows"]]
        assert "topic domains" in names
        helps = [row.quality.helps for row in page.context["rows"]]
        assert helps == sorted(helps, reverse=True)
        assert helps[0] > 0
        assert "wup, average" in names

    def test_distance_0_puts_every_sense_in_its_own_cluster(
        self, client: Client, user_for: Callable[[str], User]
    ) -> None:
        MappingEntry.objects.filter(pk__in=MappingEntry.objects.values("pk")[CLASSES:]).delete()
        client.force_login(user_for("viewer"))
        page = client.get(reverse("mapping:assistants"), {"distance": "0", "kind": "path"})
        assert page.context["quality"].groups == len(assistants.catalogue().senses)

    def test_without_wordnet_page_says_how_to_get_it(
        self, client: Client, user_for: Callable[[str], User], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def raise_missing() -> None:
            raise wordnet.WordNetMissing

        monkeypatch.setattr(wordnet, "nouns", raise_missing)
        client.force_login(user_for("viewer"))
        assert b"get_wordnet.py" in client.get(reverse("mapping:assistants")).content

    def test_page_needs_permission(self, client: Client, user_for: Callable[[str], User]) -> None:
        client.force_login(user_for("nobody"))
        assert client.get(reverse("mapping:assistants")).status_code == 403


def test_ward_is_offered_only_where_valid() -> None:
    senses = ("beach.n.01", "shop.n.01", "toyshop.n.01", "forest.n.02", "kitchen.n.01")
    for kind, distance in assistants.all_distances(senses).items():
        is_offered = "ward" in assistants.methods(senses, kind)
        assert is_offered == clustering.is_euclidean(distance), kind
