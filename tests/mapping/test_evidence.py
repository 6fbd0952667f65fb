"""The evidence on the page of a class: reasons and photos for curators, and for nobody else."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from mapping.acts import Decision, change_entry
from mapping.models import MappingEntry
from trainer.models import PhotoSet

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("few")]
ClientFor = Callable[..., Client]
MEANS = {"b/beach": [1.0, 0.0], "s/shoe_shop": [1.0, 0.1], "a/abbey": [0.0, 1.0]}


def entry_of(key: str) -> MappingEntry:
    return MappingEntry.objects.get(scene_class__key=key)


@pytest.fixture
def address() -> str:
    return f"/mapping/{entry_of('b/beach').pk}/evidence/"


@pytest.fixture
def curator(user_for: Callable[..., User], see: Callable[..., PhotoSet]) -> User:
    """Who has confirmed the class that looks like the beach."""
    see(MEANS)
    user = user_for("curator")
    entry = entry_of("s/shoe_shop")
    change_entry(entry_id=entry.pk, version=entry.version, by=user, decision=Decision("sport"))
    return user


def test_reasons_and_photos_of_both_classes_are_shown(
    curator: User, client_for: ClientFor, address: str
) -> None:
    html = client_for("curator").get(address).content.decode()
    assert "#sport" in html
    assert "looks like shoe shop" in html
    assert html.count("<img") == 4
    page = client_for("curator").get(address.removesuffix("evidence/")).content.decode()
    assert f'hx-get="{address}"' in page


def test_curator_who_may_not_see_photos_gets_the_reasons_only(
    curator: User, client_for: ClientFor, address: str
) -> None:
    plain = User.objects.create(username="plain")
    plain.user_permissions.add(Permission.objects.get(codename="change_mappingentry"))
    client = Client()
    client.force_login(plain)
    html = client.get(address).content.decode()
    assert "looks like shoe shop" in html
    assert "<img" not in html


@pytest.mark.parametrize(("role", "status"), [("stranger", 302), ("viewer", 403), ("validator", 403)])
def test_others_see_no_suggestions(client_for: ClientFor, address: str, role: str, status: int) -> None:
    assert client_for(role).get(address).status_code == status
    if role == "viewer":
        assert "evidence/" not in client_for(role).get(address.removesuffix("evidence/")).content.decode()


def test_class_without_photos_has_reasons_of_words(client_for: ClientFor, address: str) -> None:
    html = client_for("curator").get(address).content.decode()
    assert "#beach" in html
    assert "<img" not in html
