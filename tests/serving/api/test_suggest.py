"""POST /api/v1/suggest, and the command that gives a program its token."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import Group, User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.test import Client
from pytest_django import DjangoAssertNumQueries
from rest_framework.throttling import ScopedRateThrottle

from hashtags_site import outages
from mapping.hashtags import block, unblock
from mapping.models import Hashtag
from tests.conftest import api_key
from tests.trainer.conftest import jpeg, write
from tests.trainer.photosets.test_layout import png_header
from trainer.engine import opening
from trainer.engine.budget import DECODING, Budget
from trainer.models import Promotion, TrainedModel
from trainer.registry import serving

URL = "/api/v1/suggest"
RED, GREEN, BLUE = (250, 10, 10), (10, 250, 10), (10, 10, 250)
pytestmark = pytest.mark.django_db


@pytest.fixture
def ask(user_for: Callable[..., User]) -> Callable[..., Any]:
    """Post a form with a photo as a program with a token."""
    key = api_key(user_for("network"))

    def post(content: bytes, name: str = "x.jpg", token: str = key) -> Any:
        data = {"photo": SimpleUploadedFile(name, content)}
        return Client().post(URL, data, headers={"authorization": f"Token {token}"})

    return post


def test_hashtag_for_an_upload(ask: Callable[..., Any], active_model: TrainedModel) -> None:
    response = ask(jpeg(RED), "holiday.jpg")
    assert response.status_code == 200
    answer = response.json()
    assert (answer["file"], answer["hashtag"], answer["reason"]) == ("holiday.jpg", "beach", None)
    assert answer["candidates"][0]["hashtag"] == "beach"
    assert len(answer["candidates"]) == 3
    assert answer["confidence"] == answer["candidates"][0]["probability"] > 0.9


@pytest.mark.parametrize(("colour", "reason"), [(BLUE, "other"), (GREEN, "unsure")])
def test_silence_is_an_answer(
    ask: Callable[..., Any], active_model: TrainedModel, colour: tuple[int, int, int], reason: str
) -> None:
    answer = ask(jpeg(colour)).json()
    assert answer["hashtag"] is None
    assert answer["reason"].startswith(reason)


def test_photo_as_the_whole_body(active_model: TrainedModel, user_for: Callable[..., User]) -> None:
    headers = {"authorization": f"Token {api_key(user_for('network'))}"}
    response = Client().post(URL, jpeg(RED), content_type="image/jpeg", headers=headers)
    assert response.json()["hashtag"] == "beach"
    assert Client().post(URL, b"", content_type="image/jpeg", headers=headers).status_code == 400
    assert Client().post(URL, b"x", content_type="text/plain", headers=headers).status_code == 415


@pytest.mark.parametrize(
    "content", [b"", b"not a photo", jpeg(size=(300, 300))[:-400], png_header(60_000, 60_000)]
)
def test_unreadable_photo_names_the_field(
    ask: Callable[..., Any], active_model: TrainedModel, content: bytes
) -> None:
    response = ask(content)
    assert response.status_code == 400
    assert "photo" in response.json()


def test_formats_we_do_not_name_are_refused_unopened(
    ask: Callable[..., Any], active_model: TrainedModel
) -> None:
    response = ask(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n%%EOF\n")
    assert response.status_code == 400
    assert "not a photo in a format we know" in response.content.decode()


def test_no_photo_at_all(client_for: Callable[..., Client], active_model: TrainedModel) -> None:
    response = client_for("network").post(URL, {"max": "2"})
    assert response.status_code == 400
    assert response.json() == {"photo": ["Send a photo in this form field, or as the whole body."]}


def test_too_large_is_413(
    ask: Callable[..., Any],
    active_model: TrainedModel,
    user_for: Callable[..., User],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(settings, "MAX_PHOTO_BYTES", 500)
    assert ask(jpeg()).status_code == 413
    headers = {"authorization": f"Token {api_key(user_for('network'))}"}
    raw = Client().post(URL, jpeg(), content_type="image/jpeg", headers=headers)
    assert raw.status_code == 413
    assert "larger than" in raw.json()["detail"]


def test_an_active_model_without_its_files_is_503(
    ask: Callable[..., Any], tiny_model: TrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "_cache", {})
    Promotion.objects.create(model=tiny_model)
    (tiny_model.folder / "manifest.json").rename(tiny_model.folder / "away.json")
    answer = ask(jpeg())
    assert (answer.status_code, "missing or damaged" in answer.json()["detail"]) == (503, True)


def test_no_active_model_is_503(ask: Callable[..., Any], tiny_model: TrainedModel) -> None:
    assert ask(jpeg()).status_code == 503


def test_busy_decoders_are_503_and_when_to_come_again(
    ask: Callable[..., Any], active_model: TrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outages, "PATIENCE", 0)
    with DECODING.share(DECODING.size):
        answer = ask(jpeg(RED))
    assert (answer.status_code, answer["Retry-After"]) == (503, "10")
    assert answer.json() == {"detail": "Too many photos are being opened at the moment."}
    assert ask(jpeg(RED)).status_code == 200


def test_photo_that_needs_too_much_memory_is_400(
    ask: Callable[..., Any], active_model: TrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "DECODING", Budget(2**20))
    answer = ask(jpeg(RED))
    assert answer.status_code == 400
    assert "takes 13 MB of memory, more than 1 MB" in answer.json()["photo"][0]


def test_promotion_changes_who_answers(
    ask: Callable[..., Any], active_model: TrainedModel, model_for: Callable[..., TrainedModel]
) -> None:
    assert ask(jpeg(RED)).json()["hashtag"] == "beach"
    silent = model_for("Silent", manifest=active_model.manifest | {"sha256": "1"})
    silent.folder.mkdir()
    (silent.folder / "model.onnx").write_bytes((active_model.folder / "model.onnx").read_bytes())
    never = active_model.manifest | {"thresholds": {"beach": 1.01, "bar": 1.01}}
    (silent.folder / "manifest.json").write_text(json.dumps(never))
    Promotion.objects.create(model=silent)
    assert ask(jpeg(RED)).json()["hashtag"] is None


def test_rate_limit(
    ask: Callable[..., Any], active_model: TrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ScopedRateThrottle, "THROTTLE_RATES", {"suggest": "2/minute"})
    assert [ask(jpeg()).status_code for _ in range(3)] == [200, 200, 429]


def test_strangers_and_wrong_tokens(ask: Callable[..., Any], active_model: TrainedModel) -> None:
    assert ask(jpeg(), token="wrong").status_code == 401
    assert Client().post(URL, {}).status_code == 401


@pytest.mark.parametrize("role", ["viewer", "curator", "validator", "nobody"])
def test_roles_without_the_permission(
    client_for: Callable[..., Client], active_model: TrainedModel, role: str
) -> None:
    response = client_for(role).post(URL, {"photo": SimpleUploadedFile("x.jpg", jpeg())})
    assert response.status_code == 403
    assert "trainer.suggest" in response.json()["detail"]


def test_schema_describes_both_ways_to_send(client: Client, db: None) -> None:
    schema = client.get("/api/schema/?format=json").json()
    post = schema["paths"]["/api/v1/suggest"]["post"]
    assert set(post["requestBody"]["content"]) == {"multipart/form-data", "image/jpeg"}
    assert set(post["responses"]) == {"200", "400", "401", "403", "413", "415", "429", "503"}
    assert "tokenAuth" in [name for one in post["security"] for name in one]
    answer = schema["components"]["schemas"]["Suggestion"]["properties"]
    always = {"id", "file", "hashtag", "hashtags", "confidence", "reason", "candidates", "model"}
    assert set(answer) == always | {"probabilities"}
    assert set(schema["components"]["schemas"]["Suggestion"]["required"]) == always
    assert answer["hashtag"]["nullable"]


# --- manage.py api_token ----------------------------------------------------------------------


def test_token_for_a_program(
    user_for: Callable[..., User], capsys: pytest.CaptureFixture[str], ask: Callable[..., Any]
) -> None:
    call_command("api_token", "okru")
    first = capsys.readouterr().out.strip()
    with pytest.raises(CommandError, match="shown when it was made"):
        call_command("api_token", "okru")
    call_command("api_token", "okru", renew=True)
    second = capsys.readouterr().out.strip()
    assert [ask(b"", token=key).status_code for key in (first, second)] == [401, 503]
    user = User.objects.get(username="okru")
    assert not user.has_usable_password()
    assert user.has_perm("trainer.suggest")
    assert not user.has_perm("trainer.view_photoset")


def test_no_token_for_a_persons_account(user_for: Callable[..., User]) -> None:
    user_for("admin")
    with pytest.raises(CommandError, match="person's account"):
        call_command("api_token", "admin")


def test_token_needs_the_roles(db: None) -> None:
    Group.objects.all().delete()
    with pytest.raises(CommandError, match="setup_roles"):
        call_command("api_token", "okru")


def test_blocked_hashtag_is_suggested_at_no_door_until_it_is_unblocked(
    ask: Callable[..., Any],
    active_model: TrainedModel,
    client_for: Callable[..., Client],
    user_for: Callable[..., User],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The network of this process is loaded before; another process may block the hashtag."""
    photo = write(tmp_path / "red.jpg", jpeg(RED))
    beach = Hashtag.objects.create(name="beach", posts=300_000_000, source="test", counted_on="2019")

    def answers() -> tuple[str, str, str]:
        call_command("suggest", str(photo), json=True)
        upload = {"photo": SimpleUploadedFile("x.jpg", jpeg(RED))}
        page = client_for("admin").post("/trainer/suggest/", upload).content.decode()
        return ask(jpeg(RED)).content.decode(), capsys.readouterr().out, page

    assert all("beach" in words for words in answers())
    block(hashtag_id=beach.pk, why="too vague", by=user_for("admin"))
    assert not any("beach" in words for words in answers())
    assert ask(jpeg(RED)).json()["reason"] == "blocked: the likeliest hashtag is not offered"
    assert "The likeliest hashtag is not offered" in answers()[2]
    unblock(hashtag_id=beach.pk, by=user_for("admin"))
    assert all("beach" in words for words in answers())


def test_one_query_tells_what_is_blocked_for_a_batch_of_photos(
    active_model: TrainedModel, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    list(serving.suggest([jpeg(RED)]))
    with django_assert_num_queries(3):  # the active model; two batches
        list(serving.suggest([jpeg(RED)] * 20))
