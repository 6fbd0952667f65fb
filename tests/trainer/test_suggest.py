"""`manage.py suggest`, and the page to try the active model on a photo."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.test import Client

from formats.files import walk
from tests.trainer.conftest import jpeg, write
from trainer.engine import opening
from trainer.engine.budget import Budget
from trainer.models import TrainedModel
from trainer.photosets.layout import is_photo_name

URL = "/trainer/suggest/"
RED, GREEN, BLUE = (250, 10, 10), (10, 250, 10), (10, 10, 250)
Out = pytest.CaptureFixture[str]
pytestmark = pytest.mark.django_db


def lines(capsys: Out, *photos: Path, **options: Any) -> list[dict[str, Any]]:
    call_command("suggest", *map(str, photos), json=True, **options)
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_one_json_object_per_photo_and_line(active_model: TrainedModel, tmp_path: Path, capsys: Out) -> None:
    red = write(tmp_path / "red.jpg", jpeg(RED))
    blue = write(tmp_path / "blue.jpg", jpeg(BLUE))
    first, second = lines(capsys, red, blue)
    assert set(first) == {"file", "hashtag", "confidence", "reason", "candidates"}
    assert (first["file"], first["hashtag"], first["reason"]) == (str(red), "beach", None)
    assert len(first["candidates"]) == 3
    assert (second["hashtag"], second["reason"][:5]) == (None, "other")


def test_words_for_people(active_model: TrainedModel, tmp_path: Path, capsys: Out) -> None:
    red, green = write(tmp_path / "red.jpg", jpeg(RED)), write(tmp_path / "green.jpg", jpeg(GREEN))
    call_command("suggest", str(red), str(green))
    out = capsys.readouterr().out
    assert f"{red}: #beach (100%)" in out
    assert f"{green}: silent (unsure" in out


def test_unreadable_files_are_reported_and_the_rest_is_predicted(
    active_model: TrainedModel, tmp_path: Path, capsys: Out
) -> None:
    bad, good = write(tmp_path / "bad.jpg", b"no"), write(tmp_path / "good.jpg", jpeg(RED))
    first, second, third = lines(capsys, bad, tmp_path / "gone.jpg", good)
    assert first["reason"].startswith("unreadable")
    assert second["reason"].startswith("unreadable")
    assert third["hashtag"] == "beach"
    with pytest.raises(SystemExit) as exit_info:
        call_command("suggest", str(bad))
    assert exit_info.value.code == 1
    assert str(bad) in capsys.readouterr().err


def test_folders_and_batches(
    active_model: TrainedModel, tmp_path: Path, capsys: Out, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More photos than a batch, by two threads: each gets its own answer, in the order of the names."""
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    colours = {f"{i % 3}/{i}.jpg": (RED, BLUE)[i % 2] for i in range(40)}
    for name, colour in colours.items():
        write(tmp_path / "photos" / name, jpeg(colour))
    write(tmp_path / "photos/readme.txt", b"x")
    answers = lines(capsys, tmp_path / "photos")
    found = {str(Path(one["file"]).relative_to(tmp_path / "photos")): one["hashtag"] for one in answers}
    assert found == {name: "beach" if colour == RED else None for name, colour in colours.items()}
    assert list(found) == [name for name, _ in walk(tmp_path / "photos") if is_photo_name(name)]


def test_linked_folder_is_named(active_model: TrainedModel, tmp_path: Path, capsys: Out) -> None:
    write(tmp_path / "real/1.jpg", jpeg(RED))
    write(tmp_path / "photos/2.jpg", jpeg(RED))
    (tmp_path / "photos/shore").symlink_to(tmp_path / "real")
    call_command("suggest", str(tmp_path / "photos"))
    out, err = capsys.readouterr()
    assert out.count("#beach") == 1
    assert f"{tmp_path / 'photos/shore'}: link to a folder: links are not followed" in err


def test_another_model_than_the_active_one(tiny_model: TrainedModel, tmp_path: Path, capsys: Out) -> None:
    red = write(tmp_path / "red.jpg", jpeg(RED))
    assert lines(capsys, red, model=tiny_model.pk)[0]["hashtag"] == "beach"
    with pytest.raises(CommandError, match="no exported model 999"):
        call_command("suggest", str(red), model=999)
    with pytest.raises(CommandError, match="No model is active"):
        call_command("suggest", str(red))


# --- the page ---------------------------------------------------------------------------------


def post(client: Client, content: bytes, **headers: str) -> Any:
    return client.post(URL, {"photo": SimpleUploadedFile("my.jpg", content)}, headers=headers)


def test_admin_tries_a_photo(client_for: Callable[..., Client], active_model: TrainedModel) -> None:
    client = client_for("admin")
    assert "Choose a photo" in client.get(URL).content.decode()
    whole = post(client, jpeg(RED)).content.decode()
    assert "#beach" in whole
    assert "right about 9 times in 10" in whole
    assert "data:image/jpeg;base64," in whole
    fragment = post(client, jpeg(BLUE), **{"hx-request": "true"}).content.decode()
    assert "No suggestion" in fragment
    assert "<html" not in fragment


def test_unsure_says_what_it_might_be(client_for: Callable[..., Client], active_model: TrainedModel) -> None:
    page = post(client_for("admin"), jpeg(GREEN)).content.decode()
    assert "might be #bar" in page


@pytest.mark.parametrize(("content", "words"), [(b"", "empty"), (b"x", "cannot be read")])
def test_bad_uploads_say_why(
    client_for: Callable[..., Client], active_model: TrainedModel, content: bytes, words: str
) -> None:
    response = post(client_for("admin"), content)
    assert response.status_code == 422
    assert words in response.content.decode()


def test_photo_that_needs_too_much_memory_says_so(
    client_for: Callable[..., Client], active_model: TrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "DECODING", Budget(2**20))
    response = post(client_for("admin"), jpeg(RED))
    assert response.status_code == 422
    assert "takes 13 MB of memory, more than 1 MB" in response.content.decode()


def test_too_large_a_photo(
    client_for: Callable[..., Client],
    active_model: TrainedModel,
    monkeypatch: pytest.MonkeyPatch,
    settings: Any,
) -> None:
    settings.MAX_PHOTO_BYTES = 100
    assert "is larger than" in post(client_for("admin"), jpeg()).content.decode()


def test_without_active_model(client_for: Callable[..., Client]) -> None:
    client = client_for("admin")
    assert "No model is active" in client.get(URL).content.decode()
    assert post(client, jpeg()).status_code == 422


def test_who_may(client_for: Callable[..., Client], active_model: TrainedModel) -> None:
    assert client_for("network").get(URL).status_code == 200
    for role in ("viewer", "curator", "validator"):
        assert post(client_for(role), jpeg()).status_code == 403
    assert client_for("stranger").get(URL)["Location"].startswith("/login/")
