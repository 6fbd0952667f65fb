"""Rename a run, and write notes and tags on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from people.models import Deed
from trainer.models import RunTag, TrainingRun

pytestmark = pytest.mark.django_db
ClientFor = Callable[..., Client]
FIELDS = {"name": " Autumn ", "new_tags": "#October, masks october", "notes": "One <b>line</b>\r\n\r\nTwo"}


@pytest.fixture
def url(run: TrainingRun) -> str:
    return f"{run.get_absolute_url()}notes/"


def seen_by(client: Client, url: str) -> str:
    return str(client.get(url).context["seen"])


def test_an_admin_writes_once_and_everybody_reads_it(
    client_for: ClientFor, run: TrainingRun, url: str
) -> None:
    client = client_for("admin")
    fields = FIELDS | {"seen": seen_by(client, url)}
    pages = [client.post(url, fields, follow=True).content.decode() for _ in range(2)]  # a repeated click
    assert "Saved." in pages[0]
    assert "Nothing has changed." in pages[1]
    run.refresh_from_db()
    assert (run.name, run.job.title) == ("Autumn", "Train “Autumn”")
    assert [deed.about for deed in Deed.objects.all()] == ["“Tiny, frozen”, now “Autumn”"]
    viewer = client_for("viewer")
    page = viewer.get(run.get_absolute_url()).content.decode()
    assert "<p>One &lt;b&gt;line&lt;/b&gt;</p>" in page
    assert url not in page
    for tag in ("masks", "october"):
        assert f'href="/trainer/runs/?tag={tag}">{tag}</a>' in page
    for query, count in ({"tag": "masks"}, 1), ({"tag": "mask"}, 0), ({"q": "#OCTO"}, 1), ({"q": "x"}, 0):
        assert len(viewer.get("/trainer/runs/", query).context["page"]) == count
    [group] = viewer.get("/search/", {"q": "o octob"}).context["groups"]  # by two of its words, once
    assert [(found.words, found.more[10:]) for found in group.found] == [("Autumn", ", masks, october")]
    [row] = viewer.get("/api/v1/runs").json()["results"]
    assert (row["tags"], row["notes"]) == (["masks", "october"], "One <b>line</b>\n\nTwo")


def test_tags_in_use_are_offered_and_can_be_taken_off(
    client_for: ClientFor, run: TrainingRun, url: str, finished_job: Callable[..., Any]
) -> None:
    other = TrainingRun.objects.create(
        name="Other",
        photo_set=run.photo_set,
        release=run.release,
        preset="x",
        recipe={},
        job=finished_job("x"),
    )
    RunTag.objects.create(run=other, name="masks")
    RunTag.objects.create(run=run, name="old")
    client = client_for("admin")
    form = client.get(url).context["form"]
    assert [(value, value in form["tags"].value()) for value, _ in form.fields["tags"].choices] == [
        ("old", True),
        ("masks", False),
    ]
    client.post(url, {"name": run.name, "tags": ["masks"], "seen": seen_by(client, url)})
    assert list(run.tags.values_list("name", flat=True)) == ["masks"]


def test_a_stale_page_saves_nothing_and_keeps_what_was_typed(
    client_for: ClientFor, run: TrainingRun, url: str
) -> None:
    client = client_for("admin")
    seen = seen_by(client, url)
    client_for("admin", "colleague").post(url, {"name": "Theirs", "notes": "Their notes", "seen": seen})
    answer = client.post(url, {"name": "", "notes": "My notes", "seen": seen})
    assert answer.status_code == 422  # and still stale
    answer = client.post(url, {"name": "Mine", "notes": "My notes", "seen": answer.context["seen"]})
    page = answer.content.decode()
    assert answer.status_code == 409
    assert all(words in page for words in ("“Theirs”", "Their notes", "My notes", 'value="Mine"'))
    run.refresh_from_db()
    assert (run.name, run.notes) == ("Theirs", "Their notes")
    client.post(url, {"name": "Mine", "notes": "My notes", "seen": answer.context["seen"]})
    run.refresh_from_db()
    assert run.name == "Mine"


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"name": "x" * 101}, "at most 100 characters"),
        ({"new_tags": "y" * 31}, "is too long: a tag has at most 30 characters"),
        ({"new_tags": " ".join(map(str, range(11)))}, "These are 11 tags; a run has at most 10"),
        ({"notes": "z" * 5001}, "at most 5000 characters"),
    ],
)
def test_wrong_fields_are_named(
    client_for: ClientFor, run: TrainingRun, url: str, wrong: dict[str, str], words: str
) -> None:
    client = client_for("admin")
    answer = client.post(url, FIELDS | {"seen": seen_by(client, url)} | wrong)
    assert answer.status_code == 422
    assert words in answer.content.decode()
    run.refresh_from_db()
    assert (run.name, run.tags.count()) == ("Tiny, frozen", 0)


@pytest.mark.parametrize("role", ["viewer", "curator", "validator", "network", "nobody", "stranger"])
def test_others_may_not(client_for: ClientFor, run: TrainingRun, url: str, role: str) -> None:
    assert client_for(role).post(url, FIELDS).status_code == (302 if role == "stranger" else 403)
    assert not RunTag.objects.exists()
