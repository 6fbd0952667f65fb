"""What is true of every page: it has the security policy, works without scripts and explains errors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from django.urls import URLResolver, get_resolver

pytestmark = pytest.mark.django_db
ClientFor = Callable[..., Client]


OPEN = {"/login/", "/health/", "/favicon.ico", "/validation/vote/language/", "/api/schema/", "/api/"}
NO_PAGE = {"/health/", "/favicon.ico", "/api/schema/"}
ONLY_POST = {
    "/logout/",
    "/mapping/decide/",
    "/mapping/undo/",
    "/mapping/queue/undo/",
    "/mapping/hashtags/import/",
    "/mapping/import/",
    "/mapping/opinions/start/",
    "/trainer/models/roll-back/",
    "/validation/vote/language/",
    "/validation/corrections/train/",
}
OTHER_ANSWERS = dict.fromkeys(ONLY_POST, 405) | {
    "/login/": 302,  # redirects signed-in people to the start
    "/mapping/settle/agreed/": 404,  # of two opinions, and there are none
}


def addresses(patterns: list[Any], start: str = "/") -> Iterator[str]:
    """Every address that needs no number or token."""
    for entry in patterns:
        route = start + str(entry.pattern)
        if "<" in route:
            continue
        if isinstance(entry, URLResolver):
            yield from addresses(entry.url_patterns, route)
        else:
            yield route


PAGES = [path for path in addresses(get_resolver().url_patterns) if not path.startswith("/api/v1/")]


@pytest.fixture
def everybody(user_for: Callable[..., User], client_for: ClientFor) -> Client:
    """Signed in as somebody who has all the roles."""
    user_for("admin").groups.set(Group.objects.all())
    return client_for("admin")


def test_every_page_answers_with_the_policy_and_without_scripts_of_its_own(everybody: Client) -> None:
    for path in PAGES:
        response = everybody.get(path)
        assert response.status_code == OTHER_ANSWERS.get(path, 200), path
        if response.status_code == 200 and path not in NO_PAGE:
            policy = response["Content-Security-Policy"]
            assert "default-src 'self'" in policy, path
            assert "unsafe-eval" not in policy, path
            assert b"<script>" not in response.content, path
            assert b"onclick" not in response.content, path


def test_every_page_is_closed_unless_it_says_otherwise(client: Client) -> None:
    for path in PAGES:
        response = client.get(path)
        if path in OPEN:
            assert response.status_code == (405 if path in ONLY_POST else 200), path
        else:
            assert (response.status_code, response["Location"]) == (302, f"/login/?next={path}"), path


@pytest.mark.parametrize("role", ["viewer", "stranger"])
def test_unknown_address_is_explained_and_links_to_the_start(client_for: ClientFor, role: str) -> None:
    response = client_for(role).get("/no/such/page/")
    assert response.status_code == 404
    assert "Page not found" in response.content.decode()
    assert 'href="/"' in response.content.decode()


def test_health_answers_without_signing_in(client: Client) -> None:
    assert client.get("/health/").status_code == 200


def test_failed_sign_in_does_not_say_which_field_was_wrong(client: Client) -> None:
    response = client.post("/login/", {"username": "nobody", "password": "x"})
    assert b"The user name or the password is wrong" in response.content


def test_schema_is_open_and_names_the_suggest_endpoint(client: Client) -> None:
    assert b"/api/v1/suggest" in client.get("/api/schema/").content
    assert client.get("/api/").status_code == 200
