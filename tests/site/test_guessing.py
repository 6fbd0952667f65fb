"""Guessing a password is limited, and nobody can use the limit to lock a colleague out."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connections
from django.test import Client
from pytest_django import Settings
from rest_framework.test import APIClient

from hashtags_site import guessing
from tests.conftest import _cache

pytestmark = pytest.mark.django_db
UserFor = Callable[..., User]
LIMIT = 3
MANY = LIMIT * guessing.OVER_ALL  # from one address, or for one account
MINUTE = 60
GUESSER: dict[str, Any] = {"REMOTE_ADDR": "192.0.2.1"}
COLLEAGUE: dict[str, Any] = {"REMOTE_ADDR": "192.0.2.2"}


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The time of day, in seconds; it stands until a test moves it."""
    clock = SimpleNamespace(now=1_000_000 * 900.0 + 5 * MINUTE)
    monkeypatch.setattr(guessing, "time", SimpleNamespace(time=lambda: clock.now))
    return clock


@pytest.fixture(autouse=True)
def _low_limit(settings: Settings) -> None:
    settings.WRONG_PASSWORDS = LIMIT  # so that the tests need fewer guesses


@pytest.fixture(autouse=True)
def ann(user_for: UserFor) -> User:
    return user_for("curator", "ann")


def sign_in(password: str, name: str = "ann", client: Any = None, **environ: Any) -> Any:
    return (client or Client()).post("/login/", {"username": name, "password": password}, **environ)


def guess(times: int, name: str = "ann", **environ: Any) -> list[int]:
    return [sign_in(f"wrong {n}", name, **environ).status_code for n in range(times)]


def test_guesser_is_refused_even_with_the_right_password() -> None:
    assert guess(MANY, **GUESSER) == [200] * LIMIT + [429] * (MANY - LIMIT)
    refusal = sign_in("secret", **GUESSER)
    assert (refusal.status_code, refusal["Retry-After"]) == (429, "600")
    assert "Wait 10 minutes" in refusal.content.decode()
    assert "sessionid" not in refusal.cookies


def test_right_password_is_taken_after_the_pause(clock: SimpleNamespace) -> None:
    guess(LIMIT + 1, **GUESSER)
    clock.now += 10 * MINUTE
    assert sign_in("secret", **GUESSER).status_code == 302


def test_colleague_at_another_address_is_let_in() -> None:
    guess(2 * MANY, **GUESSER)
    assert sign_in("secret", **COLLEAGUE).status_code == 302


def test_right_passwords_are_not_counted() -> None:
    guess(LIMIT - 1, **GUESSER)
    for _ in range(LIMIT):
        assert sign_in("secret", **GUESSER).status_code == 302
    assert guess(2, **GUESSER) == [200, 429]


def test_one_address_cannot_try_many_accounts(clock: SimpleNamespace) -> None:
    codes = [sign_in("summer", f"user {n}", **GUESSER).status_code for n in range(MANY + 2)]
    assert codes == [200] * MANY + [429] * 2
    assert sign_in("secret", **COLLEAGUE).status_code == 302


def test_one_account_cannot_be_tried_from_many_addresses() -> None:
    codes = [sign_in("wrong", REMOTE_ADDR=f"198.51.100.{n}").status_code for n in range(MANY + 2)]
    assert codes == [200] * MANY + [429] * 2


def test_browser_of_the_colleague_is_let_in_while_many_guess_from_everywhere() -> None:
    browser = Client()
    assert sign_in("secret", client=browser, **COLLEAGUE).status_code == 302
    browser.post("/logout/")
    for n in range(MANY):
        sign_in("wrong", REMOTE_ADDR=f"198.51.100.{n}")
    guess(LIMIT, **COLLEAGUE)
    assert sign_in("secret", **COLLEAGUE).status_code == 429
    assert sign_in("secret", client=browser, **COLLEAGUE).status_code == 302


def test_known_browser_has_a_limit_too_and_knows_only_its_account(ann: User, user_for: UserFor) -> None:
    user_for("viewer", "bob")
    browser = Client()
    sign_in("secret", "bob", client=browser)
    browser.post("/logout/")
    guess(LIMIT)  # ann's, from the same address
    assert sign_in("secret", client=browser).status_code == 429
    codes = [sign_in("wrong", "bob", client=browser).status_code for _ in range(LIMIT + 1)]
    assert codes == [200] * LIMIT + [429]
    browser.cookies[guessing.COOKIE] = f"{ann.pk}.0123:forged"
    assert sign_in("secret", client=browser).status_code == 429


@pytest.mark.parametrize("names", [("ann", "ANN", "Ann", " ann ", "aNn"), ("ghost", "Ghost", " GHOST")])
def test_ways_of_writing_a_name_share_a_limit(names: tuple[str, ...]) -> None:
    codes = [sign_in("wrong", names[n % len(names)]).status_code for n in range(LIMIT + 1)]
    assert codes == [200] * LIMIT + [429]


def test_renaming_an_account_gives_no_new_tries(ann: User) -> None:
    guess(LIMIT)
    User.objects.filter(pk=ann.pk).update(username="anna")
    assert sign_in("secret", "anna").status_code == 429


def test_refusal_does_not_tell_whether_an_account_exists() -> None:
    refusals = []
    for name in ("ann", "ghost"):
        guess(LIMIT, name)
        refusals.append(sign_in("secret", name, HTTP_ACCEPT="application/json").json())
    assert refusals[0] == refusals[1]


def test_program_is_refused_in_json() -> None:
    guess(LIMIT)
    refusal = sign_in("secret", HTTP_ACCEPT="application/json")
    assert (refusal.status_code, refusal["Retry-After"]) == (429, "600")
    assert refusal.json()["detail"].startswith("Too many wrong passwords.")


def test_other_doors_share_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """REST framework's own, which this site does not open, asks the same backend."""
    from rest_framework.authentication import BasicAuthentication

    from mapping.api.entries import HashtagsView

    monkeypatch.setattr(HashtagsView, "authentication_classes", [BasicAuthentication])
    guess(LIMIT - 1)
    api = APIClient()
    api.credentials(HTTP_AUTHORIZATION="Basic YW5uOndyb25n")  # ann:wrong
    assert api.get("/api/v1/mapping/hashtags").status_code == 401
    refusal = api.get("/api/v1/mapping/hashtags")
    assert (refusal.status_code, refusal["Retry-After"]) == (429, "600")
    assert sign_in("secret").status_code == 429


class TestAddress:
    def test_behind_a_proxy_it_is_the_one_that_the_proxy_names(self, settings: Settings) -> None:
        settings.REST_FRAMEWORK = settings.REST_FRAMEWORK | {"NUM_PROXIES": 1}
        proxy: dict[str, Any] = {"REMOTE_ADDR": "10.0.0.1"}
        codes = [  # the guesser makes up what stands in front
            sign_in("wrong", HTTP_X_FORWARDED_FOR=f"203.0.113.{n}, 192.0.2.1", **proxy).status_code
            for n in range(LIMIT + 1)
        ]
        assert codes == [200] * LIMIT + [429]
        assert sign_in("secret", HTTP_X_FORWARDED_FOR="192.0.2.2", **proxy).status_code == 302

    def test_without_a_proxy_the_header_is_ignored(self) -> None:
        codes = [
            sign_in("wrong", HTTP_X_FORWARDED_FOR=f"203.0.113.{n}", **GUESSER).status_code
            for n in range(LIMIT + 1)
        ]
        assert codes == [200] * LIMIT + [429]

    def test_all_addresses_of_a_network_of_ipv6_are_one_sender(self) -> None:
        codes = [sign_in("wrong", REMOTE_ADDR=f"2001:db8::{n:x}").status_code for n in range(LIMIT + 1)]
        assert codes == [200] * LIMIT + [429]
        assert sign_in("secret", REMOTE_ADDR="2001:db8:0:1::1").status_code == 302

    def test_ipv4_written_as_ipv6_is_the_same(self) -> None:
        guess(LIMIT, REMOTE_ADDR="::ffff:192.0.2.1")
        assert sign_in("secret", **GUESSER).status_code == 429


def test_counts_are_shared_by_all_processes() -> None:
    guess(1)
    assert len(list(_cache.scan_iter("*guesses:*"))) == 3
    _cache.flushdb()
    assert guess(LIMIT + 1) == [200] * LIMIT + [429]


def test_each_process_counts_while_redis_is_away(settings: Settings) -> None:
    away = settings.CACHES["default"] | {"LOCATION": "unix:///no/such/valkey.sock"}
    settings.CACHES = settings.CACHES | {"default": away}
    assert guess(LIMIT + 1) == [200] * LIMIT + [429]
    assert sign_in("secret", **COLLEAGUE).status_code == 302


@pytest.mark.django_db(transaction=True)
def test_guesses_at_once_are_not_let_through() -> None:
    def guess_once(n: int) -> int:
        try:
            return int(sign_in(f"wrong {n}").status_code)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as threads:
        codes = list(threads.map(guess_once, range(24)))
    assert (codes.count(200), codes.count(429)) == (LIMIT, 21)
