"""Tokens: what each may be used for, and the pages on which they are made and revoked."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from importlib import import_module
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.db import OperationalError, connection
from django.test import Client
from django.utils import timezone

from people import tokens, usage
from people.models import Deed, Token, TokenUse
from people.scopes import ADDRESSES, SCOPES
from tests.conftest import api_key
from tests.site.addresses import all_addresses

ENTRIES, SUGGEST = "/api/v1/mapping/entries", "/api/v1/suggest"
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _nothing_counted(db: None) -> None:
    """What requests of earlier tests left waiting belongs to tokens that are gone."""
    usage.write()


UserFor = Callable[..., User]
ClientFor = Callable[..., Client]


def get(key: str, path: str = ENTRIES) -> int:
    return Client().get(path, headers={"authorization": f"Token {key}"}).status_code


def test_every_address_of_the_api_needs_a_scope() -> None:
    names = {address.name for address in all_addresses() if address.is_api}
    assert names == ADDRESSES.keys(), "Say in people/scopes.py which scopes the address needs"
    assert {scope for need in ADDRESSES.values() for scope in need} <= SCOPES.keys()


def test_key_is_stored_as_a_hash_only(user_for: UserFor) -> None:
    key = api_key(user_for("viewer"))
    row = Token.objects.values().get()
    assert key not in str(row)
    assert key.startswith(row["start"])
    assert get(key) == 200
    assert get(row["digest"]) == 401


def test_token_that_ended_is_refused_and_says_so(user_for: UserFor) -> None:
    key = api_key(user_for("viewer"), expires_at=timezone.now() + timedelta(days=1))
    assert get(key) == 200
    Token.objects.update(expires_at=timezone.now())
    answer = Client().get(ENTRIES, headers={"authorization": f"Token {key}"})
    assert (answer.status_code, answer.json()["detail"]) == (401, "This token is expired.")
    Token.objects.update(expires_at=None)
    tokens.revoke(token=Token.objects.get(), by=None)
    answer = Client().get(ENTRIES, headers={"authorization": f"Token {key}"})
    assert (answer.status_code, answer.json()["detail"]) == (401, "This token is revoked.")


def test_token_of_a_deactivated_account_is_refused(user_for: UserFor) -> None:
    key = api_key(user_for("viewer"))
    User.objects.update(is_active=False)
    assert get(key) == 401


def test_scope_restricts_and_never_adds(user_for: UserFor, client_for: ClientFor) -> None:
    curator = user_for("curator")
    reading, suggesting = api_key(curator, ["read mapping"]), api_key(curator, ["suggest"])
    assert get(reading) == 200
    undo = Client(headers={"authorization": f"Token {reading}"})
    answer = undo.post("/api/v1/mapping/undo", {"change": 1}, content_type="application/json")
    assert (answer.status_code, answer.json()["detail"]) == (
        403,
        "This token lacks the scope “write mapping”.",
    )
    assert get(suggesting) == 403
    assert get(suggesting, "/api/schema/") == 200
    # Its account lacks the permission, though the token has the scope.
    assert Client().post(SUGGEST, headers={"authorization": f"Token {suggesting}"}).status_code == 403
    # A session has no scopes.
    answer = client_for("curator").post(
        "/api/v1/mapping/undo", {"change": 1}, content_type="application/json"
    )
    assert answer.status_code == 404


def test_own_rate_limits_one_token_at_all_addresses_and_no_other(user_for: UserFor) -> None:
    viewer = user_for("viewer")
    slow, other = api_key(viewer, rate="2/hour"), api_key(viewer, rate="3/hour")
    assert [get(slow), get(slow, "/api/v1/mapping/hashtags"), get(slow)] == [200, 200, 429]
    answer = Client().get(ENTRIES, headers={"authorization": f"Token {slow}"})
    assert 3500 < int(answer["Retry-After"]) <= 3600
    assert [get(other) for _ in range(3)] == [200] * 3


def test_settings_rate_counts_each_token_by_itself(
    user_for: UserFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    from people.authentication import TokenRate

    monkeypatch.setattr(TokenRate, "THROTTLE_RATES", {"suggest": "1/minute"})
    network = user_for("network")
    keys = api_key(network), api_key(network), api_key(network, rate="5/minute")

    def post(key: str) -> int:
        return Client().post(SUGGEST, headers={"authorization": f"Token {key}"}).status_code

    assert [[post(key), post(key)] for key in keys] == [[400, 429], [400, 429], [400, 400]]


def test_requests_are_counted_by_day_and_address(user_for: UserFor) -> None:
    key = api_key(user_for("viewer"))
    token = Token.objects.get()
    assert [get(key) for _ in range(5)] == [200] * 5
    assert get(key, "/api/v1/mapping/hashtags") == 200
    assert not TokenUse.objects.exists()  # no row per request
    usage.write()
    assert get(key) == 200
    usage.write()
    usage.write()
    assert dict(token.uses.values_list("address", "requests")) == {"api_entries": 6, "api_hashtags": 1}
    assert [bar.requests for bar in usage.by_day(token, 3)] == [0, 0, 7]
    assert [(bar.name, bar.share) for bar in usage.by_address(token, 3)] == [
        ("api_entries", 100),
        ("api_hashtags", 100 / 6),
    ]
    token.refresh_from_db()
    assert token.last_used_at


def test_counts_wait_while_the_database_takes_nothing(user_for: UserFor) -> None:
    key = api_key(user_for("viewer"))
    assert get(key) == 200
    with connection.execute_wrapper(_refuse_writes):
        usage.write()
    assert not TokenUse.objects.exists()
    assert get(key) == 200
    usage.write()
    assert TokenUse.objects.get().requests == 2


def _refuse_writes(execute: Any, sql: str, *more: Any) -> Any:
    if not sql.startswith(("SELECT", "SAVEPOINT", "ROLLBACK", "RELEASE")):
        raise OperationalError("disk I/O error")
    return execute(sql, *more)


def test_count_of_a_deleted_account_stops_no_other(user_for: UserFor) -> None:
    keys = api_key(user_for("viewer")), api_key(user_for("curator"))
    assert [get(key) for key in keys] == [200, 200]
    User.objects.get(username="viewer").delete()
    usage.write()
    assert TokenUse.objects.get().token.owner.username == "curator"


def test_refused_requests_are_not_counted(user_for: UserFor) -> None:
    assert get(api_key(user_for("viewer"), ["suggest"])) == 403
    usage.write()
    assert not TokenUse.objects.exists()


@pytest.mark.postgres
def test_token_of_before_goes_on_working(user_for: UserFor) -> None:
    migration = import_module("people.migrations.0002_tokens_of_before")
    key = "9944b09199c62bcf9418ad846dd0e4bbdfc6ee4b"
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE authtoken_token "
            "(key varchar(40) PRIMARY KEY, created timestamp NOT NULL, user_id integer NOT NULL)"
        )
        cursor.execute(
            "INSERT INTO authtoken_token VALUES (%s, '2026-01-01 00:00:00', %s)", [key, user_for("viewer").pk]
        )
    migration.take_over(apps, SimpleNamespace(connection=connection))
    assert get(key) == 200
    token = Token.objects.get()
    assert key not in str(Token.objects.values().get())
    assert token.scopes == list(SCOPES)
    assert "authtoken_token" not in connection.introspection.table_names()
    tokens.revoke(token=token, by=None)
    assert get(key) == 401


# --- pages ------------------------------------------------------------------------------------


def form(**fields: object) -> dict[str, object]:
    empty = {"name": "Upload page", "account": "new", "new_account": "okru", "scopes": ["suggest"]}
    return empty | {"request_id": uuid4(), "rate": "", "ends": ""} | fields


def test_token_is_made_for_a_new_program_and_shown_once(client_for: ClientFor) -> None:
    client = client_for("administrator")
    page = client.post("/people/tokens/new/", form(rate="600 / minute", ends="2999-12-31")).content.decode()
    [key] = set(re.findall(r"st_[\w-]{40}", page))
    token = Token.objects.get()
    assert (token.owner.username, token.rate, token.expires_at and token.expires_at.year) == (
        "okru",
        "600/minute",
        2999,
    )
    assert token.owner.has_perm("trainer.suggest")
    assert not token.owner.has_usable_password()
    assert Client().post(SUGGEST, headers={"authorization": f"Token {key}"}).status_code == 400
    for path in ("/people/tokens/", f"/people/tokens/{token.pk}/"):
        page = client.get(path).content.decode()
        assert "Upload page" in page
        assert key not in page
    assert list(Deed.objects.values_list("by_name", "what", "address")) == [
        ("administrator", "make token", "127.0.0.1"),
        ("administrator", "make program", "127.0.0.1"),
    ]


def test_repeated_click_makes_one_token(client_for: ClientFor) -> None:
    client, sent = client_for("administrator"), form()
    client.post("/people/tokens/new/", sent)
    again = client.post("/people/tokens/new/", sent, follow=True)
    assert "was made already" in again.content.decode()
    assert Token.objects.count() == 1


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"name": ""}, "required"),
        ({"scopes": []}, "required"),
        ({"scopes": ["everything"]}, "not one of the available choices"),
        ({"rate": "0/minute"}, "Write a rate as 120/minute"),
        ({"rate": "many"}, "Write a rate as 120/minute"),
        ({"ends": "2020-01-01"}, "This day is over"),
        ({"new_account": ""}, "Give the new account a name"),
        ({"new_account": "two words"}, "letters, digits"),
        ({"new_account": "CURATOR"}, "There is an account “CURATOR” already"),
    ],
)
def test_wrong_field_is_named_and_nothing_is_made(
    client_for: ClientFor, user_for: UserFor, wrong: dict[str, object], words: str
) -> None:
    user_for("curator")
    client = client_for("administrator")
    accounts = User.objects.count()
    answer = client.post("/people/tokens/new/", form(**wrong))
    assert answer.status_code == 422
    assert words in answer.content.decode()
    assert not Token.objects.exists()
    assert User.objects.count() == accounts


def test_nobody_makes_a_token_of_another_person(client_for: ClientFor, user_for: UserFor) -> None:
    curator = user_for("curator")
    client = client_for("administrator")
    assert client.post("/people/tokens/new/", form(account=str(curator.pk))).status_code == 422
    own = user_for("administrator")
    assert client.post("/people/tokens/new/", form(account=str(own.pk))).status_code == 200
    assert Token.objects.get().owner == own


def test_revoking_asks_first_and_works_once(client_for: ClientFor, user_for: UserFor) -> None:
    key = api_key(user_for("viewer"))
    path = f"/people/tokens/{Token.objects.get().pk}/revoke/"
    client = client_for("administrator")
    assert "Revoke “Test”?" in client.get(path).content.decode()
    assert get(key) == 200
    assert "is revoked" in client.post(path, follow=True).content.decode()
    assert get(key) == 401
    assert "was revoked already" in client.post(path, follow=True).content.decode()  # from a stale page
    assert Deed.objects.filter(what="revoke token").count() == 1


@pytest.mark.parametrize("role", ["admin", "curator", "network"])
def test_only_administrators_make_and_revoke(client_for: ClientFor, user_for: UserFor, role: str) -> None:
    key = api_key(user_for("viewer"))
    client = client_for(role)
    assert client.post("/people/tokens/new/", form()).status_code == 403
    assert client.post(f"/people/tokens/{Token.objects.get().pk}/revoke/").status_code == 403
    assert client_for("stranger").post("/people/tokens/new/", form()).status_code == 302
    assert get(key) == 200
    assert Token.objects.count() == 1


def test_last_day_that_no_clock_has_is_refused(client_for: ClientFor) -> None:
    response = client_for("administrator").post("/people/tokens/new/", form(ends="9999-12-31"))
    assert (response.status_code, Token.objects.count()) == (422, 0)
