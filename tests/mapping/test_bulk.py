"""One form changes many classes: all or none, undone together, never overwriting another person's change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client

from mapping.acts import Decision, change_entry
from mapping.models import Change, MappingEntry, Opinion

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("few")]
ClientFor = Callable[..., Client]
KEYS = ["a/abbey", "a/alley", "b/beach"]


def entries() -> list[MappingEntry]:
    return list(MappingEntry.objects.filter(scene_class__key__in=KEYS))


def labels() -> list[str | None]:
    return [entry.label for entry in entries()]


def form(hashtag: str, /, **changes: Any) -> dict[str, Any]:
    picks = [f"{entry.pk}:{entry.version}" for entry in entries()]
    return {"pick": picks, "hashtag": hashtag, "action": "table", "next": "/mapping/?q=a"} | changes


def test_ticked_classes_get_the_hashtag_as_one_act(client_for: ClientFor) -> None:
    client = client_for("curator")
    response = client.post("/mapping/decide/", form("#art"), follow=True)
    assert response.redirect_chain == [("/mapping/?q=a", 302)]
    assert b"3 classes: #art. Saved." in response.content
    assert labels() == ["art"] * 3
    response = client.post("/mapping/undo/", {"change": Change.objects.get().pk}, follow=True)
    assert b"Undone: 3 classes restored." in response.content
    assert labels() == ["church", "street", "beach"]


@pytest.mark.parametrize(
    "address", ["77", "home", "//elsewhere.example/", "https://elsewhere.example/", "x" * 9999]
)
def test_next_is_an_address_of_this_site(client_for: ClientFor, address: str) -> None:
    assert (
        client_for("curator").post("/mapping/decide/", form("art", next=address))["Location"] == "/mapping/"
    )


@pytest.mark.parametrize("change", ["", "x", "²", "9" * 20, "9" * 5000])
def test_act_that_is_no_number_does_not_exist(client_for: ClientFor, change: str) -> None:
    for address in ("/mapping/undo/", "/mapping/queue/undo/"):
        assert client_for("curator").post(address, {"change": change}).status_code == 404


@pytest.mark.parametrize("pick", ["x", "1", "1:", "1:x", "1:1:1", "²:1", f"{'9' * 20}:1", f"1:{'9' * 20}"])
def test_pick_that_names_no_entry_and_version_is_refused(client_for: ClientFor, pick: str) -> None:
    response = client_for("curator").post("/mapping/decide/", form("art", pick=pick))
    assert (response.status_code, response.content) == (400, b"A pick has the form entry:version.")


@pytest.mark.parametrize("action", ["table", "group", "cluster"])
def test_history_says_how_it_was_decided(client_for: ClientFor, action: str) -> None:
    client_for("curator").post("/mapping/decide/", form("art", action=action))
    assert Change.objects.get().action == action
    assert entries()[0].history.first().history_change_reason == Change.Action(action).label


def test_keep_confirms_each_present_answer(client_for: ClientFor) -> None:
    client_for("curator").post("/mapping/decide/", form("keep"))
    assert [(entry.label, entry.status) for entry in entries()] == [
        ("church", "confirmed"),
        ("street", "confirmed"),
        ("beach", "confirmed"),
    ]


def test_repeated_click_creates_one_act(client_for: ClientFor) -> None:
    client, data = client_for("curator"), form("art")
    client.post("/mapping/decide/", data)
    assert b"already have this answer" in client.post("/mapping/decide/", data, follow=True).content
    assert Change.objects.count() == 1


def test_stale_page_saves_nothing_and_names_the_changed_class(
    client_for: ClientFor, user_for: Callable[..., User]
) -> None:
    data = form("art")
    change_entry(
        entry_id=entries()[1].pk, version=1, by=user_for("curator", "ann"), decision=Decision("sport")
    )
    response = client_for("curator", "bob").post("/mapping/decide/", data)
    assert response.status_code == 409
    assert b"1 of the 3 classes you ticked has changed" in response.content
    assert b"ann" in response.content
    assert labels() == ["church", "sport", "beach"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"hashtag": "nonsense"}, "“nonsense” is not a known hashtag"),
        ({"hashtag": ""}, "Choose a hashtag"),
        ({"pick": []}, "No class is ticked"),
        ({"pick": ["999999:1"]}, "no longer exist"),
    ],
)
def test_bad_input_is_explained_and_nothing_saved(
    client_for: ClientFor, changes: dict[str, Any], words: str
) -> None:
    response = client_for("curator").post("/mapping/decide/", form("art", **changes), follow=True)
    assert words in response.content.decode()
    assert labels() == ["church", "street", "beach"]


def test_undecided_class_cannot_be_confirmed_without_an_answer(client_for: ClientFor) -> None:
    MappingEntry.objects.filter(scene_class__key="a/abbey").update(status="undecided", hashtag=None)
    response = client_for("curator").post("/mapping/decide/", form("keep"), follow=True)
    assert b"a/abbey has no answer yet" in response.content
    assert not Change.objects.exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"pick": ["x"]},
        {"pick": ["1"]},
        {"action": "import"},
        {"pick": ["1:1"] * (settings.MAX_BULK_CLASSES + 1)},
    ],
)
def test_forged_form_is_refused(client_for: ClientFor, changes: dict[str, Any]) -> None:
    assert client_for("curator").post("/mapping/decide/", form("art", **changes)).status_code == 400
    assert not Change.objects.exists()


def test_next_never_redirects_to_another_site(client_for: ClientFor) -> None:
    response = client_for("curator").post("/mapping/decide/", form("art", next="https://example.org/"))
    assert response["Location"] == "/mapping/"


def test_opinion_of_another_cannot_be_changed(client_for: ClientFor, user_for: Callable[..., User]) -> None:
    opinion = Opinion.objects.create(name="ann's", owner=user_for("curator", "ann"))
    response = client_for("curator", "bob").post("/mapping/decide/", form("art", opinion=opinion.pk))
    assert response.status_code in (403, 404)


@pytest.mark.parametrize(("role", "status"), [("stranger", 302), ("viewer", 403), ("admin", 403)])
def test_only_curators_have_access(client_for: ClientFor, role: str, status: int) -> None:
    assert client_for(role).post("/mapping/decide/", form("art")).status_code == status
    assert client_for(role).post("/mapping/undo/", {"change": 1}).status_code == status
    assert not Change.objects.exists()


def test_nobody_can_undo_the_act_of_another(client_for: ClientFor) -> None:
    client_for("curator", "ann").post("/mapping/decide/", form("art"))
    change = Change.objects.get()
    assert client_for("curator", "bob").post("/mapping/undo/", {"change": change.pk}).status_code == 403
    assert labels() == ["art"] * 3


def test_earlier_answer_can_be_restored_from_the_history(client_for: ClientFor) -> None:
    client = client_for("curator")
    client.post("/mapping/decide/", form("art"))
    abbey = entries()[0]
    assert b"Restore" in client.get(f"/mapping/{abbey.pk}/").content
    first_line = abbey.history.last()
    client.post(f"/mapping/{abbey.pk}/", {"version": 2, "hashtag": "church", "sense": first_line.sense})
    assert entries()[0].label == "church"
