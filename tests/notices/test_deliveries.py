"""Notices reach the programs that want them, signed, and again until they are taken."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import DatabaseError, transaction
from django.utils import timezone

from notices import courier, hooks, signatures
from notices.announcements import announce
from notices.models import Delivery, Hook, Notice
from people.models import Deed
from tests.conftest import RealWorker, wait_for
from tests.notices.conftest import Receiver


def make_due() -> None:
    Delivery.objects.waiting().update(due_at=timezone.now())


@pytest.mark.django_db
def test_a_notice_arrives_signed(hook: Hook, receiver: Receiver) -> None:
    announce("run.ended", title="A run: succeeded", url="/trainer/runs/4/", state="succeeded")
    announce("model.promoted", title="Not what this hook is for")
    assert (courier.deliver_due(), courier.deliver_due()) == (1, 0)
    [request] = receiver.received
    told = json.loads(request.body)
    assert told.pop("at")
    assert told == {
        "id": Notice.objects.get(event="run.ended").pk,
        "event": "run.ended",
        "title": "A run: succeeded",
        "url": "/trainer/runs/4/",
        "facts": {"state": "succeeded"},
    }
    assert (request.path, request.headers["Scenetag-Event"]) == ("/take?x=1", "run.ended")
    assert request.headers["Host"] == receiver.url.split("/")[2]
    # As a receiver would check it, from the documentation.
    parts = dict(part.split("=") for part in request.headers[signatures.HEADER].split(","))
    assert abs(time.time() - int(parts["t"])) < 60
    message = parts["t"].encode() + b"." + request.body
    key = signatures.secret_of(hook).encode()
    assert hmac.compare_digest(hmac.new(key, message, hashlib.sha256).hexdigest(), parts["v1"])
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.status, delivery.attempts) == ("delivered", 204, 1)


@pytest.mark.django_db
@pytest.mark.parametrize("status", [500, 302, 404])
def test_what_is_not_taken_is_sent_again_later(hook: Hook, receiver: Receiver, status: int) -> None:
    announce("job.failed", title="Export: failed")
    receiver.status = status
    pauses = []
    for _ in range(len(courier.PAUSES)):
        make_due()
        assert courier.deliver_due() == 1
        delivery = Delivery.objects.get()
        assert (delivery.state, delivery.status) == ("waiting", status)
        assert delivery.tried_at
        pauses.append(round((delivery.due_at - delivery.tried_at).total_seconds() / 10) * 10)
        assert courier.deliver_due() == 0  # not before the pause is over
    assert pauses == [pause.total_seconds() for pause in courier.PAUSES]
    make_due()
    courier.deliver_due()
    delivery.refresh_from_db()
    assert (delivery.state, delivery.attempts) == ("failed", len(courier.PAUSES) + 1)
    assert str(status) in delivery.error
    assert {request.path for request in receiver.received} == {"/take?x=1"}  # no redirect is followed
    assert len({request.body for request in receiver.received}) == 1


@pytest.mark.django_db
def test_a_receiver_that_is_away_is_tried_again(hook: Hook, receiver: Receiver) -> None:
    announce("run.ended", title="A run: failed")
    receiver.close()
    courier.deliver_due()
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.status) == ("waiting", None)
    assert "refused" in delivery.error


@pytest.mark.django_db
def test_a_receiver_that_never_ends_its_answer_is_left(
    hook: Hook, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(courier, "SECONDS", 0.5)
    receiver.enough.clear()
    announce("run.ended", title="A run: failed")
    courier.deliver_due()
    receiver.enough.set()
    assert "No whole answer came" in Delivery.objects.get().error


@pytest.mark.django_db
def test_a_private_address_is_refused_when_it_is_asked(
    hook: Hook, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    announce("run.ended", title="A run: failed")
    Hook.objects.update(address=receiver.url.replace("http://127.0.0.1", "https://localhost"))
    monkeypatch.setattr("django.conf.settings.HOOK_NETWORKS", [])
    courier.deliver_due()
    assert "private network" in Delivery.objects.get().error
    assert not receiver.received


@pytest.mark.django_db
def test_a_hook_that_only_fails_is_switched_off(hook: Hook, receiver: Receiver) -> None:
    Hook.objects.update(failures=courier.MOST_FAILURES - 2)
    announce("run.ended", title="A run: failed")
    receiver.status = 500
    courier.deliver_due()
    hook.refresh_from_db()
    assert hook.is_enabled
    make_due()
    courier.deliver_due()
    hook.refresh_from_db()
    assert not hook.is_enabled
    assert Deed.objects.first().what == "switch off hook"
    make_due()
    assert courier.deliver_due() == 0
    hooks.set_enabled(hook=hook, is_enabled=True, by=User.objects.get())
    receiver.status = 200
    assert courier.deliver_due() == 1
    hook.refresh_from_db()
    assert (hook.failures, Delivery.objects.get().state) == (0, "delivered")


@pytest.mark.django_db
def test_a_dead_hook_does_not_hold_up_others(hook: Hook, receiver: Receiver) -> None:
    for number in range(3):
        announce("run.ended", title=f"Run {number}: failed")
    other, _ = hooks.make(
        name="Other",
        address=receiver.url,
        events=["run.ended"],
        by=User.objects.get(),
    )
    announce("run.ended", title="The last: failed")
    assert courier.deliver_due() == 2  # one of each hook
    assert other.deliveries.get().state == "delivered"


@pytest.mark.django_db
def test_two_couriers_deliver_once(hook: Hook, receiver: Receiver) -> None:
    announce("run.ended", title="A run: failed")
    same = [Delivery.objects.get(), Delivery.objects.get()]
    assert [courier._take(delivery) for delivery in same] == [True, False]


@pytest.mark.django_db
def test_what_is_rolled_back_is_not_told(hook: Hook) -> None:
    with transaction.atomic():
        announce("run.ended", title="A run: failed")
        transaction.set_rollback(True)
    assert not Notice.objects.exists()


@pytest.mark.django_db
def test_news_that_cannot_be_written_breaks_nothing(hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object, **more: object) -> None:
        raise DatabaseError("database or disk is full")

    with transaction.atomic():
        monkeypatch.setattr(Delivery.objects, "bulk_create", full)
        announce("run.ended", title="A run: failed")
        Hook.objects.update(name="Goes on")
    assert (Notice.objects.count(), Hook.objects.get().name) == (0, "Goes on")


@pytest.mark.django_db
def test_what_has_a_key_is_told_once(hook: Hook) -> None:
    for _ in range(2):
        announce("run.ended", title="A run: failed", key="run 4")
    assert (Notice.objects.count(), Delivery.objects.count()) == (1, 1)


@pytest.mark.django_db
def test_old_notices_are_forgotten(hook: Hook) -> None:
    announce("run.ended", title="Old")
    Notice.objects.update(at=timezone.now() - courier.KEPT - timedelta(days=1))
    announce("run.ended", title="New")
    courier.forget_old()
    assert [str(delivery.notice) for delivery in Delivery.objects.all()] == ["New"]


@pytest.mark.integration
def test_a_worker_delivers(
    transactional_db: None, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK_NETWORKS", "127.0.0.0/8")
    by = User.objects.create(username="who made it")
    made, _ = hooks.make(name="Chat", address=receiver.url, events=["run.ended"], by=by)
    worker = RealWorker()
    worker.start()
    try:
        announce("run.ended", title="A run: succeeded")
        assert receiver.arrived.wait(30), worker.log.read_text()[-2000:]
        wait_for(lambda: made.deliveries.get().state == "delivered", 10, "the delivery was not noted")
    finally:
        worker.stop()
