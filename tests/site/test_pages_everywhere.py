"""What holds on every page: closed by policy, readable without script, errors in plain words."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

pytestmark = pytest.mark.django_db
ClientFor = Callable[..., Client]


def test_policy_allows_only_our_own_scripts(client_for: ClientFor) -> None:
    response = client_for("viewer").get("/")
    policy = response["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "unsafe-eval" not in policy
    assert b"<script>" not in response.content
    assert b"onclick" not in response.content


def test_unknown_address_says_so(client_for: ClientFor) -> None:
    response = client_for("viewer").get("/no/such/page/")
    assert response.status_code in (302, 404)


def test_health_answers_without_signing_in(client: Client) -> None:
    assert client.get("/health/").json() == {"status": "ok"}


def test_wrong_password_is_told_without_saying_which_was_wrong(client: Client) -> None:
    response = client.post("/login/", {"username": "nobody", "password": "x"})
    assert b"The user name or the password is wrong" in response.content


def test_schema_is_open_and_names_the_suggest_endpoint(client: Client) -> None:
    assert b"/api/v1/suggest" in client.get("/api/schema/").content
    assert client.get("/api/").status_code == 200
