"""Log lines: as JSON with the id of their request, and one for a refusal, without a traceback."""

from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from hashtags_site.front.channel import REFUSED_BODY
from hashtags_site.logs import Line, Object
from jobs import request_id
from tests.conftest import api_key


def record(**more: object) -> logging.LogRecord:
    facts = {
        "name": "site",
        "levelno": logging.WARNING,
        "levelname": "WARNING",
        "msg": "%s “x”",
        "args": ("An",),
    }
    return logging.makeLogRecord(facts | more)


def test_line_is_an_object_with_the_request() -> None:
    with request_id.carried("abc123"):
        line = json.loads(Object().format(record(facts={"status": 200})))
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "WARNING",
        "logger": "site",
        "message": "An “x”",
        "request_id": "abc123",
        "status": 200,
    }


def test_error_stays_on_one_line() -> None:
    try:
        raise ValueError("first\nsecond")
    except ValueError:
        text = Object().format(record(exc_info=sys.exc_info()))
    assert "\n" not in text
    assert "ValueError: first\nsecond" in json.loads(text)["traceback"]
    refusal = Object().format(record(exc_info=(ValueError, ValueError("x"), None), status_code=403))
    assert "traceback" not in json.loads(refusal)


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """What the site writes to its log from now on."""
    [handler] = [one for one in logging.getLogger().handlers if isinstance(one.formatter, Line)]
    assert isinstance(handler, logging.StreamHandler)
    text = io.StringIO()
    before = handler.setStream(text)
    yield text
    handler.setStream(before)


TOO_LARGE: Any = {REFUSED_BODY: 2**20}
# Each kind of refusal that Django, Django REST framework and the site's own middleware know.
REFUSALS: dict[str, tuple[int, Callable[[Client, str], Any]]] = {
    "no such address": (404, lambda client, key: client.get("/no/such/address/")),
    "no such object": (404, lambda client, key: client.get("/trainer/runs/99/")),
    "not for this role": (403, lambda client, key: client.get(reverse("people:people"))),
    "unreadable": (400, lambda client, key: client.get("/", {"q": "\0"})),
    "unknown host": (400, lambda client, key: client.get("/", HTTP_HOST="evil.example")),
    "too many fields": (
        400,
        lambda client, key: client.post("/login/", dict.fromkeys(map(str, range(1_200)), "x")),
    ),
    "another site's form": (403, lambda client, key: Client(enforce_csrf_checks=True).post("/login/")),
    "too large": (413, lambda client, key: client.post("/login/", **TOO_LARGE)),
    "guessing": (429, lambda client, key: Client().post("/login/", {"username": "ann", "password": "no"})),
    "no such token": (401, lambda client, key: _suggest(key + "x")),
    "no photo": (400, lambda client, key: _suggest(key)),
    "broken JSON": (400, lambda client, key: _feedback(key)),
    "no such address of the API": (404, lambda client, key: client.get("/api/v1/nothing")),
}


def _suggest(key: str) -> Any:
    return Client().post(reverse("api_suggest"), HTTP_AUTHORIZATION=f"Token {key}")


def _feedback(key: str) -> Any:
    headers: dict[str, Any] = {"HTTP_AUTHORIZATION": f"Token {key}"}
    return Client().post(reverse("api_feedback"), "{", content_type="application/json", **headers)


@pytest.mark.django_db
@pytest.mark.parametrize("kind", REFUSALS)
def test_refusal_is_one_line(
    kind: str,
    written: io.StringIO,
    client_for: Callable[..., Client],
    user_for: Callable[..., User],
    settings: Settings,
) -> None:
    settings.WRONG_PASSWORDS = 0
    status, send = REFUSALS[kind]
    client, key = client_for("viewer"), api_key(user_for("network"))
    assert send(client, key).status_code == status
    lines = written.getvalue().splitlines()
    assert len(lines) == 1, lines
