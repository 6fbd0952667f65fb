"""A broker or a database that is away: what can go on does, the rest says 503 and when to come again."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from django.contrib.messages.storage.base import BaseStorage
from django.db import InterfaceError, OperationalError, connection
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoCaptureOnCommitCallbacks

from hashtags_site.outages import is_outage
from jobs import broker, queue
from jobs.models import Job
from mapping.api.base import WriteThrottle
from tests.conftest import RealValkey
from validation.people.guests import NewGuests

CSV = "class,hashtag\na/abbey,art\n"


@pytest.fixture(params=["ended", "hung"])
def broker_away(request: pytest.FixtureRequest, valkey: RealValkey) -> Iterator[None]:
    if request.param == "ended":
        valkey.stop()
        yield
        valkey.start()
    else:
        valkey.process.send_signal(signal.SIGSTOP)
        yield
        valkey.process.send_signal(signal.SIGCONT)


def undo(client: Client) -> int:
    fields = {"change": 1}
    return client.post("/api/v1/mapping/undo", fields, content_type="application/json").status_code


@pytest.mark.django_db
def test_what_needs_no_broker_goes_on(
    broker_away: None,
    client_for: Callable[..., Client],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And who waited for the broker once does not wait again: one attempt in all these requests."""
    monkeypatch.setattr(WriteThrottle, "rate", "3/minute")
    client = client_for("curator")
    assert [undo(client) for _ in range(4)] == [404, 404, 404, 429]  # no such change, then too often

    suggestion = client_for("network").post("/api/v1/suggest")
    assert (suggestion.status_code, list(suggestion.json())) == (400, ["photo"])

    page = client.post("/mapping/import/", {"text": CSV})
    assert (page.status_code, page["Retry-After"]) == (503, "10")
    assert "does not answer at the moment" in page.content.decode()
    assert '<a href="/mapping/"' in page.content.decode()  # the navigation
    data = client.post("/mapping/import/", {"text": CSV}, headers={"accept": "application/json"})
    assert (data.status_code, data["Retry-After"], list(data.json())) == (503, "10", ["detail"])
    assert [record.name for record in caplog.records].count("jobs.broker") == 1


@pytest.mark.django_db
def test_guests_are_still_counted(broker_away: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NewGuests, "rate", "2/hour", raising=False)
    request = Client().get("/login/").wsgi_request
    assert [NewGuests().allow_request(request, None) for _ in range(3)] == [True, True, False]  # type: ignore[arg-type]


@pytest.mark.django_db
def test_job_is_sent_when_the_broker_is_back(
    valkey: RealValkey, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    valkey.stop()
    try:
        with django_capture_on_commit_callbacks(execute=True):
            job = queue.enqueue(kind="test", title="A test job", by=None)
    finally:
        valkey.start()
    job.refresh_from_db()
    assert (job.state, job.sent_at) == (Job.State.QUEUED, None)
    broker.forget()
    Job.objects.update(created_at=timezone.now() - timedelta(minutes=1))
    with django_capture_on_commit_callbacks(execute=True):
        assert queue.resend_forgotten() == 1
    job.refresh_from_db()
    assert job.sent_at


# --- the database -----------------------------------------------------------------------------


@pytest.fixture
def lock(transactional_db: None) -> Iterator[None]:
    """Somebody else writes jobs and does not end. This process waits for a moment only."""
    other = connection.copy()
    with connection.cursor() as cursor, other.cursor() as elsewhere:
        if connection.vendor == "sqlite":
            cursor.execute("PRAGMA busy_timeout = 20")
            elsewhere.execute("BEGIN IMMEDIATE")
        else:
            cursor.execute("SET lock_timeout = '20ms'")
            elsewhere.execute("BEGIN")
            elsewhere.execute("LOCK TABLE jobs_job IN EXCLUSIVE MODE")
        yield
        elsewhere.execute("ROLLBACK")
    other.close()
    connection.close()  # with its impatience


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_write_under_a_long_lock_is_to_be_sent_again(
    client_for: Callable[..., Client], request: pytest.FixtureRequest
) -> None:
    client = client_for("admin")
    job = Job.objects.create(kind="test", title="A test job")
    request.getfixturevalue("lock")
    address = f"/jobs/{job.pk}/cancel/"
    page = client.post(address)
    assert (page.status_code, page["Retry-After"]) == (503, "10")
    assert "The database is busy" in page.content.decode()
    assert 'href="/jobs/"' in page.content.decode()
    data = client.post(address, headers={"accept": "application/json"})
    assert (data.status_code, data["Retry-After"]) == (503, "10")
    assert "The database is busy" in data.json()["detail"]


@pytest.mark.django_db
def test_outage_outside_a_view_is_one_too(
    client_for: Callable[..., Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sessions and messages are saved by middleware."""

    def fail(*_: object) -> None:
        raise OperationalError("the connection is lost")

    client = client_for("admin")
    client.raise_request_exception = False
    monkeypatch.setattr(BaseStorage, "update", fail)  # a fake: it stands for a database that goes away there
    answer = client.get("/jobs/", headers={"accept": "application/json"})
    assert (answer.status_code, answer["Retry-After"]) == (503, "10")


@pytest.mark.django_db
def test_voter_reads_it_in_their_language(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise InterfaceError("the connection is closed")

    monkeypatch.setattr("validation.people.guests.campaign_of", fail)
    page = client.get("/validation/join/x/", headers={"accept-language": "ru"})
    assert page.status_code == 503
    assert "База данных занята" in page.content.decode()


@pytest.mark.django_db
def test_wrong_statement_is_no_outage() -> None:
    with pytest.raises(OperationalError) as error, connection.cursor() as cursor:  # SQLite's kind for both
        cursor.execute("SELECT 1 FROM nowhere")
    assert not is_outage(error.value)
    assert not is_outage(ValueError())
