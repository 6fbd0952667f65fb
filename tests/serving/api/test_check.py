"""POST /api/v1/check: a photo and the hashtags that its author gave it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from mapping.hashtags import block, unblock
from mapping.models import Hashtag
from serving.api.check import EXAMPLE
from serving.spelling import LONGEST, MOST
from tests.conftest import api_key
from tests.trainer.conftest import jpeg
from trainer.models import TrainedModel

URL = "/api/v1/check"
RED, GREEN, GREY = (250, 10, 10), (10, 250, 10), (128, 128, 128)
pytestmark = pytest.mark.django_db


@pytest.fixture
def ask(user_for: Callable[..., User]) -> Callable[..., Any]:
    """Post a form as a program with a token. Without a photo, if ``content`` is None."""
    key = api_key(user_for("network"))

    def post(
        *hashtags: str, content: bytes | None = jpeg(RED), query: str = "", token: str = key, **fields: Any
    ) -> Any:
        data: dict[str, Any] = {"hashtags": list(hashtags), **fields}
        if content is not None:
            data["photo"] = SimpleUploadedFile("holiday.jpg", content)
        return Client().post(URL + query, data, headers={"authorization": f"Token {token}"})

    return post


def verdicts(response: Any) -> list[tuple[str, str, str | None]]:
    assert response.status_code == 200, response.content
    return [(row["hashtag"], row["verdict"], row["understood_as"]) for row in response.json()["hashtags"]]


def test_each_hashtag_gets_a_verdict_and_the_post_a_score(
    ask: Callable[..., Any], checking_model: TrainedModel
) -> None:
    answer = ask("beach", "bar", "love").json()
    assert answer["file"] == "holiday.jpg"
    first, second, third = answer["hashtags"]
    assert (first["verdict"], first["reason"]) == ("fits", "The photo looks like #beach.")
    assert first["probability"] > 0.9
    assert second["verdict"] == "does_not_fit"
    assert second["reason"] == "The photo does not look like #bar; it looks more like #beach."
    assert second["probability"] < 0.1
    assert (third["verdict"], third["probability"], third["understood_as"]) == ("unknown", None, None)
    assert answer["score"] == {
        "judged": 2,
        "fitting": 1,
        "doubtful": 0,
        "not_fitting": 1,
        "share": 0.5,
        "sentence": "1 of 2 popular hashtags does not belong.",
    }
    assert {*answer} == {*EXAMPLE}
    assert {*first} == {*EXAMPLE["hashtags"][0]}  # type: ignore[index]


def test_a_photo_that_does_not_settle_it_is_doubtful_and_no_accusation(
    ask: Callable[..., Any], checking_model: TrainedModel
) -> None:
    answer = ask("beach", "bar", content=jpeg(GREY)).json()
    assert [row["verdict"] for row in answer["hashtags"]] == ["doubtful", "doubtful"]
    assert answer["score"]["doubtful"] == 2
    assert answer["score"]["sentence"] == "None of 2 popular hashtags is out of place."


def test_probabilities_are_answers_to_questions_of_their_own(
    ask: Callable[..., Any], checking_model: TrainedModel
) -> None:
    """Here the shares of beach, bar and other are a third each."""
    rows = ask("beach", "bar", content=jpeg(GREY)).json()["hashtags"]
    assert rows[0]["probability"] == rows[1]["probability"] > 0.36


def test_spellings_of_one_hashtag_are_understood_and_count_once(
    ask: Callable[..., Any], checking_model: TrainedModel
) -> None:
    response = ask("#Beaches", "BEACH", "be-ach 🏖", "saloon", "#Bars")
    assert verdicts(response) == [
        ("Beaches", "fits", "beach"),
        ("BEACH", "fits", "beach"),
        ("be-ach 🏖", "fits", "beach"),
        ("saloon", "does_not_fit", "bar"),
        ("Bars", "does_not_fit", "bar"),
    ]
    how = [row["understood_by"] for row in response.json()["hashtags"]]
    assert how == ["plural", "spelling", "spelling", "synonym", "plural"]
    assert response.json()["score"]["judged"] == 2


@pytest.mark.parametrize(
    "text", ["#beach #love #bar", "beach, love,,bar", "beach\nlove\r\nbar,", "＃beach＃love #bar"]
)
def test_one_field_may_hold_several_hashtags(
    ask: Callable[..., Any], checking_model: TrainedModel, text: str
) -> None:
    assert [row[0] for row in verdicts(ask(text))] == ["beach", "love", "bar"]


@pytest.mark.parametrize("written", ["other", "#Other", "🏖", "1234", "пляж", "…"])
def test_what_is_no_hashtag_of_the_model_is_unknown(
    ask: Callable[..., Any], checking_model: TrainedModel, written: str
) -> None:
    response = ask(written)
    assert [row[1:] for row in verdicts(response)] == [("unknown", None)]
    score = response.json()["score"]
    assert (score["judged"], score["share"]) == (0, None)
    assert score["sentence"] == "The model knows none of these hashtags."


def test_blocked_hashtag_is_neither_judged_nor_named_as_likelier(
    ask: Callable[..., Any], checking_model: TrainedModel, user_for: Callable[..., User]
) -> None:
    beach = Hashtag.objects.create(name="beach", posts=300_000_000, source="test", counted_on="2019")
    block(hashtag_id=beach.pk, why="too vague", by=user_for("admin"))
    answer = ask("#Beaches", "bar").json()
    first, second = answer["hashtags"]
    assert (first["verdict"], first["probability"], first["understood_as"]) == ("unknown", None, "beach")
    assert "blocked" in first["reason"]
    assert second["reason"] == "The photo does not look like #bar."
    assert answer["score"]["judged"] == 1
    unblock(hashtag_id=beach.pk, by=user_for("admin"))
    assert ask("beach").json()["hashtags"][0]["verdict"] == "fits"


@pytest.mark.parametrize(
    ("hashtags", "words"),
    [
        ([], "at least one"),
        (["", " , #"], "at least one"),
        (["beach"] * 200, f"more than {MOST}"),
        ([",".join(["beach"] * (MOST + 1))], f"more than {MOST}"),
        (["beach", "x" * (LONGEST + 1)], f"Hashtag 2 has {LONGEST + 1} characters"),
    ],
)
def test_list_that_cannot_be_used_says_why(
    ask: Callable[..., Any], checking_model: TrainedModel, hashtags: list[str], words: str
) -> None:
    response = ask(*hashtags)
    assert (response.status_code, [*response.json()]) == (400, ["hashtags"])
    assert words in response.json()["hashtags"][0]


def test_as_many_hashtags_as_are_allowed(ask: Callable[..., Any], checking_model: TrainedModel) -> None:
    assert len(verdicts(ask(*["beach"] * MOST))) == MOST


def test_unknown_and_misplaced_fields_are_refused_by_name(
    ask: Callable[..., Any], checking_model: TrainedModel
) -> None:
    assert [*ask("beach", tags="bar").json()] == ["tags"]
    assert [*ask("beach", query="?model=3").json()] == ["model"]
    assert [*ask("beach", query="?hashtags=bar").json()] == ["hashtags"]
    upload = {"hashtags": SimpleUploadedFile("x.txt", b"beach")}
    assert [*ask(**upload).json()] == ["hashtags"]
    two = [SimpleUploadedFile("1.jpg", jpeg(RED)), SimpleUploadedFile("2.jpg", jpeg(GREEN))]
    response = ask("beach", content=None, photo=two)
    assert (response.status_code, [*response.json()]) == (400, ["photo"])


@pytest.mark.parametrize("content", [None, b"", b"not a photo", jpeg(size=(300, 300))[:-400]])
def test_photo_that_is_missing_or_broken_names_its_field(
    ask: Callable[..., Any], checking_model: TrainedModel, content: bytes | None
) -> None:
    response = ask("beach", content=content)
    assert (response.status_code, [*response.json()]) == (400, ["photo"])


def test_only_a_form_is_taken(checking_model: TrainedModel, user_for: Callable[..., User]) -> None:
    headers = {"authorization": f"Token {api_key(user_for('network'))}"}
    assert Client().post(URL, jpeg(RED), content_type="image/jpeg", headers=headers).status_code == 415
    assert Client().post(URL, {}, content_type="application/json", headers=headers).status_code == 415


def test_model_without_checks_says_so_and_goes_on_suggesting(
    ask: Callable[..., Any], active_model: TrainedModel, client_for: Callable[..., Client]
) -> None:
    response = ask("beach")
    assert response.status_code == 503
    assert "cannot check hashtags" in response.json()["detail"]
    upload = {"photo": SimpleUploadedFile("x.jpg", jpeg(RED))}
    assert client_for("network").post("/api/v1/suggest", upload).json()["hashtag"] == "beach"


def test_without_an_active_model(ask: Callable[..., Any]) -> None:
    assert ask("beach").status_code == 503


def test_who_may_and_a_repeated_request(
    ask: Callable[..., Any], checking_model: TrainedModel, client_for: Callable[..., Client]
) -> None:
    assert ask("beach").content == ask("beach").content
    assert ask("beach", token="wrong").status_code == 401
    for role in ("validator", "viewer", "curator"):
        assert client_for(role).post(URL, {"hashtags": "beach"}).status_code == 403


def test_hashtag_that_no_database_stores_is_refused(
    ask: Callable[..., Any], checking_model: TrainedModel
) -> None:
    answer = ask("bea\0ch", author="ann", post="1")
    assert (answer.status_code, [*answer.json()]) == (400, ["hashtags"])
