"""Codes of an app and recovery codes: set up, asked for, limited, required, lost."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, format_hotp_value, hotp_value
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries, Settings

from people.models import Deed, Team
from tests.conftest import api_key

pytestmark = pytest.mark.django_db
UserFor = Callable[..., User]
ClientFor = Callable[..., Client]
SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


def code(secret: str = SECRET) -> str:
    return str(format_hotp_value(hotp_value(secret, int(time.time()) // 30)))


def wrong(secret: str = SECRET) -> str:
    """None of the codes that are good now."""
    now = int(time.time()) // 30
    good = {format_hotp_value(hotp_value(secret, now + step)) for step in range(-3, 4)}
    return next(
        text
        for text in ("000000", "111111", "222222", "333333", "444444", "555555", "666666", "777777")
        if text not in good
    )


def protect(user: User) -> RecoveryCodes:
    TOTP.activate(user, SECRET)
    return RecoveryCodes.activate(user)


def give_password(client: Client, name: str) -> Any:
    return client.post("/login/", {"username": name, "password": "secret"})


def texts(response: Any) -> str:
    return response.content.decode()  # type: ignore[no-any-return]


def test_person_sets_one_up_and_is_asked_from_then_on(client_for: ClientFor) -> None:
    client = client_for("curator")
    page = client.get("/people/me/sign-in/app/", follow=True)
    assert "Is it you?" in texts(page)
    where = page.redirect_chain[-1][0]
    page = client.post(where, {"password": "secret", "next": "/people/me/sign-in/app/"}, follow=True)
    secret = page.context["form"].secret
    assert client.post("/people/me/sign-in/app/", {"code": wrong(secret)}).status_code == 200
    page = client.post("/people/me/sign-in/app/", {"code": code(secret)}, follow=True)
    assert "Recovery codes" in texts(page)
    assert secret not in str(Authenticator.objects.values_list("data"))  # it is encrypted
    assert list(Deed.objects.values_list("by_name", "what")) == [("curator", "add second factor")]
    new = Client()
    assert give_password(new, "curator")["Location"] == "/login/second/"
    assert new.get("/people/me/").status_code == 302


def test_code_or_recovery_code_works_once(user_for: UserFor) -> None:
    codes = protect(user_for("curator")).get_unused_codes()
    for answer in (code(), codes[0]):
        client = Client()
        give_password(client, "curator")
        assert client.post("/login/second/", {"code": answer}).status_code == 302
        assert client.get("/people/me/").status_code == 200
        late = Client()
        give_password(late, "curator")
        assert "This is not right" in texts(late.post("/login/second/", {"code": answer}))
        assert late.get("/people/me/").status_code == 302


def test_guesses_are_limited_whatever_browser_and_address(user_for: UserFor, settings: Settings) -> None:
    """Who guesses has the password: each of its uses must not give new tries."""
    settings.WRONG_PASSWORDS = 3
    protect(user_for("curator"))
    answers = []
    for n in range(4):
        client = Client(REMOTE_ADDR=f"192.0.2.{n}")
        give_password(client, "curator")
        answers.append(client.post("/login/second/", {"code": wrong()}))
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert "Too many wrong passwords or codes" in texts(answers[-1])
    assert client.post("/login/second/", {"code": code()}).status_code == 429
    assert "known_browser" not in client.cookies  # a password alone makes no browser known


def test_required_role_goes_nowhere_without(
    client_for: ClientFor, user_for: UserFor, settings: Settings
) -> None:
    settings.REQUIRE_SECOND_FACTOR = ["administrator"]
    client = client_for("administrator")
    page = client.get("/people/", follow=True)
    assert page.redirect_chain == [("/people/me/sign-in/", 302)]
    assert "Your role needs a second factor" in texts(page)
    assert client.post("/people/invite/", {"days": 7}).status_code == 403
    assert client.get("/notices/count/", headers={"HX-Request": "true"}).status_code == 403
    assert client.get("/api/v1/mapping/entries").status_code == 403
    key = api_key(user_for("administrator"))
    by_token = client.get("/api/v1/mapping/entries", headers={"authorization": f"Token {key}"})
    assert by_token.status_code == 200
    assert client_for("curator").get("/mapping/").status_code == 200
    team = Team.objects.create(name="night shift")
    team.roles.add(Group.objects.get(name="administrator"))
    team.members.add(user_for("curator"))  # a role by a team counts like one's own
    assert client_for("curator").get("/mapping/").status_code == 302
    TOTP.activate(user_for("administrator"), SECRET)
    assert client.get("/people/").status_code == 200


def test_the_ballot_waits_for_it_too(client_for: ClientFor, settings: Settings) -> None:
    """Its addresses answer strangers in JSON, so they are open to everybody at first."""
    client, path = client_for("validator"), reverse("validation:give_vote", args=[1])
    assert client.post(path).status_code == 404  # no such campaign
    settings.REQUIRE_SECOND_FACTOR = ["validator"]
    assert client.post(path).status_code == 403


def test_a_requirement_costs_one_query(
    client_for: ClientFor, settings: Settings, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    client = client_for("validator")
    client.get("/validation/vote/mine/")
    with CaptureQueriesContext(connection) as before:
        client.get("/validation/vote/mine/")
    assert "mfa_authenticator" not in str(before.captured_queries)
    settings.REQUIRE_SECOND_FACTOR = ["administrator"]
    with django_assert_num_queries(len(before) + 1):
        client.get("/validation/vote/mine/")


def test_administrator_takes_a_lost_one_away(client_for: ClientFor, user_for: UserFor) -> None:
    client, ann = client_for("administrator"), user_for("curator", "ann")
    protect(ann)
    path = f"/people/{ann.pk}/second-factor/"
    assert "Take it away" in texts(client.get(f"/people/{ann.pk}/"))
    assert "Saved" in texts(client.post(path, follow=True))
    assert "it was so already" in texts(client.post(path, follow=True))  # a repeated click
    assert [str(deed.about) for deed in Deed.objects.filter(what="take away second factor")] == ["ann"]
    assert give_password(Client(), "ann")["Location"] == "/"
    me = user_for("administrator")
    protect(me)
    assert "in your profile" in texts(client.post(f"/people/{me.pk}/second-factor/", follow=True))
    assert Authenticator.objects.filter(user=me).exists()


def test_another_secret_key_makes_no_code_right(user_for: UserFor, settings: Settings) -> None:
    protect(user_for("curator"))
    settings.SECRET_KEY = "another"
    client = Client()
    give_password(client, "curator")
    assert "This is not right" in texts(client.post("/login/second/", {"code": code()}))


@pytest.mark.parametrize(
    "credential",
    [
        "",
        "²",
        "3",
        "9" * 5000,
        "[" * 100_000,
        "[]",
        "{}",
        '{"response": 3}',
        '{"id": "x", "response": {"userHandle": "MQ"}}',
    ],
)
def test_what_is_no_passkey_is_refused(user_for: UserFor, credential: str) -> None:
    user_for("curator")
    client = Client()
    client.get("/login/passkey/", headers={"accept": "application/json"})
    answer = client.post("/login/passkey/", {"credential": credential}, follow=True)
    assert answer.redirect_chain == [("/login/", 302)]
    assert client.get("/people/me/").status_code == 302
