"""`manage.py suggest`, and the page to try the active model on a photo."""

from __future__ import annotations

import io
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.test import Client
from PIL import Image

from formats.files import walk
from tests.trainer.conftest import jpeg, write
from trainer.engine import opening
from trainer.engine.budget import Budget
from trainer.models import TrainedModel
from trainer.photosets.layout import is_photo_name
from trainer.registry import serving

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
    assert set(first) == {"file", "hashtag", "hashtags", "confidence", "reason", "candidates"}
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


# --- several hashtags, the centre, copies -----------------------------------------------------


@pytest.fixture
def generous_model(active_model: TrainedModel, monkeypatch: pytest.MonkeyPatch) -> TrainedModel:
    """Its probabilities are moderate, and it suggests #bar, too, for a photo with much green."""
    manifest = active_model.manifest | {"thresholds": {"beach": 0.4, "bar": 0.3}, "temperature": 10_000}
    (active_model.folder / "manifest.json").write_text(json.dumps(manifest))
    monkeypatch.setattr(serving, "_cache", {})
    return active_model


REDDISH = (250, 230, 10)  # .47 beach, .42 bar


def test_further_hashtags_by_command_and_on_the_page(
    generous_model: TrainedModel, tmp_path: Path, capsys: Out, client_for: Callable[..., Client]
) -> None:
    photo = write(tmp_path / "reddish.jpg", jpeg(REDDISH))
    (one,), (two,) = lines(capsys, photo), lines(capsys, photo, max=2)
    assert [item["hashtag"] for item in one["hashtags"]] == ["beach"]
    assert [item["hashtag"] for item in two["hashtags"]] == ["beach", "bar"]
    call_command("suggest", str(photo), max=3)
    assert re.search(r": #beach \(\d+%\), #bar \(\d+%\)\n", capsys.readouterr().out)
    page = post(client_for("admin"), jpeg(REDDISH)).content.decode()
    assert 'Also fits: <span class="tag">#bar</span>' in page
    assert "Also fits" not in post(client_for("admin"), jpeg(RED)).content.decode()


def test_centre_and_copies_by_command(generous_model: TrainedModel, tmp_path: Path, capsys: Out) -> None:
    wide = Image.new("RGB", (300, 100), BLUE)
    wide.paste(RED, (100, 0, 200, 100))
    out = io.BytesIO()
    wide.save(out, "JPEG", quality=95)
    photo = write(tmp_path / "wide.jpg", out.getvalue())
    (whole,), (centre,) = lines(capsys, photo), lines(capsys, photo, crop=True)
    assert (whole["hashtag"], centre["hashtag"]) == (None, "beach")
    (once,), (again,) = lines(capsys, photo, tta=2), lines(capsys, photo, tta=2)
    assert once == again != whole


@pytest.mark.parametrize(("option", "value"), [("max", 0), ("max", 4), ("tta", -1), ("tta", 9)])
def test_options_out_of_range_name_themselves(db: None, tmp_path: Path, option: str, value: int) -> None:
    with pytest.raises(CommandError, match=f"--{option} must be"):
        call_command("suggest", "x.jpg", **{option: value})
