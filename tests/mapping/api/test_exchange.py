"""Files by API: an export can be imported again, and nothing is written without a plan."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from mapping.api import exchange
from mapping.models import Change
from tests.mapping.api.test_entries import API, decide, entry, send

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("few")]
TOYS = "key,hashtag\nt/toyshop,art\nz/zoo,\n"


@pytest.fixture
def curator(client_for: Callable[..., Client]) -> Client:
    return client_for("curator")


@pytest.mark.parametrize("kind", ["csv", "json", "sssom"])
def test_importing_an_export_by_api_changes_nothing(curator: Client, kind: str) -> None:
    response = curator.get(f"{API}export?file_format={kind}")
    assert "attachment" in response["Content-Disposition"]
    code, plan = send(curator, "post", "import", {"text": response.content.decode()})
    assert (code, plan["file_format"], plan["problems"]) == (200, kind, [])
    assert plan["counts"] == {"new": 0, "changed": 0, "same": 7, "kept": 0}


def test_release_can_be_exported_unchanged(curator: Client) -> None:
    decide(curator, "t/toyshop", hashtag="art")
    rows = json.loads(curator.get(f"{API}export?file_format=json&release=1").content)["classes"]
    assert {row["key"]: row["hashtag"] for row in rows}["t/toyshop"] == "shopping"
    assert curator.get(f"{API}export?release=2").status_code == 404
    assert curator.get(f"{API}export?file_format=pdf").status_code == 400


def test_plan_writes_nothing_and_import_runs_once(curator: Client) -> None:
    code, plan = send(curator, "post", "import", {"text": TOYS})
    assert (code, plan["imported"]) == (200, False)
    assert [(row["key"], row["kind"], row["before"], row["after"]) for row in plan["items"]] == [
        ("t/toyshop", "changed", "shopping", "art"),
        ("z/zoo", "new", None, None),
    ]
    assert entry("t/toyshop").label == "shopping"
    body = {"text": TOYS, "dry_run": False, "seen": plan["fingerprint"]}
    code, answer = send(curator, "post", "import", body)
    assert (code, answer["imported"], answer["change"]) == (200, True, Change.objects.get().pk)
    assert (entry("t/toyshop").label, entry("z/zoo").status) == ("art", "undecided")
    assert send(curator, "post", "import", body)[1]["change"] is None


def test_outdated_plan_is_refused(curator: Client) -> None:
    fingerprint = send(curator, "post", "import", {"text": TOYS})[1]["fingerprint"]
    decide(curator, "t/toyshop", hashtag="sport")
    code, answer = send(curator, "post", "import", {"text": TOYS, "dry_run": False, "seen": fingerprint})
    assert (code, entry("t/toyshop").label) == (409, "sport")
    assert answer["fingerprint"] == send(curator, "post", "import", {"text": TOYS})[1]["fingerprint"]


def test_bad_row_is_named_and_stops_the_import(curator: Client) -> None:
    text = TOYS + "y/yard,nonsense\n"
    plan = send(curator, "post", "import", {"text": text})[1]
    assert [(row["line"], row["field"]) for row in plan["problems"]] == [(4, "hashtag")]
    body = {"text": text, "dry_run": False, "seen": plan["fingerprint"]}
    code, answer = send(curator, "post", "import", body)
    assert (code, "line 4" in answer["text"][0]) == (400, True)
    assert entry("t/toyshop").label == "shopping"


def test_import_without_a_plan_is_refused(curator: Client) -> None:
    wrong: list[tuple[str, dict[str, Any]]] = [
        ("seen", {"text": TOYS, "dry_run": False}),
        ("dry_run", {"text": TOYS, "dry_run": "no"}),
        ("text", {"text": ""}),
        ("file_format", {"text": TOYS, "file_format": "pdf"}),
    ]
    for field, body in wrong:
        code, answer = send(curator, "post", "import", body)
        assert (code, list(answer)) == (400, [field])


def test_too_large_file_is_refused(curator: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "MAX_BYTES", 10)
    assert send(curator, "post", "import", {"text": TOYS})[0] == 413
    assert send(curator, "post", "import", {"text": "a" * 11})[0] == 413
