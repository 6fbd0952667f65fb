"""What a request for hashtags may ask for, and that everything else is refused by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from mapping.hashtags import block
from mapping.models import Hashtag
from tests.conftest import api_key
from tests.serving.conftest import Send, wide_photo
from tests.trainer.conftest import jpeg
from tests.trainer.test_suggest import REDDISH
from trainer.models import TrainedModel

URLS = ["/api/v1/suggest", "/api/v1/suggest/stream"]
RED, BLUE = (250, 10, 10), (10, 10, 250)
pytestmark = pytest.mark.django_db


def first(response: Any) -> dict[str, Any]:
    """The answer, or the first line of a stream."""
    assert response.status_code == 200, response.content
    if not response.streaming:
        return response.json()  # type: ignore[no-any-return]
    return json.loads(b"".join(response.streaming_content).splitlines()[0])  # type: ignore[no-any-return]


@pytest.mark.parametrize("url", URLS)
def test_up_to_max_hashtags_each_over_its_threshold(
    send: Send, generous_model: TrainedModel, url: str
) -> None:
    photo = [("x.jpg", jpeg(REDDISH))]
    one, two, three = (first(send(url, photo, **fields)) for fields in ({}, {"max": "2"}, {"max": "3"}))
    assert one["hashtag"] == two["hashtag"] == three["hashtag"] == "beach"
    assert [item["hashtag"] for item in one["hashtags"]] == ["beach"]
    assert [item["hashtag"] for item in two["hashtags"]] == ["beach", "bar"]
    assert two["hashtags"] == three["hashtags"] == two["candidates"][:2]
    silent = first(send(url, [("x.jpg", jpeg(BLUE))], max="3"))
    assert (silent["hashtag"], silent["hashtags"]) == (None, [])


@pytest.mark.parametrize("url", URLS)
def test_centre_copies_and_probabilities(send: Send, generous_model: TrainedModel, url: str) -> None:
    photo = [("x.jpg", wide_photo(BLUE, RED))]
    whole, centre, copied = (
        first(send(url, photo, probabilities="all", **fields))
        for fields in ({}, {"crop": "true"}, {"tta": "2"})
    )
    assert (whole["hashtag"], centre["hashtag"]) == (None, "beach")
    assert whole["probabilities"] != copied["probabilities"]
    assert sum(whole["probabilities"].values()) == pytest.approx(1, abs=2e-4)
    assert "probabilities" not in first(send(url, photo))


def test_blocked_hashtags_have_no_probability(
    send: Send, generous_model: TrainedModel, user_for: Any
) -> None:
    beach = Hashtag.objects.create(name="beach", posts=300_000_000, source="test", counted_on="2019")
    block(hashtag_id=beach.pk, why="too vague", by=user_for("admin"))
    answer = first(send(URLS[0], [("x.jpg", jpeg(RED))], probabilities="all"))
    assert set(answer["probabilities"]) == {"bar", "other"}


@pytest.mark.parametrize("url", URLS)
@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("max", "0", "greater than or equal to 1"),
        ("max", "4", "less than or equal to 3"),
        ("max", "two", "A valid integer is required"),
        ("max", "", "A valid integer is required"),
        ("tta", "9", "less than or equal to 8"),
        ("crop", "middle", "Must be a valid boolean"),
        ("probabilities", "some", "not a valid choice"),
        ("maximum", "2", "Unknown field. Known: crop, max, photo, probabilities, tta."),
        ("photo", "x.jpg", "must be a file"),
    ],
)
def test_wrong_fields_are_named_in_form_and_address(
    send: Send, active_model: TrainedModel, url: str, field: str, value: str, words: str
) -> None:
    photos = [("x.jpg", jpeg(RED))]
    in_address = send(f"{url}?{field}={value}", photos)
    answers = [in_address]
    if field != "photo":
        answers.append(send(url, photos, **{field: value}))
    for answer in answers:
        assert answer.status_code == 400
        assert list(answer.json()) == [field]
        assert words in answer.json()[field][0]


@pytest.mark.parametrize("url", URLS)
def test_second_values_and_unknown_files_are_refused(
    send: Send, active_model: TrainedModel, url: str
) -> None:
    photos = [("x.jpg", jpeg(RED))]
    twice = {"max": ["This field is given more than once."]}
    assert send(f"{url}?max=1&max=2", photos).json() == twice
    assert send(url, photos, max=["1", "2"]).json() == twice
    assert send(f"{url}?max=2", photos, max="2").json() == twice
    answer = send(url, photos, image=SimpleUploadedFile("y.jpg", jpeg(BLUE)))
    assert (answer.status_code, list(answer.json())) == (400, ["image"])


def test_all_that_is_wrong_is_told_at_once(send: Send, active_model: TrainedModel) -> None:
    answer = send("/api/v1/suggest?max=9&x=1&" + "y" * 10_000, [("x.jpg", jpeg(RED))], tta="no")
    assert list(answer.json()) == ["max", "tta", "x", "y" * 50]


def test_options_of_a_photo_that_is_the_whole_body(
    user_for: Callable[..., User], generous_model: TrainedModel
) -> None:
    headers = {"authorization": f"Token {api_key(user_for('network'))}"}

    def post(query: str) -> Any:
        return Client().post(f"/api/v1/suggest?{query}", jpeg(REDDISH), "image/jpeg", headers=headers)

    assert len(post("max=2").json()["hashtags"]) == 2
    assert post("tags=2").status_code == 400
