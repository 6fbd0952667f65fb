"""Administrators make, try, switch off and delete hooks in the browser; nobody else sees them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from notices import courier, signatures
from notices.models import Delivery, Hook
from people.models import Deed
from tests.notices.conftest import Receiver

pytestmark = pytest.mark.django_db
ClientFor = Callable[..., Client]
NEW = "/notices/hooks/new/"


def form(**changes: Any) -> dict[str, Any]:
    plain = {"name": "Chat", "address": "https://chat.example.org/x", "events": ["run.ended"]}
    return plain | {"request_id": uuid4()} | changes


def test_the_secret_is_shown_once(client_for: ClientFor) -> None:
    client = client_for("administrator")
    fields = form()
    response = client.post(NEW, fields)
    hook = Hook.objects.get()
    secret = signatures.secret_of(hook)
    assert secret in response.content.decode()
    assert "no-store" in response["Cache-Control"]
    again = client.post(NEW, fields, follow=True)  # a repeated click
    assert secret not in again.content.decode()
    assert "made already" in again.content.decode()
    assert Hook.objects.count() == 1
    for page in ("/notices/hooks/", f"/notices/hooks/{hook.pk}/"):
        assert secret not in client.get(page).content.decode()
    assert [deed.what for deed in Deed.objects.all()] == ["make hook"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"address": "http://chat.example.org/"}, "must begin with https"),
        ({"address": "https://10.0.0.1/"}, "private network"),
        ({"address": "chat"}, "whole address"),
        ({"events": []}, "This field is required"),
        ({"events": ["vote.given"]}, "not one of the available choices"),
        ({"name": " "}, "This field is required"),
        ({"request_id": "x"}, ""),
    ],
)
def test_a_wrong_field_is_named_and_nothing_is_made(
    client_for: ClientFor, changes: dict[str, Any], words: str
) -> None:
    response = client_for("administrator").post(NEW, form(**changes))
    assert response.status_code == 422
    assert words in response.content.decode()
    assert not Hook.objects.exists()


@pytest.mark.parametrize("role", ["admin", "viewer", "network", "stranger"])
def test_others_may_not(client_for: ClientFor, hook: Hook, role: str) -> None:
    client = client_for(role)
    for path in (NEW, *(f"/notices/hooks/{hook.pk}/{act}/" for act in ("on", "off", "test", "delete"))):
        response = client.post(path, form())
        assert response.status_code == (302 if role == "stranger" else 403)
    hook.refresh_from_db()
    assert (Hook.objects.count(), hook.is_enabled, Delivery.objects.count()) == (1, True, 0)


def test_a_test_arrives_and_its_status_is_listed(
    client_for: ClientFor, hook: Hook, receiver: Receiver
) -> None:
    client = client_for("administrator")
    for _ in range(2):  # a repeated click sends one
        client.post(f"/notices/hooks/{hook.pk}/test/")
    assert Delivery.objects.count() == 1
    page = f"/notices/hooks/{hook.pk}/"
    assert "waiting" in client.get(page).content.decode()
    courier.deliver_due()
    assert receiver.received[0].headers["Scenetag-Event"] == "test"
    html = client.get(page).content.decode()
    assert "delivered" in html
    assert "204" in html


def test_a_test_that_failed_is_sent_at_once_again(
    client_for: ClientFor, hook: Hook, receiver: Receiver
) -> None:
    client = client_for("administrator")
    receiver.status = 500
    client.post(f"/notices/hooks/{hook.pk}/test/")
    courier.deliver_due()
    receiver.status = 204
    client.post(f"/notices/hooks/{hook.pk}/test/")
    courier.deliver_due()
    assert (Delivery.objects.get().state, len(receiver.received)) == ("delivered", 2)


def test_a_hook_is_switched_off_and_on(client_for: ClientFor, hook: Hook) -> None:
    client = client_for("administrator")
    for act, words in (("off", "is off"), ("off", "was off already"), ("on", "is on")):
        response = client.post(f"/notices/hooks/{hook.pk}/{act}/", follow=True)
        assert words in response.content.decode()
        if act == "off":
            client.post(f"/notices/hooks/{hook.pk}/test/")
            assert not Delivery.objects.exists()  # nothing is sent while it is off
    assert [deed.what for deed in Deed.objects.order_by("pk")][-2:] == ["switch off hook", "switch on hook"]


def test_a_hook_is_deleted_after_a_question(client_for: ClientFor, hook: Hook) -> None:
    client = client_for("administrator")
    path = f"/notices/hooks/{hook.pk}/delete/"
    assert "Delete “Chat”?" in client.get(path).content.decode()
    assert Hook.objects.exists()
    assert client.post(path).status_code == 302
    assert not Hook.objects.exists()
    assert client.post(path).status_code == 404  # a stale page
