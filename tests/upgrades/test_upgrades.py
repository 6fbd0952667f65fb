"""Databases that older versions wrote go through all migrations: data, figures, tokens and passwords survive.

Only on SQLite: the fixtures are its dumps. Data migrations use the ORM, which has both databases' words.
"""

from __future__ import annotations

import gzip
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth import authenticate
from django.contrib.contenttypes.models import ContentType
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import override_settings
from django.urls import reverse
from pytest_django import DjangoDbBlocker

from tests.upgrades.figures import figures
from validation.agreement import results

HERE = Path(__file__).resolve().parent
VERSIONS = sorted(file.stem for file in HERE.glob("*.json"))
HASHERS = ["django.contrib.auth.hashers.PBKDF2PasswordHasher"]  # that of real sites
pytestmark = pytest.mark.skipif(connection.vendor != "sqlite", reason="the fixtures are dumps of SQLite")


@contextmanager
def _connected(path: Path) -> Iterator[None]:
    """The default connection leads to another file: migrations and pages use no other."""
    own = connection.settings_dict["NAME"]
    connection.close()
    settings.DATABASES["default"]["NAME"] = connection.settings_dict["NAME"] = str(path)
    ContentType.objects.clear_cache()
    try:
        yield
    finally:
        connection.close()
        settings.DATABASES["default"]["NAME"] = connection.settings_dict["NAME"] = own
        ContentType.objects.clear_cache()


@pytest.fixture(params=VERSIONS)
def said(
    request: pytest.FixtureRequest, tmp_path: Path, django_db_setup: None, django_db_blocker: DjangoDbBlocker
) -> Iterator[dict[str, Any]]:
    """What an older version said of its database, which is the one of this test and has been migrated."""
    path = tmp_path / "db.sqlite3"
    with closing(sqlite3.connect(path)) as database:
        database.executescript(gzip.decompress((HERE / f"{request.param}.sql.gz").read_bytes()).decode())
    with django_db_blocker.unblock(), _connected(path):
        call_command("migrate", verbosity=0)
        call_command("setup_roles", verbosity=0)
        yield json.loads((HERE / f"{request.param}.json").read_text())


def test_older_database_is_taken_over(said: dict[str, Any]) -> None:
    kept = figures()
    for what, rows in said["figures"].items():
        assert json.loads(json.dumps(kept[what])) == rows, what
    headline = results.headline()
    assert headline
    assert headline.rate.value == pytest.approx(said["agreement"])
    with override_settings(PASSWORD_HASHERS=HASHERS):
        assert authenticate(username="ada", password=said["password"])
    suggest = reverse("api_suggest")
    for key, status in ((said["token"], 400), ("x" + said["token"], 401)):  # 400: known, but sent no photo
        assert Client().post(suggest, HTTP_AUTHORIZATION=f"Token {key}").status_code == status
