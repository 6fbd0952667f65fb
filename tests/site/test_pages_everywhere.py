"""What is true of every page: it has the security policy, works without scripts and explains errors."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from tests.site.access import ACCESS
from tests.site.addresses import all_addresses

pytestmark = pytest.mark.django_db
ClientFor = Callable[..., Client]


NO_PAGE = {"/health/", "/favicon.ico", "/api/schema/", "/people/history.csv", "/in-use/posts/export.csv"}
OTHER_ANSWERS = {
    "/": 302,  # nothing is loaded yet, so an administrator sets the site up
    "/login/": 302,  # redirects signed-in people to the start
    "/mapping/settle/agreed/": 404,  # of two opinions, and there are none
    "/login/second/": 302,  # no password was given before
    "/login/passkey/": 302,
    "/login/again/code/": 302,  # this person has a password only
    "/login/again/passkey/": 302,
    "/people/me/sign-in/app/": 302,  # they show once more who they are
    "/people/me/sign-in/app/remove/": 404,  # there is none
    "/people/me/sign-in/passkeys/add/": 302,
    "/people/me/sign-in/codes/": 404,
    "/people/me/sign-in/codes/new/": 302,
}
PAGES = [
    address.path({})
    for address in all_addresses()
    if "GET" in ACCESS[address.name] and not address.has_arguments and not address.is_api
]


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


@pytest.mark.parametrize(
    "path",
    [
        "/mapping/releases/publish/",
        "/trainer/photo-sets/new/",
        "/trainer/suggest/",
        "/trainer/sweeps/new/",
        "/validation/campaigns/new/",
        "/validation/intakes/new/",
    ],
)
def test_an_empty_form_is_refused_and_says_what_is_missing(everybody: Client, path: str) -> None:
    response = everybody.post(path)
    assert response.status_code in (400, 422)
    assert response.context["form"].errors


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
