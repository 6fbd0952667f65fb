"""clients/scenetag.py against the real server."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from pytest_django.live_server_helper import LiveServer
from rest_framework.throttling import SimpleRateThrottle

from clients.scenetag import BadRequest, Client, NotAllowed, ScenetagError, TooFast, Unavailable
from mapping.models import Hashtag
from tests.conftest import api_key
from tests.trainer.conftest import jpeg
from trainer.models import Promotion, TrainedModel

RED, GREEN = jpeg((250, 10, 10)), jpeg((10, 250, 10))
BROKEN = b"no photo"


@pytest.fixture
def key(transactional_db: None, user_for: Callable[..., User]) -> str:
    Hashtag.objects.create(name="beach", posts=300_000_000, source="test", counted_on="2019")
    return api_key(user_for("network"))


@pytest.fixture
def client(live_server: LiveServer, key: str, checking_model: TrainedModel) -> Iterator[Client]:
    def never(seconds: float) -> None:
        raise AssertionError(f"waits {seconds} s")

    with Client(live_server.url, key, sleep=never) as one:
        yield one


def test_one_photo_gets_its_answer(client: Client) -> None:
    answer = client.suggest(RED, max=2, probabilities="all", crop=True)
    assert (answer["hashtag"], answer["file"]) == ("beach", "photo")
    assert set(answer["probabilities"]) == {"beach", "bar", "other"}


@pytest.mark.parametrize("number", [1, 2, 33])
def test_any_number_gets_an_answer_each_in_order(client: Client, number: int) -> None:
    photos = [RED] * (number - 1) + [BROKEN]
    answers = client.suggest_many(photos)
    assert [answer.get("hashtag") for answer in answers] == ["beach"] * (number - 1) + [None]
    assert (answers[-1]["status"], "cannot be read" in answers[-1]["error"]) == (400, True)


def test_a_stream_brings_each_answer(client: Client) -> None:
    hashtags = [answer.get("hashtag", "refused") for answer in client.suggest_stream([RED, BROKEN, RED])]
    assert hashtags == ["beach", "refused", "beach"]


def test_check_feedback_and_model(client: Client) -> None:
    checked = client.check(RED, ["#beach", "#bar"])
    assert [one["verdict"] for one in checked["hashtags"]] == ["fits", "does_not_fit"]
    answer = client.suggest(RED)
    told = client.feedback([{"answer": answer["id"], "event": "accepted"}])
    assert told == {"kept": 1, "changed": 1, "faults": []}
    model = client.model()
    assert model
    assert model["tag"] == answer["model"]
    assert client.model(unless=model["etag"]) is None
    assert client.model(unless="of another") == model


def test_wrong_fields_are_named(client: Client) -> None:
    for ask in (client.suggest, lambda photo, **more: client.suggest_many([photo], **more)):
        with pytest.raises(BadRequest) as caught:
            ask(RED, maximum=2)
        assert (caught.value.status, list(caught.value.fields)) == (400, ["maximum"])


def test_another_key_is_not_allowed(live_server: LiveServer, key: str) -> None:
    with pytest.raises(NotAllowed) as caught:
        Client(live_server.url, "st_invented").suggest(RED)
    assert caught.value.status == 401


def test_too_fast_waits_as_it_is_told(
    live_server: LiveServer, key: str, active_model: TrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SimpleRateThrottle.THROTTLE_RATES, "suggest", "1/minute")
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        cache.clear()  # the minute is over

    client = Client(live_server.url, key, sleep=wait)
    assert [client.suggest(RED)["hashtag"] for _ in range(2)] == ["beach", "beach"]
    assert len(waits) == 1
    assert 50 < waits[0] <= 60
    hasty = Client(live_server.url, key, longest_wait=5, sleep=wait)
    with pytest.raises(TooFast) as caught:
        hasty.suggest(RED)
    assert caught.value.retry_after
    assert caught.value.retry_after > 5
    assert len(waits) == 1


def test_without_a_model_it_does_not_wait(client: Client) -> None:
    Promotion.objects.all().delete()
    with pytest.raises(Unavailable, match="No model is active") as caught:
        client.suggest(RED)
    assert caught.value.status == 503


def test_a_site_that_is_away_is_asked_again() -> None:
    waits: list[float] = []
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # nobody listens
        address = f"http://127.0.0.1:{closed.getsockname()[1]}"
        with pytest.raises(Unavailable) as caught:
            Client(address, "st_x", retries=3, sleep=waits.append).suggest(RED)
    assert (waits, caught.value.status) == ([1.0, 2.0, 4.0], None)
    assert isinstance(caught.value, ScenetagError)


def test_known_options_are_passed_as_the_api_spells_them(client: Client) -> None:
    options: dict[str, Any] = {"crop": False, "max": None}
    assert client.suggest(RED, **options)["hashtag"] == "beach"
