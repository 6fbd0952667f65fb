"""/health/ says a word for each part, and 503 only for what the site cannot do without."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from hashtags_site import health, views
from hashtags_site.health import Health, Part
from tests.conftest import RealValkey

pytestmark = pytest.mark.django_db
WHOLE = {
    "status": "ok",
    "disk": {"status": "ok", "word": "writable"},
    "database": {"status": "ok", "word": "answers"},
    "broker": {"status": "ok", "word": "answers"},
}


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    views._health.cache_clear()
    views._readiness.cache_clear()
    yield
    views._health.cache_clear()  # a part that fails here must not fail in other tests
    views._readiness.cache_clear()


@pytest.mark.postgres
def test_stranger_reads_a_word_for_each_part(client: Client) -> None:
    answer = client.get("/health/")
    assert (answer.status_code, answer.json()) == (200, WHOLE)
    assert "no-cache" in answer["Cache-Control"]


def test_site_works_without_the_broker(client: Client, valkey: RealValkey) -> None:
    valkey.stop()
    try:
        answer = client.get("/health/")
    finally:
        valkey.start()
    assert answer.status_code == 200
    assert answer.json() == WHOLE | {"status": "degraded", "broker": {"status": "failed", "word": "away"}}


@pytest.mark.parametrize("word", ["full", "unwritable"])
def test_site_needs_its_disk(client: Client, monkeypatch: pytest.MonkeyPatch, word: str) -> None:
    if word == "full":
        monkeypatch.setattr(health, "FREE_BYTES", 10**18)
    else:
        monkeypatch.setattr(health, "FREE_BYTES", 0)
        monkeypatch.setattr(settings, "MEDIA_ROOT", Path("/proc/self"))  # not even root can write there
    answer = client.get("/health/")
    assert answer.status_code == 503
    assert answer.json() == WHOLE | {"status": "failed", "disk": {"status": "failed", "word": word}}


@pytest.fixture
def hang() -> Iterator[tuple[Part, list[int]]]:
    """A check that hangs, and how often it was begun."""
    end, begun = threading.Event(), []

    def check() -> str:
        begun.append(1)
        end.wait()
        return "answers"

    yield Part(check, is_vital=True), begun
    end.set()


def test_part_that_hangs_is_silent_and_asked_once(
    hang: tuple[Part, list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "PATIENCE", 0.05)
    monkeypatch.setattr(health, "FRESH", 0)
    part, begun = hang
    one = Health()
    one.parts["database"] = part
    for _ in range(3):
        report, is_useful = one.report()
        assert report["database"] == {"status": "failed", "word": "silent"}
        assert not is_useful
    assert len(begun) == 1


def test_crowd_asks_each_part_once_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "FRESH", 3600)
    numbers = iter(range(50))
    part = Part(lambda: str(next(numbers)), is_vital=True)
    for _ in range(50):
        part.ask()
        assert part.wait().word == "0"


def test_process_is_alive_whatever_is_away(
    client: Client, valkey: RealValkey, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    valkey.stop()
    try:
        with django_assert_num_queries(0):
            answer = client.get("/health/live")
    finally:
        valkey.start()
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


@pytest.mark.postgres
def test_site_is_ready_when_every_part_is_there(client: Client) -> None:
    answer = client.get("/health/ready")
    assert (answer.status_code, answer.json()["status"]) == (200, "ok")
    assert answer.json().keys() == {"status", "storage", "database", "migrations", "broker"}


def test_site_is_not_ready_before_it_is_migrated(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    needed = health.needed_migrations() | {("mapping", "9999_of_tomorrow")}
    monkeypatch.setattr(health, "needed_migrations", lambda: needed)
    answer = client.get("/health/ready")
    assert (answer.status_code, answer.json()["status"]) == (503, "failed")
    assert answer.json()["migrations"] == {"status": "failed", "word": "pending"}


def test_site_is_not_ready_without_the_broker(client: Client, valkey: RealValkey) -> None:
    valkey.stop()
    try:
        answer = client.get("/health/ready")
    finally:
        valkey.start()
    assert (answer.status_code, answer.json()["broker"]) == (503, {"status": "failed", "word": "away"})
