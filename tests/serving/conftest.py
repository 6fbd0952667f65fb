"""Shared with the trainer's tests: a small active model, a finished run, in folders of their own."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from PIL import Image

from tests.conftest import api_key
from tests.trainer.conftest import (
    _own_folders,
    active_model,
    classes,
    finished_job,
    folder,
    model_for,
    photo_set,
    release,
    run,
    tiny_model,
)
from tests.trainer.test_suggest import generous_model
from trainer.engine.serving.predict import Suggester
from trainer.models import TrainedModel
from trainer.registry import serving

__all__ = [
    "_own_folders",
    "active_model",
    "checking_model",
    "classes",
    "finished_job",
    "folder",
    "generous_model",
    "model_for",
    "photo_set",
    "release",
    "run",
    "tiny_model",
]

Send = Callable[..., Any]


@pytest.fixture
def send(user_for: Callable[..., User]) -> Send:
    """Post photos, by name, and fields to an address, as a program with a token."""
    key = api_key(user_for("network"))

    def post(url: str, photos: list[tuple[str, bytes]], *, token: str = key, **fields: Any) -> Any:
        form = {"photo": [SimpleUploadedFile(name, content) for name, content in photos]} | fields
        return Client().post(url, form, headers={"authorization": f"Token {token}"})

    return post


@pytest.fixture
def network_runs(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A 1 for each time that the network was really asked."""
    runs: list[int] = []
    real = Suggester.answer

    def counted(self: Suggester, photo: Any, *more: Any) -> Any:
        runs.append(1)
        return real(self, photo, *more)

    monkeypatch.setattr(Suggester, "answer", counted)
    return runs


def without_id(answer: dict[str, Any]) -> dict[str, Any]:
    """Each answer has an id of its own."""
    return {key: value for key, value in answer.items() if key != "id"}


def wide_photo(
    edges: tuple[int, int, int], middle: tuple[int, int, int], size: tuple[int, int] = (300, 100)
) -> bytes:
    """A photo of one colour with a square of another in the middle."""
    photo = Image.new("RGB", size, edges)
    side, left = size[1], (size[0] - size[1]) // 2
    photo.paste(middle, (left, 0, left + side, side))
    out = io.BytesIO()
    photo.save(out, "JPEG", quality=95)
    return out.getvalue()


CHECK = {"slope": 1.0, "shift": 0.0, "does_not_fit_below": 0.1, "fits_from": 0.8}


@pytest.fixture
def checking_model(active_model: TrainedModel) -> TrainedModel:
    """The active model, with checks: red is #beach, green is #bar, grey is doubtful."""
    manifest = active_model.manifest | {"checks": {"hashtags": {"beach": CHECK, "bar": CHECK}}}
    active_model.manifest = manifest | {"sha256": "1" * 64}  # processes keep a network by its hash
    active_model.save()
    (active_model.folder / "manifest.json").write_text(json.dumps(active_model.manifest))
    serving._cache.clear()  # an earlier test may have changed the checks of a model with this key and hash
    return active_model
