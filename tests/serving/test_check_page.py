"""The page that checks the hashtags of a photo, and `manage.py check_hashtags`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.test import Client
from playwright.sync_api import Page, expect

from serving.spelling import MOST
from tests.trainer.conftest import jpeg, write
from trainer.models import TrainedModel

URL = "/check/"
RED, GREEN = (250, 10, 10), (10, 250, 10)
Out = pytest.CaptureFixture[str]
pytestmark = pytest.mark.django_db


def post(client: Client, hashtags: str = "#beach #bar", content: bytes = jpeg(RED), **headers: str) -> Any:
    data = {"hashtags": hashtags, "photo": SimpleUploadedFile("my.jpg", content)}
    return client.post(URL, data, headers=headers)


def test_the_page_lists_each_verdict_with_its_reason(
    client_for: Callable[..., Client], checking_model: TrainedModel
) -> None:
    client = client_for("admin")
    assert "Hashtags of the post" in client.get(URL).content.decode()
    whole = " ".join(post(client, "#Beaches #saloon #love").content.decode().split())
    assert "1 of 2 popular hashtags does not belong." in whole
    assert "Read as #beach. The photo looks like #beach." in whole
    assert "Another word for #bar." in whole
    for words in ("fits", "does not fit", "unknown"):
        assert f"{words}</span>" in whole
    assert "data:image/jpeg;base64," in whole
    fragment = post(client, **{"hx-request": "true"}).content.decode()  # type: ignore[arg-type]
    assert "does not belong" in fragment
    assert "<html" not in fragment


@pytest.mark.parametrize(
    ("hashtags", "content", "words"),
    [
        ("", jpeg(RED), "Write at least one hashtag."),
        (" , #", jpeg(RED), "at least one hashtag"),
        ("#a " * (MOST + 1), jpeg(RED), f"more than {MOST}"),
        ("beach", b"", "empty"),
        ("beach", b"x", "cannot be read"),
    ],
)
def test_bad_input_says_what_is_wrong_and_keeps_the_hashtags(
    client_for: Callable[..., Client], checking_model: TrainedModel, hashtags: str, content: bytes, words: str
) -> None:
    response = post(client_for("admin"), hashtags, content)
    assert response.status_code == 422
    assert words in response.content.decode()
    assert f'value="{hashtags}"' in response.content.decode()


def test_hashtags_are_text_not_html(client_for: Callable[..., Client], checking_model: TrainedModel) -> None:
    page = post(client_for("admin"), "<script>x</script>").content.decode()
    assert "#&lt;script&gt;" in page
    assert "<script>x" not in page


def test_model_without_checks_and_no_model(
    client_for: Callable[..., Client], active_model: TrainedModel
) -> None:
    response = post(client_for("admin"))
    assert response.status_code == 422
    assert "cannot check hashtags" in response.content.decode()


def test_without_active_model(client_for: Callable[..., Client]) -> None:
    client = client_for("admin")
    assert "No model is active" in client.get(URL).content.decode()
    assert post(client).status_code == 422


def test_who_may(client_for: Callable[..., Client], checking_model: TrainedModel) -> None:
    assert client_for("network").get(URL).status_code == 200
    for role in ("viewer", "curator", "validator"):
        assert post(client_for(role)).status_code == 403
    assert client_for("stranger").get(URL)["Location"].startswith("/login/")


# --- manage.py check_hashtags -----------------------------------------------------------------


def test_words_and_json(checking_model: TrainedModel, tmp_path: Path, capsys: Out) -> None:
    red, bad = write(tmp_path / "red.jpg", jpeg(RED)), write(tmp_path / "bad.jpg", b"no")
    call_command("check_hashtags", str(red), str(bad), hashtags="Beaches,bar")
    out, err = capsys.readouterr()
    assert f"{red}: 1 of 2 popular hashtags does not belong." in out
    assert "#Beaches: fits. The photo looks like #beach." in out
    assert f"{bad}: cannot be read" in err
    call_command("check_hashtags", str(red), hashtags="bar", json=True)
    row = json.loads(capsys.readouterr().out)
    assert (row["file"], row["problem"], row["score"]["not_fitting"]) == (str(red), None, 1)


def test_photos_and_hashtags_from_a_table(checking_model: TrainedModel, tmp_path: Path, capsys: Out) -> None:
    write(tmp_path / "red.jpg", jpeg(RED))
    write(tmp_path / "more/green.jpg", jpeg(GREEN))
    table = write(tmp_path / "posts.csv", b"photo,hashtags\nred.jpg,#beach\nmore/green.jpg,#beach #bar\n")
    call_command("check_hashtags", csv=table, json=True)
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert [row["verdict"] for row in first["hashtags"]] == ["fits"]
    assert [row["verdict"] for row in second["hashtags"]] == ["does_not_fit", "fits"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"photo,hashtags\nred.jpg,beach\nred.jpg,\n", "Line 3 of posts.csv: Send at least one"),
        (b"photo,hashtags\n,beach\n", "Line 2 of posts.csv names no photo"),
        (b"picture,hashtags\nred.jpg,beach\n", "photo and hashtags"),
        (b"photo,hashtags\n", "posts.csv"),
    ],
)
def test_table_with_a_fault_names_its_line(
    checking_model: TrainedModel, tmp_path: Path, content: bytes, words: str
) -> None:
    table = write(tmp_path / "posts.csv", content)
    with pytest.raises(CommandError, match=words):
        call_command("check_hashtags", csv=table)


def test_options_that_do_not_go_together(active_model: TrainedModel, tmp_path: Path, capsys: Out) -> None:
    red = str(write(tmp_path / "red.jpg", jpeg(RED)))
    for arguments, options, words in (
        ((red,), {}, "at least one hashtag"),
        ((), {"hashtags": "beach"}, "Name photos"),
        ((red,), {"csv": tmp_path / "x.csv"}, "give no others"),
        ((), {"csv": tmp_path / "gone.csv"}, "cannot be read"),
        ((red,), {"hashtags": "beach"}, "exported without checks"),
        ((red,), {"hashtags": "beach", "model": 999}, "no exported model 999"),
    ):
        with pytest.raises(CommandError, match=words):
            call_command("check_hashtags", *arguments, **options)


# --- in the browser ---------------------------------------------------------------------------


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
def test_photo_chosen_after_the_hashtags_is_checked_at_once(
    page_for: Callable[..., Page], checking_model: TrainedModel
) -> None:
    page = page_for("admin", width=390)
    page.goto(URL)
    page.get_by_label("Hashtags of the post").fill(f"#Beaches #saloon #love #{'long' * 20}")
    photo = {"name": "my.jpg", "mimeType": "image/jpeg", "buffer": jpeg(RED, (640, 480))}
    page.get_by_label("Its photo").set_input_files(photo)  # type: ignore[arg-type]
    score = page.get_by_role("heading", name="1 of 2 popular hashtags does not belong.")
    expect(score).to_be_visible(timeout=30_000)  # a process loads the network and WordNet at first
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
