"""Several photos in a request: answered in order, each with its own error; and line by line."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.db import OperationalError
from django.test import Client
from rest_framework.throttling import ScopedRateThrottle

from hashtags_site import outages
from mapping.hashtags import block, blocked_names
from mapping.models import Hashtag
from tests.conftest import api_key
from tests.serving.conftest import Send, without_id
from tests.trainer.conftest import jpeg
from trainer.engine.budget import DECODING
from trainer.models import Promotion, TrainedModel
from trainer.registry import serving

SUGGEST, STREAM = "/api/v1/suggest", "/api/v1/suggest/stream"
RED, BLUE = (250, 10, 10), (10, 10, 250)
pytestmark = pytest.mark.django_db


def photos(count: int) -> list[tuple[str, bytes]]:
    """Different reds, by number."""
    return [(f"{i}.jpg", jpeg((250, i % 100, 10))) for i in range(count)]


def answers_of(response: Any) -> list[dict[str, Any]]:
    assert response.status_code == 200, response.content
    if not response.streaming:
        return response.json()["answers"]  # type: ignore[no-any-return]
    assert response["Content-Type"] == "application/x-ndjson"
    return [json.loads(line) for line in b"".join(response.streaming_content).splitlines()]


@pytest.mark.parametrize(("url", "most"), [(SUGGEST, 32), (STREAM, 500)])
def test_as_many_photos_as_are_allowed_and_one_more(
    send: Send, active_model: TrainedModel, monkeypatch: pytest.MonkeyPatch, url: str, most: int
) -> None:
    monkeypatch.setitem(ScopedRateThrottle.THROTTLE_RATES, "suggest", "9999/minute")
    answers = answers_of(send(url, photos(most)))
    assert [answer["file"] for answer in answers] == [f"{i}.jpg" for i in range(most)]
    assert {answer["hashtag"] for answer in answers} == {"beach"}
    refused = send(url, photos(most + 1))
    assert refused.status_code == 400
    words = f"These are {most + 1} photos; one request takes at most {most}."
    assert refused.json() == {"photo": [words]}


@pytest.mark.parametrize("url", [SUGGEST, STREAM])
def test_errors_stand_in_their_place(
    send: Send, active_model: TrainedModel, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setattr(settings, "MAX_PHOTO_BYTES", 5_000)
    sent = [("good.jpg", jpeg(RED)), ("bad.jpg", b"no"), ("huge.jpg", bytes(5_001)), ("blue.jpg", jpeg(BLUE))]
    good, bad, huge, blue = answers_of(send(url, sent))
    assert (good["file"], good["hashtag"]) == ("good.jpg", "beach")
    words = "This photo cannot be read: not a photo in a format we know."
    assert bad == {"file": "bad.jpg", "error": words, "status": 400}
    assert (huge["file"], huge["status"]) == ("huge.jpg", 413)
    assert (blue["file"], blue["reason"][:5]) == ("blue.jpg", "other")


@pytest.mark.parametrize("url", [SUGGEST, STREAM])
def test_busy_decoders_and_a_lost_database_are_the_photos_own_errors(
    send: Send, active_model: TrainedModel, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    """Also while a stream runs, when the middleware has ended: without its patience this would wait."""
    monkeypatch.setattr(outages, "PATIENCE", 0)
    real = blocked_names
    asked: list[int] = []

    def lost_once() -> frozenset[str]:
        asked.append(1)
        if len(asked) == 2:
            raise OperationalError("the connection is lost")
        return real()

    monkeypatch.setattr(serving, "blocked_names", lost_once)
    response = send(url, photos(3))
    first, second, third = answers_of(response)
    assert (first["hashtag"], second["status"], third["hashtag"]) == ("beach", 503, "beach")
    with DECODING.share(DECODING.size):
        busy = answers_of(send(url, [("x.jpg", jpeg((1, 2, 3))), ("y.jpg", jpeg((3, 2, 1)))]))
    assert [(one["status"], "being opened" in one["error"]) for one in busy] == [(503, True)] * 2


def test_each_line_is_sent_before_the_next_photo_is_judged(
    send: Send, active_model: TrainedModel, network_runs: list[int]
) -> None:
    response = send(STREAM, [*photos(1), ("bad.jpg", b"no"), ("blue.jpg", jpeg(BLUE))])
    lines = iter(response.streaming_content)
    assert network_runs == []
    for count, file in enumerate(["0.jpg", "bad.jpg", "blue.jpg"], 1):
        line = next(lines)
        assert line.endswith(b"\n")
        assert json.loads(line)["file"] == file
        assert len(network_runs) == count
    assert next(lines, None) is None


def test_a_stream_keeps_its_model_and_obeys_a_curator(
    send: Send,
    active_model: TrainedModel,
    model_for: Callable[..., TrainedModel],
    user_for: Callable[..., User],
) -> None:
    beach = Hashtag.objects.create(name="beach", posts=300_000_000, source="test", counted_on="2019")
    response = send(STREAM, photos(3))
    lines = iter(response.streaming_content)
    first = json.loads(next(lines))
    Promotion.objects.create(model=model_for("Not even exported"))
    second = json.loads(next(lines))
    block(hashtag_id=beach.pk, why="too vague", by=user_for("admin"))
    third = json.loads(next(lines))
    assert (first["hashtag"], second["hashtag"], third["hashtag"]) == ("beach", "beach", None)
    assert first["model"] == second["model"] != third["model"]


def test_one_photo_in_a_stream_is_one_line(send: Send, active_model: TrainedModel) -> None:
    (answer,) = answers_of(send(STREAM, photos(1)))
    assert without_id(answer) == without_id(send(SUGGEST, photos(1)).json())
    (broken,) = answers_of(send(STREAM, [("x.jpg", b"no")]))
    assert broken["status"] == 400


@pytest.mark.parametrize("accept", ["*/*", "application/json", "application/x-ndjson"])
def test_errors_before_the_first_line_are_json(
    send: Send, active_model: TrainedModel, client_for: Callable[..., Client], accept: str
) -> None:
    client = client_for("network")
    headers = {"accept": accept}
    refused = client.post(STREAM, {"x": "1"}, headers=headers)
    assert (refused.status_code, list(refused.json())) == (400, ["x"])
    assert client.post(STREAM, {}, headers=headers).status_code == 400
    assert client.post(STREAM, jpeg(RED), "image/jpeg", headers=headers).status_code == 415


def test_the_rate_counts_photos(
    send: Send, active_model: TrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ScopedRateThrottle.THROTTLE_RATES, "suggest", "5/minute")
    assert send(SUGGEST, photos(3)).status_code == 200
    refused = send(STREAM, photos(3))
    assert (refused.status_code, 50 < int(refused["Retry-After"]) <= 60) == (429, True)
    assert answers_of(send(STREAM, photos(2)))[1]["hashtag"] == "beach"
    assert send(SUGGEST, photos(1)).status_code == 429
    never = send(SUGGEST, photos(6))
    assert never.json() == {"photo": ["These are 6 photos; this token may send 5/minute."]}


def test_a_tokens_own_rate_counts_photos_too(
    send: Send, active_model: TrainedModel, user_for: Callable[..., User]
) -> None:
    key = api_key(user_for("network"), rate="40/minute")
    assert len(answers_of(send(SUGGEST, photos(30), token=key))) == 30
    assert send(STREAM, photos(30), token=key).status_code == 429
    assert send(STREAM, photos(30), token=api_key(user_for("network"))).status_code == 200


def test_a_token_without_the_scope_is_refused(
    send: Send, active_model: TrainedModel, user_for: Callable[..., User]
) -> None:
    key = api_key(user_for("network"), ["feedback"])
    assert send(STREAM, photos(1), token=key).status_code == 403
    model = Client().get("/api/v1/model", headers={"authorization": f"Token {key}"})
    assert (model.status_code, "scope “suggest”" in model.json()["detail"]) == (403, True)


def test_who_may(send: Send, active_model: TrainedModel, client_for: Callable[..., Client]) -> None:
    assert send(STREAM, photos(1), token="wrong").status_code == 401
    for role in ("viewer", "curator", "validator", "nobody"):
        assert client_for(role).post(STREAM, {}).status_code == 403


def test_without_a_model_it_is_503_before_the_first_line(send: Send, tiny_model: TrainedModel) -> None:
    for url in (SUGGEST, STREAM):
        assert send(url, photos(2)).status_code == 503
