"""Every address is closed to strangers unless it is named here, and roles hold what the table says."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from hashtags_site.roles import ROLES, setup_roles

OPEN = {"login", "logout", "health", "schema", "api", "language", "public", "join"}
FOR_SCRIPT = {"next_questions", "give_vote", "take_back", "say_more"}  # refused in JSON: no page to lead to
SAMPLE = {"uuid": "7d9c2e9e-2a51-4a0c-b5c0-0f7a7c3d2e11", "int": "1", "str": "x", "path": "x", "slug": "x"}


def addresses(patterns: list[URLPattern | URLResolver], prefix: str = "/") -> Iterator[tuple[str, str]]:
    for pattern in patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from addresses(pattern.url_patterns, route)
            continue
        for converter, example in SAMPLE.items():
            for name in pattern.pattern.converters:
                route = route.replace(f"<{converter}:{name}>", example)
        yield route, pattern.name or ""


ADDRESSES = sorted(addresses(get_resolver().url_patterns))
NAMES = dict(ADDRESSES)


def closed(*opened: str) -> list[str]:
    """All addresses but those that are open to everybody, or opened for this test. One test requests all of
    them, because a test for each would prepare hundreds of databases."""
    closed_addresses = [address for address, name in ADDRESSES if name and name not in OPEN.union(opened)]
    assert len(closed_addresses) > 50
    return closed_addresses


@pytest.mark.django_db
@pytest.mark.parametrize("method", ["get", "post"])
def test_stranger_is_asked_to_sign_in(client: Client, method: str) -> None:
    for address in closed():
        response = getattr(client, method)(address)
        if address.startswith("/api/v1/") or NAMES[address] in FOR_SCRIPT:
            assert response.status_code in (401, 405), address
        else:
            assert response.status_code == 302, address
            assert response["Location"].startswith("/login/"), address


@pytest.mark.parametrize("method", ["get", "post"])
def test_account_without_a_role_is_refused(client_for: Callable[..., Client], method: str) -> None:
    """403, or 405 where the method does not exist; never a page or a 404 that tells what exists."""
    client = client_for("nobody")
    for address in closed("home"):
        response = getattr(client, method)(address)
        assert response.status_code in (403, 405), address


@pytest.mark.django_db
def test_setup_removes_permissions_that_are_not_in_the_table() -> None:
    setup_roles()
    viewer = Group.objects.get(name="viewer")
    viewer.permissions.set(Group.objects.get(name="curator").permissions.all())
    setup_roles()
    permissions = {
        f"{p.content_type.app_label}.{p.codename}" for p in viewer.permissions.select_related("content_type")
    }
    assert permissions == set(ROLES["viewer"])


@pytest.mark.django_db
def test_a_table_with_a_permission_that_does_not_exist_changes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(ROLES, "viewer", ())
    monkeypatch.setitem(ROLES, "network", ("trainer.suggets",))
    with pytest.raises(KeyError, match="suggets"):
        setup_roles()
    assert Group.objects.get(name="viewer").permissions.exists()
