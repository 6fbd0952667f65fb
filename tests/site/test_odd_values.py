"""No value of a parameter or field brings the site down.

Which ones an address reads is noted while it reads them; a page's own form gives the values of the others.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.http import QueryDict
from django.test import Client

from hashtags_site import gate
from tests.site.access import ACCESS
from tests.site.addresses import all_addresses
from tests.site.conftest import World, known_as, person_of

TOO_LARGE = "9" * 20  # for any database
ODD_IN_COLUMNS = (
    "3000000000",  # more than most columns store
    "x" * 100_000,
)
ODD = (
    *ODD_IN_COLUMNS,
    TOO_LARGE,
    "9" * 5000,  # more digits than Python reads
    "²",  # a digit that is no number
    "-1",
    "nan",
    "a " * 2000,
    "\u202eشاطئ'\"%_\\</script>#",  # from right to left, and signs of SQL and HTML
)
FEW = 12  # names; longer forms are Django's, which looks at each field by itself
Fields = dict[str, Any]


@pytest.fixture
def read_names(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The names that were looked up in queries and forms."""
    names: set[str] = set()

    def note_one(method: str) -> None:
        original = getattr(QueryDict, method)

        def look_up(fields: QueryDict, name: str, *more: Any) -> Any:
            names.add(name)
            return original(fields, name, *more)

        monkeypatch.setattr(QueryDict, method, look_up)

    def note_all(method: str) -> None:
        original = getattr(QueryDict, method)

        def look_up(fields: QueryDict) -> Any:
            names.update(fields.keys())
            return original(fields)

        monkeypatch.setattr(QueryDict, method, look_up)

    def note_nothing(owner: object, name: str) -> None:
        original = getattr(owner, name)

        def call(*arguments: Any) -> Any:
            before = set(names)
            try:
                return original(*arguments)
            finally:
                names.intersection_update(before)

        monkeypatch.setattr(owner, name, call)

    for method in ("__getitem__", "__contains__", "getlist"):
        note_one(method)
    for method in ("__iter__", "lists"):  # whatever is sent is looked at, or passed on
        note_all(method)
    # What Django does to store a field. And what the gate does to every request: tests/site/test_gate.py.
    note_nothing(QueryDict, "setlistdefault")
    note_nothing(gate, "_check_fields")
    return names


class Forms(HTMLParser):
    """The forms of a page: where each is sent, and with which fields."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: dict[str, Fields] = {}
        self.fields: Fields = {}
        self.page = page

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        if tag == "form":
            action = (attributes.get("action") or self.page).partition("?")[0]
            self.fields = self.found.setdefault(action, {})
        elif name := attributes.get("name"):
            self.fields.setdefault(name, attributes.get("value") or "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self.fields = {}


def ask(client: Client, person: User, method: str, path: str, fields: Fields) -> tuple[int, str]:
    """What it changes is taken back."""
    with known_as(person), transaction.atomic():
        response = client.get(path, fields) if method == "GET" else client.post(path, fields)
        page = "" if response.streaming else response.content.decode(errors="replace")
        transaction.set_rollback(True)
    return response.status_code, page


def odd_fields(method: str, base: Fields, names: set[str]) -> Iterator[Fields]:
    """All fields odd at once, and one after the other. On PostgreSQL, which is slower here, only what its
    columns refuse and SQLite's take: numbers, and texts where they are stored.
    """
    together, apart = list(ODD), [TOO_LARGE]
    if connection.vendor == "postgresql":
        number, text = ODD_IN_COLUMNS
        together, apart = [number], [number] if method == "GET" else [number, text]
    for odd in together if names else ():
        yield dict.fromkeys(names, odd)
    for name in names if len(names) <= FEW else ():
        for odd in apart:
            if len(names) > 1 or odd not in together:
                yield base | {name: odd}


@pytest.mark.postgres
@pytest.mark.usefixtures("asked_often")
def test_nothing_in_a_query_or_a_form_is_an_error(
    world: World, everybody: Client, read_names: set[str], caplog: pytest.LogCaptureFixture
) -> None:
    faults: list[str] = []
    forms: dict[str, Fields] = {}
    person = person_of(everybody)
    everybody.raise_request_exception = False  # an error is an answer
    caplog.set_level(logging.CRITICAL, "django")  # a line for each refusal takes as long as the refusal
    addresses = [address for address in all_addresses() if address.name != "logout"]
    paths = {address: world.path(address) for address in addresses}
    for method in ("GET", "POST"):
        for address, path in paths.items():
            if method not in ACCESS[address.name]:
                continue
            base = forms.get(path, {}) if method == "POST" else {}
            read_names.clear()
            _, page = ask(everybody, person, method, path, base | {"x": "x"})
            names = (read_names | base.keys()) - {"csrfmiddlewaretoken"}
            if method == "GET":
                parser = Forms(path)
                parser.feed(page)
                forms |= parser.found
            for fields in odd_fields(method, base, names):
                code, _ = ask(everybody, person, method, path, fields)
                if code >= 500:
                    faults.append(f"{code} {method} {path} {str(fields)[:300]}")
    assert not faults, "\n".join(faults)
