"""Roles hold what their table says. What each may do at every address: test_access.py."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group

from hashtags_site.roles import ROLES, setup_roles

pytestmark = pytest.mark.django_db


def test_setup_removes_permissions_that_are_not_in_the_table() -> None:
    setup_roles()
    viewer = Group.objects.get(name="viewer")
    viewer.permissions.set(Group.objects.get(name="curator").permissions.all())
    setup_roles()
    permissions = {
        f"{p.content_type.app_label}.{p.codename}" for p in viewer.permissions.select_related("content_type")
    }
    assert permissions == set(ROLES["viewer"])


def test_a_table_with_a_permission_that_does_not_exist_changes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(ROLES, "viewer", ())
    monkeypatch.setitem(ROLES, "network", ("trainer.suggets",))
    with pytest.raises(KeyError, match="suggets"):
        setup_roles()
    assert Group.objects.get(name="viewer").permissions.exists()
