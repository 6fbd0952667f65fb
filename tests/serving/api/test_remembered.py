"""The same photo again: answered from the cache, by the same rules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import redis
from django.conf import settings as django_settings
from django.contrib.auth.models import User
from django.core.cache import caches

from jobs import broker
from mapping.hashtags import block, unblock
from mapping.models import Hashtag
from tests.conftest import RealValkey, api_key
from tests.serving.conftest import Send, without_id
from tests.trainer.conftest import jpeg
from tests.trainer.test_suggest import REDDISH
from trainer.engine.serving.prepare import AS_IT_IS
from trainer.models import TrainedModel
from trainer.registry import answer_cache, serving
from trainer.registry.promotion import promote, roll_back

URL = "/api/v1/suggest"
RED = (250, 10, 10)
pytestmark = pytest.mark.django_db
PHOTO = [("x.jpg", jpeg(RED))]
REDIS: Any = redis.Redis.from_url(django_settings.REDIS_URL)


def test_the_same_photo_is_judged_once(
    send: Send, generous_model: TrainedModel, network_runs: list[int]
) -> None:
    photo = [("x.jpg", jpeg(REDDISH))]
    first = without_id(send(URL, photo, probabilities="all").json())
    assert without_id(send(URL, photo, probabilities="all").json()) == first
    assert network_runs == [1]
    again = send(URL, [("y.jpg", jpeg(REDDISH))], max="3").json()
    assert (len(again["hashtags"]), again["file"]) == (2, "y.jpg")  # a verdict of its own
    assert network_runs == [1]
    for count, fields in enumerate([{"crop": "1"}, {"tta": "1"}, {"tta": "2"}], 2):
        send(URL, photo, **fields)
        assert len(network_runs) == count
    send(URL, [("x.jpg", jpeg((250, 11, 10)))])
    assert len(network_runs) == 5


def test_what_is_blocked_holds_for_remembered_photos(
    send: Send, active_model: TrainedModel, user_for: Callable[..., User], network_runs: list[int]
) -> None:
    beach = Hashtag.objects.create(name="beach", posts=300_000_000, source="test", counted_on="2019")
    assert send(URL, PHOTO).json()["hashtag"] == "beach"
    block(hashtag_id=beach.pk, why="too vague", by=user_for("admin"))
    assert "beach" not in send(URL, PHOTO, probabilities="all", max="3").content.decode()
    unblock(hashtag_id=beach.pk, by=user_for("admin"))
    assert send(URL, PHOTO).json()["hashtag"] == "beach"
    assert network_runs == [1]


def test_each_model_and_each_account_has_its_own(
    send: Send,
    active_model: TrainedModel,
    generous_model: TrainedModel,
    model_for: Callable[..., TrainedModel],
    user_for: Callable[..., User],
    network_runs: list[int],
) -> None:
    assert send(URL, PHOTO).json()["confidence"] < 0.7
    other = api_key(user_for("network", "another"))
    send(URL, PHOTO, token=other)
    assert network_runs == [1, 1]
    cold = model_for("Cold", manifest=active_model.manifest)
    cold.folder.mkdir()
    for name in ("model.onnx", "manifest.json"):
        content = (active_model.folder / name).read_bytes()
        (cold.folder / name).write_bytes(content.replace(b'"temperature": 10000', b'"temperature": 1'))
    promote(model=cold, by=None)
    assert send(URL, PHOTO).json()["confidence"] == 1
    roll_back(by=None)
    assert send(URL, PHOTO).json()["confidence"] < 0.7
    assert network_runs == [1, 1, 1]


def test_a_cache_of_one_place_forgets_the_earlier_photo(
    send: Send, active_model: TrainedModel, network_runs: list[int], settings: Any
) -> None:
    settings.SUGGEST_CACHE_ENTRIES = 1
    other = [("y.jpg", jpeg((10, 10, 250)))]
    assert send(URL, PHOTO).json()["hashtag"] == "beach"
    assert send(URL, other).json()["hashtag"] is None
    assert send(URL, PHOTO).json()["hashtag"] == "beach"
    assert network_runs == [1, 1, 1]
    assert len(REDIS.keys("*answer:*")) == 1


@pytest.mark.parametrize("name", ["SUGGEST_CACHE_SECONDS", "SUGGEST_CACHE_ENTRIES"])
def test_it_can_be_turned_off(
    send: Send, active_model: TrainedModel, network_runs: list[int], settings: Any, name: str
) -> None:
    setattr(settings, name, 0)
    assert without_id(send(URL, PHOTO).json()) == without_id(send(URL, PHOTO).json())
    assert network_runs == [1, 1]


def test_entries_end(send: Send, active_model: TrainedModel, settings: Any) -> None:
    settings.SUGGEST_CACHE_SECONDS = 100
    send(URL, PHOTO)
    (key,) = REDIS.keys("*answer:*")
    assert 0 < REDIS.ttl(key) <= 100


def test_what_cannot_be_read_is_not_kept(
    send: Send, active_model: TrainedModel, network_runs: list[int]
) -> None:
    assert [send(URL, [("x.jpg", b"no")]).status_code for _ in range(2)] == [400, 400]
    assert network_runs == [1, 1]


def test_without_valkey_every_photo_is_judged(
    send: Send, active_model: TrainedModel, network_runs: list[int], valkey: RealValkey
) -> None:
    assert send(URL, PHOTO).json()["hashtag"] == "beach"
    valkey.stop()
    try:
        assert [send(URL, PHOTO).json()["hashtag"] for _ in range(2)] == ["beach", "beach"]
    finally:
        valkey.start()
    assert network_runs == [1, 1, 1]
    broker.forget()
    send(URL, PHOTO)
    send(URL, PHOTO)
    assert network_runs == [1, 1, 1, 1]


def test_a_broken_entry_counts_as_none(
    send: Send, active_model: TrainedModel, network_runs: list[int], user_for: Callable[..., User]
) -> None:
    """Such as one of an earlier version of the site, or of a hash with the same place."""
    network = serving.suggester()
    key = answer_cache.Key.of(
        jpeg(RED),
        network=network.digest,
        preparation=AS_IT_IS,
        owner=user_for("network").pk,
    )
    caches["shared"].set(key.place, (b"another digest", b"", None, False))
    assert send(URL, PHOTO).json()["hashtag"] == "beach"
    assert network_runs == [1]
