"""Wherever somebody types a hashtag: spellings that look equal are one, and a blocked one is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from mapping.hashtags import block
from mapping.models import Hashtag, MappingEntry
from tests.mapping.api.test_entries import API, decide, send

pytestmark = pytest.mark.django_db
TYPED = "＃Cafe\u0301\u200b"
KEYS = ("a/abbey", "b/beach", "t/toyshop", "a/alley")


@pytest.fixture(autouse=True)
def cafe(few: None) -> Hashtag:
    return Hashtag.objects.create(name="café", posts=10**8, source="made up", counted_on="2026")


def test_every_door_finds_it(client_for: Callable[..., Client]) -> None:
    client = client_for("curator")
    abbey, beach, toyshop, alley = (MappingEntry.objects.get(scene_class__key=key) for key in KEYS)
    form: dict[str, Any] = {"version": abbey.version, "another": TYPED}
    client.post(f"/mapping/{abbey.pk}/", form)
    client.post(
        "/mapping/decide/", {"pick": f"{beach.pk}:{beach.version}", "hashtag": TYPED, "action": "table"}
    )
    client.post(f"/mapping/settle/{toyshop.pk}/", {"version": toyshop.version, "find": TYPED})
    assert decide(client, alley.scene_class.key, hashtag=TYPED)[0] == 200
    labels = {row.scene_class.key: row.label for row in MappingEntry.objects.all()}
    assert [labels[key] for key in KEYS] == ["café"] * 4
    page = client.get("/mapping/", {"hashtag": TYPED, "q": "Cafe\u0301"})
    assert b"a/abbey" in page.content
    assert [row["name"] for row in client.get(f"{API}hashtags", {"q": TYPED}).json()["results"]] == ["café"]
    text = f"key,hashtag\na/abbey,{TYPED}\n"
    assert send(client, "post", "import", {"text": text})[1]["counts"]["same"] == 1


def test_no_door_gives_a_blocked_hashtag_and_a_class_that_has_it_keeps_it(
    cafe: Hashtag, client_for: Callable[..., Client], user_for: Callable[..., User]
) -> None:
    client = client_for("curator")
    entries = [MappingEntry.objects.get(scene_class__key=key) for key in KEYS]
    abbey, beach, toyshop, alley = entries
    assert decide(client, abbey.scene_class.key, hashtag="café")[0] == 200
    labels = [row.label for row in MappingEntry.objects.all()]
    block(hashtag_id=cafe.pk, why="too vague", by=user_for("curator"))
    words = "#café is blocked: too vague."
    page = client.post(f"/mapping/{beach.pk}/", {"version": beach.version, "another": "café"})
    assert (page.status_code, words in page.content.decode()) == (400, True)
    queue = client.post(f"/mapping/queue/{beach.pk}/decide/", {"version": beach.version, "hashtag": "café"})
    assert (queue.status_code, words in queue.content.decode()) == (400, True)
    picks = {"pick": f"{beach.pk}:{beach.version}", "hashtag": "café", "action": "table"}
    assert words in client.post("/mapping/decide/", picks, follow=True).content.decode()
    form = {"version": toyshop.version, "find": "café"}
    assert words in client.post(f"/mapping/settle/{toyshop.pk}/", form).content.decode()
    assert decide(client, alley.scene_class.key, hashtag="café") == (400, {"hashtag": [words]})
    assert [row.label for row in MappingEntry.objects.all()] == labels
    kept = {"version": abbey.version + 1, "hashtag": "café", "note": "looked at again"}
    assert "#café. Saved." in client.post(f"/mapping/{abbey.pk}/", kept, follow=True).content.decode()
    abbey.refresh_from_db()
    assert (abbey.label, abbey.note) == ("café", "looked at again")
    assert "café" not in client.get(f"/mapping/{beach.pk}/").content.decode()
