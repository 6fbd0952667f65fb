"""Every role at every address with every method gets what the table in access.py says."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from http.cookies import SimpleCookie

import pytest
from django.db import transaction
from django.test import Client

from tests.site.access import ACCESS, ANSWERS, DONE, ROLES
from tests.site.addresses import Address, all_addresses
from tests.site.conftest import NOWHERE, SECRET, World, known_as, person_of

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
ADDRESSES = all_addresses()
SHORT = {"accept": "application/json, */*;q=0.1"}  # refusals without a page


@dataclass(frozen=True)
class Answer:
    code: int
    is_sign_in: bool
    tells_secret: bool


def ask(client: Client, method: str, path: str, *, is_api: bool) -> Answer:
    body = ("{}", "application/json") if is_api else ("", "application/x-www-form-urlencoded")
    response = client.generic(method, path, *body, headers=SHORT)
    content = response.getvalue() if response.streaming else response.content
    is_sign_in = response.status_code == 401 or response.get("Location", "").startswith("/login/?")
    return Answer(response.status_code, is_sign_in, SECRET.encode().lower() in content.lower())


@contextmanager
def taking_back(client: Client) -> Iterator[None]:
    """The next request finds the same world and the same visitor."""
    cookies = SimpleCookie(client.cookies.copy())
    with transaction.atomic():
        yield
        transaction.set_rollback(True)
    client.cookies = cookies


def test_every_address_has_its_line_in_the_table() -> None:
    names = {address.name for address in ADDRESSES}
    new, gone = sorted(names - ACCESS.keys()), sorted(ACCESS.keys() - names)
    assert not new, f"Say in tests/site/access.py who may use the new addresses, with which method: {new}"
    assert not gone, f"These addresses are gone; tests/site/access.py still has them: {gone}"


@pytest.mark.usefixtures("asked_often")
@pytest.mark.parametrize("role", ROLES)
def test_role_gets_what_the_table_says(
    world: World, client_of: Callable[[str], Client], role: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, "django")  # a line for each refusal takes as long as the refusal
    client = client_of(role)
    person = person_of(client)
    faults = []
    for address in ADDRESSES:
        offers = ACCESS.get(address.name, {})
        mine = {method for method, roles in offers.items() if role in roles}
        path, nowhere = world.path(address), world.path(address, NOWHERE)
        for method in METHODS:
            changes = method in mine and method != "GET"
            with (
                taking_back(client) if mine else nullcontext(),
                nullcontext() if changes else known_as(person),
            ):
                answer = ask(client, method, path, is_api=address.is_api)
            words = _fault(address, method, offers.keys(), mine, answer, role)
            if not words and not mine and nowhere != path and method in ("GET", "POST"):
                with known_as(person):
                    elsewhere = ask(client, method, nowhere, is_api=address.is_api)
                words = "" if elsewhere == answer else f"tells what exists: {answer}, otherwise {elsewhere}"
            if words:
                faults.append(f"{method} {address.name}: {words}")
    assert not faults, "\n".join(faults)


def _fault(
    address: Address, method: str, offered: Collection[str], mine: set[str], answer: Answer, role: str
) -> str:
    """What is wrong with the answer; empty if nothing is."""
    asked = "GET" if method == "HEAD" else method
    if asked in mine or (method == "OPTIONS" and address.is_api and mine):
        expected = ANSWERS.get(f"{asked} {address.name}", {200} if asked in ("GET", "OPTIONS") else DONE)
        return "" if answer.code in expected and not answer.is_sign_in else f"{answer}, not {expected}"
    if answer.tells_secret:
        return f"{answer} tells what this role may not know"
    is_refused = answer.is_sign_in if role == "stranger" else answer.code == 403
    if is_refused or (answer.code == 405 and asked not in offered):
        return ""
    return f"{answer} refuses nothing"
