"""The files in deploy/ name settings, commands, ports and addresses that exist. Nothing is built here."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from celery.bin.worker import worker
from click import Context
from django.conf import settings
from django.core.management import get_commands
from django.test import Client, override_settings
from django.urls import resolve
from gunicorn.config import Config

DEPLOY: Path = settings.BASE_DIR / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
KUBERNETES: list[dict[str, Any]] = list(yaml.safe_load_all((DEPLOY / "kubernetes/scenetag.yaml").read_text()))
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
TEXTS = [path for path in DEPLOY.rglob("*") if path.is_file() and path.suffix != ".json"]
# A line in the table of docs/settings.md may have several.
SETTINGS = set(re.findall(r"`([A-Z][A-Z0-9_]+)`", (settings.BASE_DIR / "docs/settings.md").read_text()))


def pods() -> Iterator[dict[str, Any]]:
    for one in KUBERNETES:
        if one["kind"] in ("Deployment", "Job"):
            yield from one["spec"]["template"]["spec"]["containers"]


def named_settings() -> Iterator[str]:
    yield from COMPOSE["x-program"]["environment"]
    for one in KUBERNETES:
        if one["kind"] == "ConfigMap":
            yield from one["data"]
    for line in (DEPLOY / "scenetag.env.example").read_text().splitlines():
        if line and not line.startswith("#"):
            yield line.partition("=")[0]
    yield from re.findall(r"Environment=([A-Z_]+)=", "".join(path.read_text() for path in UNITS))
    yield from re.findall(r"\b(SCENETAG_VAR|LOG_FORMAT)=", (DEPLOY / "Dockerfile").read_text())
    yield from re.findall(r"--from-literal=(\w+)", (DEPLOY / "kubernetes/scenetag.yaml").read_text())


def test_every_setting_exists() -> None:
    names = set(named_settings())
    assert len(names) > 12
    assert names - SETTINGS == set()


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_every_command_exists(path: Path) -> None:
    text = path.read_text().replace('", "', " ").replace(", ", " ").replace('"', " ")
    assert set(re.findall(r"manage\.py (\w+)", text)) <= get_commands().keys()
    for script in re.findall(r"python (scripts/\S+)", text):
        assert (settings.BASE_DIR / script).is_file()
    for line in re.findall(r"celery -A hashtags_site worker (.*)", text):
        options = worker.make_parser(Context(worker))
        options.parse_args(re.findall(r"[^\s\[\]\\]+", line))  # raises an error for an unknown one
    for line in re.findall(r"gunicorn hashtags_site\.wsgi ([^\]]*)", text):
        arguments = re.findall(r"--\S+(?: +\w[^\s\\-]*)?", line.replace("\\\n", " "))
        Config().parser().parse_args([word for one in arguments for word in one.split()])
        assert "--worker-class hashtags_site.front.worker.Worker" in re.sub(r"\s+", " ", line)


def test_probes_ask_addresses_that_answer_without_https() -> None:
    probes = [pod[name]["httpGet"] for pod in pods() for name in pod if name.endswith("Probe")]
    paths = {probe["path"] for probe in probes}
    assert paths == {"/health/ready", "/health/", "/health/live"}
    assert {host["value"] for probe in probes for host in probe["httpHeaders"]} == {"localhost"}
    for path in (*paths, "/metrics"):
        resolve(path)
        with override_settings(SECURE_SSL_REDIRECT=True):
            assert Client().get("/health/live").status_code == 200
    with override_settings(SECURE_SSL_REDIRECT=True):
        assert Client().get("/login/").status_code == 301


def test_ports_agree() -> None:
    assert "--bind 0.0.0.0:8000" in (DEPLOY / "Dockerfile").read_text().replace('", "', " ")
    assert "EXPOSE 8000" in (DEPLOY / "Dockerfile").read_text()
    assert COMPOSE["services"]["proxy"]["environment"]["UPSTREAM"] == "web:8000"
    assert "localhost:8000/health/live" in json.dumps(COMPOSE["services"]["web"]["healthcheck"])
    assert [port["containerPort"] for pod in pods() for port in pod.get("ports", [])] == [8000]


def test_image_is_small_and_runs_as_nobody_special() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    assert re.findall(r"^USER (.*)$", text, re.M) == ["10001"]
    ignored = (settings.BASE_DIR / ".dockerignore").read_text().split()
    assert {".git", ".venv", "var", "tests"} <= set(ignored)
    for needed in ("samples", "docs", "deploy"):
        assert needed not in ignored


def test_compose_file_keeps_to_its_schema() -> None:
    pytest.importorskip("check_jsonschema")
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    result = subprocess.run(
        [*command, str(DEPLOY / "compose.yaml")], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout
    known = COMPOSE["services"].keys()
    for service in COMPOSE["services"].values():
        assert set(service.get("depends_on", ())) <= known


def test_units_are_understood_by_systemd(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd is not installed")
    for path in (*UNITS, *(DEPLOY / "systemd").glob("*.timer")):
        # The programs are not where the units expect them.
        text = re.sub(r"/opt/scenetag/\.venv/bin/\w+", sys.executable, path.read_text())
        (tmp_path / path.name).write_text(text)
    for path in sorted(tmp_path.iterdir()):
        result = subprocess.run(
            ["systemd-analyze", "verify", str(path)], capture_output=True, text=True, check=False
        )
        assert (result.returncode, result.stderr) == (0, ""), path.name


def test_dockerfile_has_nothing_to_complain_about() -> None:
    if shutil.which("hadolint") is None:
        pytest.skip("hadolint is not installed; it is under the GPL and no dependency of ours")
    result = subprocess.run(
        ["hadolint", str(DEPLOY / "Dockerfile")], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout


def test_kubernetes_knows_every_field() -> None:
    for one in KUBERNETES:
        kubernetes_validate.validate(one, "1.30", strict=True)
