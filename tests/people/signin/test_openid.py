"""Signing in at another provider: who is let in, and as whom."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from allauth.socialaccount.models import SocialAccount
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import Settings

from people.models import Deed
from people.signin import addresses
from tests.people.signin.conftest import OTHER_KEY, FakeProvider

pytestmark = pytest.mark.django_db
WithAddress = Callable[..., User]


def is_in(client: Client) -> bool:
    return client.get("/people/me/").status_code == 200


def test_button_is_there_only_if_a_provider_is_configured(
    client: Client, request: pytest.FixtureRequest
) -> None:
    assert "Sign in with Example" not in client.get("/login/").content.decode()
    request.getfixturevalue("provider")
    assert "Sign in with Example ID" in client.get("/login/").content.decode()


def test_confirmed_address_signs_in_and_links_once(
    provider: FakeProvider, with_address: WithAddress, client: Client
) -> None:
    ann = with_address("curator", "ann")
    answer = provider.sign_in(client, next="/people/me/")
    assert (answer.status_code, answer["Location"]) == (302, "/people/me/")
    assert client.session["_auth_user_id"] == str(ann.pk)
    assert "code_verifier" in provider.asked
    provider.person |= {"email": "ann@elsewhere.example", "email_verified": False}  # from now on by its id
    again = Client()
    provider.sign_in(again)
    assert is_in(again)
    assert SocialAccount.objects.count() == 1
    assert list(Deed.objects.filter(what="link sign-in").values_list("by", flat=True)) == [ann.pk]
    # The address goes to somebody else there: they are not let into this account.
    provider.person |= {"sub": "somebody-else", "email": "ann@example.org", "email_verified": True}
    other = Client()
    assert "Ask an administrator" in provider.sign_in(other).content.decode()
    assert not is_in(other)
    # An administrator enters another address: who signed in by the earlier one no longer does.
    addresses.set_address(person=ann, address="", by=User.objects.create_superuser("root"))
    assert SocialAccount.objects.count() == 0


@pytest.mark.parametrize(
    ("person", "words"),
    [
        ({"email_verified": False}, "does not say that it has confirmed"),
        ({"email": "eve@example.org"}, "Nobody here has the address eve@example.org"),
        ({"email": "unsure@example.org"}, "Nobody here has the address"),  # not confirmed here
    ],
)
def test_refusal_says_what_to_do(
    provider: FakeProvider, with_address: WithAddress, client: Client, person: dict[str, object], words: str
) -> None:
    with_address("curator", "ann")
    with_address("viewer", "bob", "unsure@example.org", verified=False)
    provider.person |= person
    answer = provider.sign_in(client)
    assert answer.status_code == 403
    assert words in answer.content.decode()
    assert not is_in(client)
    assert User.objects.count() == 2
    assert not SocialAccount.objects.exists()


def test_deactivated_person_stays_out(
    provider: FakeProvider, with_address: WithAddress, client: Client
) -> None:
    ann = with_address("curator", "ann")
    provider.sign_in(Client())
    User.objects.filter(pk=ann.pk).update(is_active=False)
    assert "deactivated" in provider.sign_in(client).content.decode()
    assert not is_in(client)


@pytest.mark.parametrize("fault", ["issuer", "audience", "key", "over", "person", "configuration"])
def test_token_that_is_wrong_signs_nobody_in(
    provider: FakeProvider, with_address: WithAddress, client: Client, settings: Settings, fault: str
) -> None:
    with_address("curator", "ann")
    faults: dict[str, dict[str, object]] = {
        "issuer": {"iss": "https://evil.example"},
        "audience": {"aud": "other"},
        "over": {"exp": 1},
    }
    faults["person"] = {"sub": "8"}
    provider.token = faults.get(fault, {})
    if fault == "key":
        provider.key = OTHER_KEY
    if fault == "configuration":
        settings.OIDC_ISSUER = "https://id.example.org"
    answer = provider.sign_in(client)
    assert "did not sign you in" in answer.content.decode()
    assert not is_in(client)


def test_state_of_another_browser_is_refused(
    provider: FakeProvider, with_address: WithAddress, client: Client
) -> None:
    with_address("curator", "ann")
    assert "did not sign you in" in provider.sign_in(client, state="x" * 16).content.decode()
    assert not is_in(client)


def test_provider_that_is_away_leaves_the_password(provider: FakeProvider, client: Client) -> None:
    provider.server.shutdown()
    provider.server.server_close()
    answer = client.get("/login/with/oidc/")
    assert answer.status_code == 403
    assert "or use your password" in answer.content.decode()
