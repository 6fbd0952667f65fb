"""A hashtag is found in every spelling that looks equal, wherever somebody types it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from mapping.models import Hashtag, MappingEntry
from tests.mapping.api.test_entries import API, decide, send

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("few")]
TYPED = "＃Cafe\u0301\u200b"
KEYS = ("a/abbey", "b/beach", "t/toyshop", "a/alley")


@pytest.fixture(autouse=True)
def cafe() -> Hashtag:
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
