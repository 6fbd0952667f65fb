"""Rule 1, labels are frozen: a release is a numbered copy that can no longer be changed."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.db import Error, connection, connections, transaction
from django.db.backends.utils import CursorWrapper
from django.test import Client

from mapping.acts import Decision, change_entry
from mapping.models import MappingEntry, Release, ReleaseLabel
from mapping.releases import (
    Move,
    NothingToPublish,
    compare,
    fingerprint,
    publish_release,
    release_state,
    unpublished_moves,
)
from tests.conftest import wait_for

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("catalogue"), pytest.mark.postgres]
ClientFor = Callable[..., Client]


@pytest.fixture
def toyshop(user_for: Callable[..., User]) -> MappingEntry:
    """The class toyshop, moved from #shopping to #art."""
    entry = MappingEntry.objects.get(scene_class__key="t/toyshop")
    return change_entry(
        entry_id=entry.pk, version=entry.version, by=user_for("curator"), decision=Decision(hashtag="art")
    )


def form(note: str) -> dict[str, str]:
    """The form of a page that shows the present list of changes."""
    return {"note": note, "seen": fingerprint(unpublished_moves())}


def test_catalogue_is_release_1_with_all_397() -> None:
    labels = {key: row.label for key, row in release_state(Release.objects.get()).items()}
    assert len(labels) == 397
    assert labels["a/abbey"] == "church"
    assert sum(label == "other" for label in labels.values()) == 194


def test_editing_the_mapping_never_changes_a_release(toyshop: MappingEntry) -> None:
    assert release_state(Release.objects.get(number=1))["t/toyshop"].label == "shopping"


def test_publish_freezes_release_2_with_its_note(toyshop: MappingEntry, client_for: ClientFor) -> None:
    client = client_for("curator")
    assert b"1 class will change" in client.get("/mapping/releases/publish/").content
    response = client.post("/mapping/releases/publish/", form("Toys are art"), follow=True)
    assert b"Release 2" in response.content
    release = Release.objects.get(number=2)
    assert (release.note, release.published_by.username) == ("Toys are art", "curator")  # type: ignore[union-attr]
    assert compare(release_state(Release.objects.get(number=1)), release_state(release)) == [
        Move("t/toyshop", "shopping", "art")
    ]


def test_repeated_click_publishes_once(toyshop: MappingEntry, client_for: ClientFor) -> None:
    client = client_for("curator")
    client.post("/mapping/releases/publish/", form("Toys are art"))
    second = client.post("/mapping/releases/publish/", form("Toys are art"), follow=True)
    assert b"nothing to publish" in second.content
    assert Release.objects.count() == 2


def test_stale_page_does_not_publish_unseen_changes(
    toyshop: MappingEntry, client_for: ClientFor, user_for: Callable[..., User]
) -> None:
    old_form = form("Toys are art")
    abbey = MappingEntry.objects.get(scene_class__key="a/abbey")
    change_entry(entry_id=abbey.pk, version=1, by=user_for("curator"), decision=Decision(hashtag="art"))
    response = client_for("curator").post("/mapping/releases/publish/", old_form)
    assert response.status_code == 409
    assert b"changed while you were reading." in response.content
    assert b"a/abbey" in response.content
    assert b'value="Toys are art"' in response.content
    assert Release.objects.count() == 1


def test_note_is_required(toyshop: MappingEntry, client_for: ClientFor) -> None:
    response = client_for("curator").post("/mapping/releases/publish/", form("  "))
    assert response.status_code == 400
    assert b"Say in a note" in response.content
    assert Release.objects.count() == 1


@pytest.mark.parametrize(("role", "status"), [("stranger", 302), ("viewer", 403), ("admin", 403)])
def test_only_curators_publish(toyshop: MappingEntry, client_for: ClientFor, role: str, status: int) -> None:
    assert client_for(role).post("/mapping/releases/publish/", form("x")).status_code == status
    assert Release.objects.count() == 1


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE mapping_releaselabel SET label = 'art'",
        "UPDATE mapping_releaselabel SET scene_key = 'x' WHERE scene_key = 'a/abbey'",
        "UPDATE mapping_release SET number = 7",
        "UPDATE mapping_release SET note = 'rewritten'",
    ],
)
def test_database_refuses_to_change_a_release(sql: str) -> None:
    with pytest.raises(Error, match="cannot be changed"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql)
    assert ReleaseLabel.objects.get(scene_key="a/abbey").label == "church"


def test_release_outlives_the_account_of_its_publisher(
    toyshop: MappingEntry, client_for: ClientFor, user_for: Callable[..., User]
) -> None:
    client_for("curator").post("/mapping/releases/publish/", form("Toys are art"))
    user_for("curator").delete()
    assert Release.objects.get(number=2).published_by is None


def test_csv_has_every_label(client_for: ClientFor) -> None:
    lines = client_for("viewer").get("/mapping/releases/1/?format=csv").content.decode().splitlines()
    assert lines[0] == "scene_key,synset,sense,hypernym,hypernym_sense,label"
    assert len(lines) == 398


def test_publisher_of_a_release_can_be_removed_but_not_replaced(
    toyshop: MappingEntry, user_for: Callable[..., User]
) -> None:
    publish_release(by=user_for("curator"), note="Toys are art")
    row = Release.objects.filter(number=2)
    for somebody in (user_for("viewer"), user_for("curator")):
        with pytest.raises(Error, match="cannot be changed"), transaction.atomic():
            row.update(published_by=somebody)
    row.update(published_by=None)
    with pytest.raises(Error, match="cannot be changed"), transaction.atomic():
        row.update(published_by=user_for("viewer"))


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite's transactions wait for each other")
@pytest.mark.django_db(transaction=True)
def test_two_simultaneous_publishers_create_one_release(toyshop: MappingEntry) -> None:
    """A third transaction locks the table, so that both have started before either can publish."""
    outcomes: list[object] = []

    def publish() -> None:
        try:
            outcomes.append(publish_release(by=None, note="Toys are art").number)
        except NothingToPublish:
            outcomes.append("nothing")
        except Error as error:
            outcomes.append(error)
        finally:
            connections.close_all()

    publishers = [threading.Thread(target=publish) for _ in range(2)]
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("LOCK TABLE mapping_release IN SHARE ROW EXCLUSIVE MODE")
        for publisher in publishers:
            publisher.start()
        wait_for(lambda: count_waiting(cursor) == 2, 10, "the publishers do not wait for the table")
    for publisher in publishers:
        publisher.join(10)
    assert sorted(map(str, outcomes)) == ["2", "nothing"]
    assert list(Release.objects.values_list("number", flat=True)) == [2, 1]


def count_waiting(cursor: CursorWrapper) -> int:
    cursor.execute(
        "SELECT count(*) FROM pg_locks WHERE relation = 'mapping_release'::regclass AND NOT granted"
    )
    row = cursor.fetchone()
    return int(row[0]) if row else 0
