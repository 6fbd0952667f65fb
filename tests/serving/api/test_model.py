"""GET /api/v1/model: which model answers, and a tag that changes whenever answers may change."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from mapping.hashtags import block, unblock
from mapping.models import Hashtag
from tests.serving.conftest import Send
from tests.trainer.conftest import jpeg
from trainer.models import Promotion, TrainedModel
from trainer.registry import serving
from trainer.registry.promotion import rename

URL = "/api/v1/model"
RED = (250, 10, 10)
pytestmark = pytest.mark.django_db


@pytest.fixture
def look(client_for: Callable[..., Client]) -> Callable[..., Any]:
    client = client_for("network")
    return lambda **headers: client.get(URL, headers=headers)


def test_it_tells_the_active_model(look: Callable[..., Any], active_model: TrainedModel) -> None:
    response = look()
    facts = response.json()
    tag = facts.pop("tag")
    assert facts.pop("etag") == tag
    assert facts == {
        "name": "Colours",
        "sha256": "0" * 64,
        "labels": ["beach", "bar", "other"],
        "thresholds": {"bar": None, "beach": 0.5},  # more than 1: never suggested
        "blocked": [],
        "target_precision": 0.9,
        "promise": "",
        "challenger": None,
    }
    assert (response["ETag"], response["Cache-Control"]) == (f'"{tag}"', "private, no-cache")


def test_304_until_something_changes(
    look: Callable[..., Any],
    send: Send,
    active_model: TrainedModel,
    model_for: Callable[..., TrainedModel],
    user_for: Callable[..., User],
) -> None:
    beach, sky = (
        Hashtag.objects.create(name=name, posts=300_000_000, source="test", counted_on="2019")
        for name in ("beach", "sky")
    )
    admin = user_for("admin")
    etags = [look()["ETag"]]

    def changes() -> bool:
        """Whether the tag is another one now; also that the answers have the same one."""
        asked = {"if-none-match": etags[-1]}
        response = look(**asked)
        if response.status_code == 304:
            assert (response.content, response["ETag"]) == (b"", etags[-1])
        etags.append(response["ETag"])
        assert send("/api/v1/suggest", [("x.jpg", jpeg(RED))]).json()["model"] == etags[-1].strip('"')
        return bool(response.status_code == 200)

    assert not changes()
    block(hashtag_id=beach.pk, why="too vague", by=admin)
    assert changes()
    assert look().json()["blocked"] == ["beach"]
    assert not changes()
    block(hashtag_id=sky.pk, why="no label of this model", by=admin)
    assert not changes()
    unblock(hashtag_id=beach.pk, by=admin)
    assert changes()
    assert etags[-1] == etags[0]
    rename(model=active_model, name="Colours, new")
    assert changes()
    copied_network = model_for("Careful", manifest=active_model.manifest)
    copied_network.folder.mkdir()
    (copied_network.folder / "model.onnx").write_bytes((active_model.folder / "model.onnx").read_bytes())
    careful = active_model.manifest | {"temperature": 1.2}
    (copied_network.folder / "manifest.json").write_text(json.dumps(careful))
    Promotion.objects.create(model=copied_network)
    rename(model=copied_network, name="Colours, new")
    assert changes()  # the same file, labels, thresholds and name, and yet other answers


def test_nothing_else_may_be_asked(look: Callable[..., Any], client_for: Callable[..., Client]) -> None:
    answer = client_for("network").get(URL, {"id": "3"})
    assert (answer.status_code, answer.json()) == (400, {"id": ["Unknown field: none is known here."]})


def test_without_a_model_or_its_files_it_is_503(
    look: Callable[..., Any], tiny_model: TrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert look().status_code == 503
    monkeypatch.setattr(serving, "_cache", {})
    Promotion.objects.create(model=tiny_model)
    (tiny_model.folder / "model.onnx").unlink()
    assert (look().status_code, "damaged" in look().json()["detail"]) == (503, True)


def test_who_may(client_for: Callable[..., Client], active_model: TrainedModel) -> None:
    assert client_for("stranger").get(URL).status_code == 401
    for role in ("viewer", "curator", "validator", "nobody"):
        assert client_for(role).get(URL).status_code == 403
    assert client_for("admin").get(URL).status_code == 200
    assert client_for("admin").post(URL).status_code == 405
