"""clients/scenetag.js, and the examples of the clients' README, against the real server."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import playwright
import pytest
from django.conf import settings
from django.contrib.auth.models import User
from pytest_django.live_server_helper import LiveServer

from mapping.models import Hashtag
from tests.conftest import api_key
from tests.trainer.conftest import jpeg
from trainer.models import TrainedModel

NODE = Path(playwright.__file__).parent / "driver/node"
CLIENTS = settings.BASE_DIR / "clients"


@pytest.fixture
def environment(
    live_server: LiveServer, user_for: Callable[..., User], checking_model: TrainedModel
) -> dict[str, str]:
    Hashtag.objects.create(name="beach", posts=300_000_000, source="test", counted_on="2019")
    return os.environ | {"SITE": live_server.url, "TOKEN": api_key(user_for("network"))}


def run(argv: list[str | Path], cwd: Path, environment: dict[str, str]) -> str:
    ended = subprocess.run(argv, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_the_javascript_client_keeps_its_word(
    environment: dict[str, str], user_for: Callable[..., User], tmp_path: Path
) -> None:
    (tmp_path / "red.jpg").write_bytes(jpeg((250, 10, 10)))
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # nobody listens
        more = {
            "SLOW_TOKEN": api_key(user_for("network"), rate="1/minute"),
            "CLOSED": f"http://127.0.0.1:{closed.getsockname()[1]}",
            "RED": str(tmp_path / "red.jpg"),
        }
        run([NODE, settings.BASE_DIR / "tests/clients/live.js"], tmp_path, environment | more)


@pytest.mark.parametrize(("language", "file"), [("python", "example.py"), ("js", "example.js")])
def test_the_examples_of_the_readme_work_when_pasted(
    environment: dict[str, str], tmp_path: Path, language: str, file: str
) -> None:
    text = (CLIENTS / "README.md").read_text()
    [example] = re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)
    folder = tmp_path / "clients"
    shutil.copytree(CLIENTS, folder)
    (tmp_path / "samples").symlink_to(settings.BASE_DIR / "samples")
    (folder / file).write_text(example)
    out = run([sys.executable if language == "python" else NODE, file], folder, environment)
    assert "unchanged" in out
    assert "cannot be read" in out
