"""A curator changes one class. The history says who and when; nobody's change is overwritten."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from mapping.lexicon import wordnet
from mapping.models import MappingEntry

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("catalogue")]
ClientFor = Callable[..., Client]


@pytest.fixture
def entry() -> MappingEntry:
    return MappingEntry.objects.get(scene_class__key="t/toyshop")


def choice(entry: MappingEntry, **changes: Any) -> dict[str, Any]:
    return {
        "version": entry.version,
        "sense": "toyshop.n.01",
        "synset": entry.synset,
        "hypernym_sense": "shop.n.01",
        "hypernym": "",
        "hashtag": "shopping",
        "note": "",
    } | changes


def test_history_says_who_saved_what(entry: MappingEntry, client_for: ClientFor) -> None:
    client = client_for("curator")
    response = client.post(
        f"/mapping/{entry.pk}/", choice(entry, hashtag="art", note="toys are art"), follow=True
    )
    assert b"toyshop: #art. Saved." in response.content
    entry.refresh_from_db()
    assert (entry.label, entry.status, entry.version) == ("art", "confirmed", 2)
    assert (entry.synset, entry.hypernym) == ("toyshop", "shop")
    assert entry.changed_by is not None
    assert entry.changed_by.username == "curator"
    assert b"toys are art" in response.content
    assert entry.history.first().history_user == entry.changed_by


def test_other_is_a_decision(entry: MappingEntry, client_for: ClientFor) -> None:
    client_for("curator").post(f"/mapping/{entry.pk}/", choice(entry, hashtag="other"))
    entry.refresh_from_db()
    assert (entry.hashtag, entry.label) == (None, "other")


def test_repeated_click_saves_once(entry: MappingEntry, client_for: ClientFor) -> None:
    client = client_for("curator")
    for _ in range(2):
        assert client.post(f"/mapping/{entry.pk}/", choice(entry, hashtag="art")).status_code == 302
    entry.refresh_from_db()
    assert entry.version == 2
    assert [row.history_change_reason for row in entry.history.all()] == ["decided", "imported"]


def test_stale_page_gets_both_versions_and_overwrites_nothing(
    entry: MappingEntry, client_for: ClientFor
) -> None:
    client_for("curator", "ann").post(f"/mapping/{entry.pk}/", choice(entry, hashtag="art", note="by ann"))
    response = client_for("curator", "bob").post(
        f"/mapping/{entry.pk}/", choice(entry, hashtag="entertainment", note="by bob")
    )
    assert response.status_code == 409
    assert "by ann" in response.content.decode()
    assert 'value="by bob"' in response.content.decode()
    entry.refresh_from_db()
    assert entry.label == "art"
    # The form now carries the current version: saving again is a decision by somebody who has seen both.
    again = choice(entry, hashtag="entertainment", note="by bob")
    assert client_for("curator", "bob").post(f"/mapping/{entry.pk}/", again).status_code == 302
    entry.refresh_from_db()
    assert entry.label == "entertainment"


@pytest.mark.parametrize(
    ("role", "status"), [("stranger", 302), ("viewer", 403), ("admin", 403), ("validator", 403)]
)
def test_only_curators_save(entry: MappingEntry, client_for: ClientFor, role: str, status: int) -> None:
    assert client_for(role).post(f"/mapping/{entry.pk}/", choice(entry, hashtag="art")).status_code == status
    entry.refresh_from_db()
    assert entry.label == "shopping"


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("hashtag", "", "Choose a hashtag, or other."),
        ("hashtag", "nonsense", "nonsense"),
        ("sense", "toyshop.n.99", "WordNet has no noun sense"),
    ],
)
def test_bad_field_is_named_and_other_fields_kept(
    entry: MappingEntry, client_for: ClientFor, field: str, value: str, words: str
) -> None:
    data = choice(entry, note="my long thought", **{field: value})
    response = client_for("curator").post(f"/mapping/{entry.pk}/", data)
    assert response.status_code == 400
    assert words in response.content.decode()
    assert "my long thought" in response.content.decode()
    entry.refresh_from_db()
    assert entry.version == 1


def test_choosing_a_sense_shows_its_hypernyms(entry: MappingEntry, client_for: ClientFor) -> None:
    response = client_for("curator").get(
        f"/mapping/{entry.pk}/?sense=forest.n.02", headers={"HX-Request": "true"}
    )
    assert b"<html" not in response.content
    assert b'value="land.n.04"' in response.content


def test_save_and_next_keeps_the_filters_of_the_list(entry: MappingEntry, client_for: ClientFor) -> None:
    url = f"/mapping/{entry.pk}/?hashtag=shopping"
    response = client_for("curator").post(url, choice(entry, hashtag="shopping", then="next", note="x"))
    following = MappingEntry.objects.filter(
        hashtag__name="shopping", scene_class__key__gt="t/toyshop"
    ).first()
    target = following.pk if following else entry.pk
    assert response["Location"] == f"/mapping/{target}/?hashtag=shopping"


def test_without_wordnet_the_page_accepts_typed_words(
    entry: MappingEntry, client_for: ClientFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def raise_missing() -> None:
        raise wordnet.WordNetMissing

    monkeypatch.setattr(wordnet, "_nouns", raise_missing)
    client = client_for("curator")
    assert b"scripts/get_wordnet.py" in client.get(f"/mapping/{entry.pk}/").content
    data = choice(entry, sense="", hypernym_sense="", synset="toy store", hypernym="store", hashtag="art")
    assert client.post(f"/mapping/{entry.pk}/", data).status_code == 302
    entry.refresh_from_db()
    assert (entry.synset, entry.hypernym) == ("toy store", "store")


def test_bad_input_does_not_refresh_a_stale_page(entry: MappingEntry, client_for: ClientFor) -> None:
    client_for("curator", "ann").post(f"/mapping/{entry.pk}/", choice(entry, hashtag="art"))
    bob = client_for("curator", "bob")
    response = bob.post(f"/mapping/{entry.pk}/", choice(entry, hashtag=""))
    assert 'name="version" value="1"' in response.content.decode()
    assert bob.post(f"/mapping/{entry.pk}/", choice(entry, hashtag="bar")).status_code == 409


def test_choosing_another_sense_keeps_hypernym_and_typed_words(
    entry: MappingEntry, client_for: ClientFor
) -> None:
    query = "sense=bookshop.n.01&hypernym_sense=shop.n.01&hypernym=my+word"
    response = client_for("curator").get(f"/mapping/{entry.pk}/?{query}", headers={"HX-Request": "true"})
    page = response.content.decode()
    assert 'value="shop.n.01" checked' in page
    assert 'value="my word"' in page
    assert response["Vary"].startswith("HX-Request") or "HX-Request" in response["Vary"]


def test_hypernym_outside_the_path_can_still_be_chosen(entry: MappingEntry, client_for: ClientFor) -> None:
    MappingEntry.objects.filter(pk=entry.pk).update(hypernym_sense="forest.n.02", hypernym="forest")
    page = client_for("curator").get(f"/mapping/{entry.pk}/").content.decode()
    assert 'value="forest.n.02" checked' in page
