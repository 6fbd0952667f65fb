"""POST /api/v1/feedback: kept once, in whatever order it comes, and only from whom the answer was for."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import permutations
from threading import Barrier
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.db.models import Sum
from django.test import Client
from django.utils import timezone
from rest_framework.throttling import ScopedRateThrottle

from serving.answer_ids import make_id, read_id
from serving.models import Feedback, FeedbackTally
from tests.conftest import api_key
from tests.trainer.conftest import jpeg
from trainer import deleting
from trainer.models import TrainedModel

URL = "/api/v1/feedback"
pytestmark = [pytest.mark.django_db, pytest.mark.postgres]
Send = Callable[..., Any]
Give = Callable[..., str]


@pytest.fixture
def network(user_for: Callable[..., User]) -> User:
    return user_for("network")


@pytest.fixture
def give(network: User, tiny_model: TrainedModel) -> Give:
    """The id of an answer to the network, given an hour ago."""

    def make(hashtag: str | None = "beach", **fields: Any) -> str:
        defaults: dict[str, Any] = {"model": tiny_model.pk, "account": network.pk, "confidence": 0.9}
        defaults["at"] = timezone.now() - timedelta(hours=1)
        return make_id(hashtag=hashtag, **(defaults | fields))

    return make


@pytest.fixture
def send(network: User) -> Send:
    key = api_key(network)

    def post(*events: Any, token: str = key) -> Any:
        headers = {"authorization": f"Token {token}"}
        return Client().post(URL, {"events": list(events)}, content_type="application/json", headers=headers)

    return post


def event(answer: str, kind: str, minutes: float = -10, **fields: Any) -> dict[str, Any]:
    at = timezone.now() + timedelta(minutes=minutes)
    return {"answer": answer, "event": kind, "at": at.isoformat(), **fields}


def tallied() -> dict[str, int]:
    counts = FeedbackTally.objects.aggregate(**{name: Sum(name) for name in FeedbackTally.COUNTS})
    return {name: count for name, count in counts.items() if count}


def test_from_an_upload_to_its_feedback(
    client_for: Callable[..., Client], active_model: TrainedModel, send: Send
) -> None:
    upload = {"photo": SimpleUploadedFile("x.jpg", jpeg((250, 10, 10)))}
    answer = client_for("network").post("/api/v1/suggest", upload).json()
    response = send(event(answer["id"], "accepted", 0))
    assert (response.status_code, response.json()) == (200, {"kept": 1, "changed": 1, "faults": []})
    row = Feedback.objects.get()
    assert (row.model_id, row.hashtag, row.event) == (active_model.pk, "beach", "accepted")
    assert row.confidence == pytest.approx(answer["confidence"], abs=1e-4)
    assert tallied() == {"shown": 1, "accepted": 1}


def test_twice_is_once(give: Give, send: Send) -> None:
    accepted = event(give(), "accepted")
    assert send(accepted, accepted).json() == {"kept": 2, "changed": 1, "faults": []}
    assert send(accepted).json() == {"kept": 1, "changed": 0, "faults": []}
    assert tallied() == {"shown": 1, "accepted": 1}


def test_any_order_ends_the_same(give: Give, send: Send) -> None:
    """Shown at last, by a slow clock; the newest of the others holds."""
    kinds = [
        ("dismissed", -30, {}),
        ("replaced", -20, {"hashtag": "Bar"}),
        ("accepted", -25, {}),
        ("shown", 0, {}),
    ]
    rows = set()
    orders = list(permutations(kinds))
    for order in orders:
        answer = give()
        for kind, minutes, fields in order:
            send(event(answer, kind, minutes, **fields))
        row = Feedback.objects.get(pk=read_id(answer).key)
        rows.add((row.event, row.replaced_by))
    assert rows == {("replaced", "bar")}
    assert tallied() == {"shown": len(orders), "replaced": len(orders)}


def test_equal_times_do_not_depend_on_the_order(give: Give, send: Send) -> None:
    at = (timezone.now() - timedelta(minutes=5)).isoformat()
    events = [
        {"event": "accepted"},
        {"event": "replaced", "hashtag": "a"},
        {"event": "replaced", "hashtag": "b"},
    ]
    for order in permutations(events):
        answer = give()
        send(*[{"answer": answer, "at": at, **one} for one in order])
    assert set(Feedback.objects.values_list("event", "replaced_by")) == {("replaced", "b")}


def test_accepted_without_shown_was_shown(give: Give, send: Send) -> None:
    send(event(give(), "accepted"), event(give(), "shown"), event(give(), "dismissed"))
    assert tallied() == {"shown": 3, "accepted": 1, "dismissed": 1}


def test_good_events_are_kept_and_bad_ones_named(give: Give, send: Send) -> None:
    response = send(event(give(), "shown"), event("never", "shown"), event(give(), "accepted"))
    assert response.status_code == 200
    faults = [{"index": 1, "problems": {"answer": ["No answer has this id."]}}]
    assert response.json() == {"kept": 2, "changed": 2, "faults": faults}
    assert Feedback.objects.count() == 2


def fault_of(response: Any) -> tuple[str, str]:
    """The field and the words of a request whose only event is wrong; nothing is written."""
    assert response.status_code == 400
    assert (response.json()["kept"], Feedback.objects.count(), tallied()) == (0, 0, {})
    [fault] = response.json()["faults"]
    [(field, [words])] = fault["problems"].items()
    return field, words


def test_an_id_that_never_was(give: Give, send: Send) -> None:
    assert fault_of(send(event(give()[:-1] + "_", "shown"))) == ("answer", "No answer has this id.")


def test_an_answer_to_somebody_else(give: Give, send: Send, user_for: Callable[..., User]) -> None:
    other = api_key(user_for("network", "another"))
    words = "This answer was given to another account."
    assert fault_of(send(event(give(), "shown"), token=other)) == ("answer", words)


def test_too_late_too_early_and_in_the_future(give: Give, send: Send) -> None:
    old = give(at=timezone.now() - timedelta(days=31))
    assert "after 30 days it is too late" in fault_of(send(event(old, "shown")))[1]
    assert fault_of(send(event(give(), "shown", 6))) == ("at", "This time is in the future.")
    field, words = fault_of(send(event(give(), "shown", -66)))
    assert (field, "before the answer was given" in words) == ("at", True)
    late = give(at=timezone.now() - timedelta(days=29))
    assert send(event(late, "shown", 4), event(give(), "shown", -64)).json()["kept"] == 2


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"event": "liked"}, "event"),
        ({"event": ["shown"]}, "event"),
        ({"answer": 7}, "answer"),
        ({"answer": None}, "answer"),
        ({"at": 1764427928}, "at"),
        ({"at": "2026-11-29T14:52:08"}, "at"),
        ({"at": "yesterday"}, "at"),
        ({"at": "0001-01-01T00:00:00+14:00"}, "at"),
        ({"photo": "x"}, "photo"),
        ({"hashtag": "bar"}, "hashtag"),
        ({"event": "replaced"}, "hashtag"),
        ({"event": "replaced", "hashtag": "#Beach"}, "hashtag"),
        ({"event": "replaced", "hashtag": "two-words"}, "hashtag"),
        ({"event": "replaced", "hashtag": "x" * 51}, "hashtag"),
    ],
)
def test_a_wrong_field_is_named(give: Give, send: Send, fields: dict[str, Any], field: str) -> None:
    assert fault_of(send(event(give(), "shown") | fields))[0] == field


def test_silence_can_only_be_replaced(give: Give, send: Send) -> None:
    assert fault_of(send(event(give(None), "accepted")))[0] == "event"
    assert send(event(give(None), "replaced", hashtag="#Café")).json()["kept"] == 1
    assert list(Feedback.objects.values_list("hashtag", "replaced_by")) == [("", "café")]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "events"),
        ({"events": []}, "events"),
        ({"events": {}}, "events"),
        ({"events": [{}] * 1001}, "events"),
        ({"events": [{}], "photo": 1}, "photo"),
        ([], "events"),
    ],
)
def test_a_request_of_another_shape_is_refused(
    client_for: Callable[..., Client], body: Any, field: str
) -> None:
    response = client_for("network").post(URL, body, content_type="application/json")
    assert (response.status_code, list(response.json())) == (400, [field])


def test_events_that_are_no_objects(send: Send) -> None:
    faults = send(7, "x", None, []).json()["faults"]
    assert [fault["index"] for fault in faults] == [0, 1, 2, 3]


def test_strangers_and_roles_without_the_permission(client_for: Callable[..., Client]) -> None:
    assert Client().post(URL, {"events": []}, content_type="application/json").status_code == 401
    for role in ("viewer", "curator", "validator", "nobody"):
        response = client_for(role).post(URL, {"events": []}, content_type="application/json")
        assert response.status_code == 403, role


def test_rate_limit(give: Give, send: Send, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ScopedRateThrottle, "THROTTLE_RATES", {"feedback": "2/minute"})
    assert [send(event(give(), "shown")).status_code for _ in range(3)] == [200, 200, 429]


def test_a_thousand_events_take_few_queries(
    give: Give, network: User, client_for: Callable[..., Client], django_assert_max_num_queries: Any
) -> None:
    client = client_for("network")
    events = [event(give(), "accepted") for _ in range(1000)]
    limit = 60 if connection.vendor == "sqlite" else 20  # SQLite takes fewer values a statement
    with django_assert_max_num_queries(limit):
        response = client.post(URL, {"events": events}, content_type="application/json")
    assert response.json() == {"kept": 1000, "changed": 1000, "faults": []}
    assert tallied() == {"shown": 1000, "accepted": 1000}


def test_feedback_goes_with_its_model(give: Give, send: Send, tiny_model: TrainedModel) -> None:
    answer = give()
    send(event(answer, "shown"))
    plan = deleting.plan_model(tiny_model)
    assert "1 answer with feedback" in [f"{thing.count} {thing.noun}" for thing in plan.goes]
    deleting.delete_model(model=tiny_model, seen=plan.digest, by=None)
    words = "The model that gave this answer has been deleted."
    assert fault_of(send(event(answer, "accepted"))) == ("answer", words)


@pytest.mark.integration
@pytest.mark.django_db(transaction=True)
def test_batches_at_once_count_every_answer_once(
    give: Give, network: User, client_for: Callable[..., Client], user_for: Callable[..., User]
) -> None:
    """The same batch by four threads, in four orders, while another network writes to the same tallies."""
    events = [event(give(), "accepted") for _ in range(40)]
    other = user_for("network", "another")
    others = [event(give(account=other.pk), "dismissed") for _ in range(40)]
    batches = [(network, events[at:] + events[:at]) for at in (0, 10, 20, 30)] + [(other, others)] * 2
    together = Barrier(len(batches))
    clients = [client_for("network", user.username) for user, _ in batches]

    def write(client: Client, batch: list[dict[str, Any]]) -> int:
        try:
            together.wait()
            response = client.post(URL, {"events": batch}, content_type="application/json")
            return int(response.json()["changed"])
        finally:
            connection.close()

    with ThreadPoolExecutor(len(batches)) as threads:
        changed = list(threads.map(write, clients, [batch for _, batch in batches]))
    assert sum(changed) == 80
    assert tallied() == {"shown": 80, "accepted": 40, "dismissed": 40}
