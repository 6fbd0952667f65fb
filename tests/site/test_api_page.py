"""/api/: what the API does, with examples that work when pasted; its reference; unknown addresses."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import playwright
import pytest
from django.contrib.auth.models import User
from django.test import Client
from playwright.sync_api import Page
from pytest_django.live_server_helper import LiveServer

from mapping.models import Hashtag
from tests.conftest import api_key
from tests.trainer.conftest import (  # noqa: F401
    _own_folders,
    active_model,
    jpeg,
    model_for,
    tiny_model,
)
from trainer.models import TrainedModel

METHODS = ("get", "head", "post", "put", "patch", "delete", "options")
ClientFor = Callable[..., Client]


@pytest.mark.parametrize(
    ("role", "words", "other"),
    [
        ("administrator", 'href="/people/tokens/new/"', "Ask an administrator"),
        ("viewer", "Ask an administrator", "/people/tokens/new/"),
        ("stranger", "/login/?next=/people/tokens/new/", "Ask an administrator"),
    ],
)
def test_it_says_how_to_get_a_token(client_for: ClientFor, role: str, words: str, other: str) -> None:
    page = client_for(role).get("/api/").content.decode()
    assert words in page
    assert other not in page


@pytest.mark.parametrize(
    ("language", "program"),
    [
        ("curl", ["sh", "-e"]),
        ("python", [sys.executable]),
        ("javascript", [Path(playwright.__file__).parent / "driver/node", "--input-type=module"]),
    ],
)
@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
def test_examples_work_when_pasted(
    live_server: LiveServer,
    user_for: Callable[..., User],
    active_model: TrainedModel,  # noqa: F811
    tmp_path: Path,
    language: str,
    program: list[str],
) -> None:
    Hashtag.objects.create(name="beach", posts=300_000_000, source="test", counted_on="2019")
    (tmp_path / "photo.jpg").write_bytes(jpeg((250, 10, 10)))
    subprocess_page = Client().get("/api/", headers={"host": live_server.url.partition("://")[2]})
    page = subprocess_page.content.decode()
    [example] = re.findall(rf'<code id="{language}">(.*?)</code>', page, re.DOTALL)
    pasted = html.unescape(example).replace("YOUR_KEY", api_key(user_for("network"), ["suggest"]))
    ended = subprocess.run(
        program,
        input=pasted,
        cwd=tmp_path,
        env=os.environ | {"NO_COLOR": "1"},
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr
    assert re.search(r"""["']?hashtag["']?: ?["']beach["']""", ended.stdout)


@pytest.mark.django_db
@pytest.mark.parametrize("role", ["stranger", "viewer"])
@pytest.mark.parametrize(
    "path", ["/api/x", "/api/v1/", "/api/v1/x/y/", "/api/v1/mapping/x", "/api/v2/suggest"]
)
def test_unknown_addresses_answer_in_json(client_for: ClientFor, role: str, path: str) -> None:
    client = client_for(role)
    for method in METHODS:
        response = client.generic(method.upper(), path)
        assert (response.status_code, response["Content-Type"]) == (404, "application/json")
        if method != "head":
            assert json.loads(response.content) == {"detail": "There is no such address."}


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_reference_lists_requests_in_light_and_dark(page_for: Callable[..., Page], scheme: str) -> None:
    page = page_for("stranger", color_scheme=scheme)
    page.goto("/api/")
    page.get_by_role("link", name="All requests").click()
    page.locator("#operations-suggest-suggest, [id*=suggest]").first.wait_for()
    is_dark = page.evaluate("document.documentElement.classList.contains('dark-mode')")
    assert is_dark == (scheme == "dark")
    page.get_by_role("link", name="The API in brief").click()
    page.get_by_role("heading", name="The API").wait_for()
