"""Group pages: classes with the same suggestion, confirmed as one act; unticked classes remain to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from mapping import groups
from mapping.acts import Decision, change_entry
from mapping.models import MappingEntry, Opinion

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("few")]
ClientFor = Callable[..., Client]


def entry_of(key: str) -> MappingEntry:
    return MappingEntry.objects.get(scene_class__key=key)


@pytest.fixture
def taught(user_for: Callable[..., User]) -> None:
    for key, hashtag in (("s/shoe_shop", "shopping"), ("a/abbey", "church"), ("a/alley", "street")):
        decision = Decision(hashtag)
        change_entry(entry_id=entry_of(key).pk, version=1, by=user_for("curator"), decision=decision)


def groups_of(client: Client, query: str = "") -> Any:
    return client.get(f"/mapping/groups/{query}").context["page"]


def test_group_contains_unconfirmed_classes_with_the_same_suggestion(
    client_for: ClientFor, taught: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(groups, "SURE", 0)
    page = groups_of(client_for("curator"), "?label=church")
    assert page.selection == "church"
    assert [member.entry.scene_class.key for member in page.members] == ["c/chapel"]
    assert sum(group.count for group in page.groups) == 4


def test_classes_with_unlikely_answers_form_the_unsure_group(
    client_for: ClientFor, taught: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(groups, "SURE", 1.1)
    assert [group.label for group in groups_of(client_for("curator")).groups] == ["unsure"]


def test_unknown_group_shows_the_largest(client_for: ClientFor, taught: None) -> None:
    page = groups_of(client_for("curator"), "?label=nonsense")
    assert page.selection == page.groups[0].label


def test_confirmed_classes_leave_the_group_and_unticked_ones_stay(
    client_for: ClientFor, taught: None
) -> None:
    client = client_for("curator")
    chapel = entry_of("c/chapel")
    MappingEntry.objects.filter(pk=chapel.pk).update(status="undecided", hashtag=None)
    data = {"pick": f"{chapel.pk}:{chapel.version}", "hashtag": "church", "action": "group"}
    client.post("/mapping/decide/", data | {"next": "/mapping/groups/"})
    entry = entry_of("c/chapel")
    assert (entry.label, entry.status, entry.change.action) == ("church", "confirmed", "group")  # type: ignore[union-attr]
    assert (entry.sense, entry.hypernym) == ("chapel.n.01", "place of worship")  # its likeliest sense
    assert sum(group.count for group in groups_of(client).groups) == 3


def test_unticked_class_is_not_offered_the_same_answer_again(
    client_for: ClientFor, taught: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(groups, "SURE", 0)
    client = client_for("curator")
    assert [member.entry.scene_class.key for member in groups_of(client, "?label=church").members] == [
        "c/chapel"
    ]
    toyshop, chapel = entry_of("t/toyshop"), entry_of("c/chapel")
    data = {"pick": f"{toyshop.pk}:{toyshop.version}", "shown": [toyshop.pk, chapel.pk]}
    client.post("/mapping/decide/", data | {"hashtag": "church", "action": "group"})
    page = groups_of(client, "?label=church")
    assert page.selection != "church"
    assert sum(group.count for group in page.groups) == 3  # under another answer


def test_page_says_when_nothing_is_left(client_for: ClientFor) -> None:
    MappingEntry.objects.update(status="confirmed")
    assert b"Nothing is left to confirm" in client_for("curator").get("/mapping/groups/").content


def test_groups_of_an_opinion_hide_the_labels_of_the_mapping(
    client_for: ClientFor, user_for: Callable[..., User], taught: None
) -> None:
    opinion = Opinion.objects.create(name="mine", owner=user_for("curator", "ann"))
    for entry in MappingEntry.objects.all():
        MappingEntry.everywhere.create(scene_class=entry.scene_class, opinion=opinion)
    page = client_for("curator", "ann").get(f"/mapping/groups/?opinion={opinion.pk}")
    assert page.context["progress"].left == 7
    assert b"now <span" not in page.content
    assert client_for("curator", "bob").get(f"/mapping/groups/?opinion={opinion.pk}").status_code == 403


def test_number_of_queries_is_constant(client_for: ClientFor, taught: None) -> None:
    client = client_for("curator")
    client.get("/mapping/groups/")
    with CaptureQueriesContext(connection) as queries_for_many:
        client.get("/mapping/groups/")
    MappingEntry.objects.exclude(scene_class__key="t/toyshop").update(status="confirmed")
    with CaptureQueriesContext(connection) as queries_for_few:
        client.get("/mapping/groups/")
    assert len(queries_for_few) == len(queries_for_many) <= 16


@pytest.mark.parametrize(("role", "status"), [("stranger", 302), ("viewer", 403), ("admin", 403)])
def test_only_curators_have_access(client_for: ClientFor, role: str, status: int) -> None:
    assert client_for(role).get("/mapping/groups/").status_code == status


def test_nothing_is_ticked_before_enough_classes_are_confirmed(
    client_for: ClientFor, taught: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(groups, "SURE", 0)
    client = client_for("curator")
    page = client.get("/mapping/groups/")
    assert page.context["is_ticked"]  # three of seven classes are confirmed: more than a quarter
    assert b"checked" in page.content
    MappingEntry.objects.filter(scene_class__key__in=["a/alley", "a/abbey"]).update(status="imported")
    page = client.get("/mapping/groups/")
    assert not page.context["is_ticked"]
    assert b"checked" not in page.content
    assert groups.enough(397) == groups.enough(22_000) == 100
