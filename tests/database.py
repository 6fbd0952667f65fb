"""The test database: copied from a migrated one, and emptied after each test that commits.

Migrating takes five seconds. Django's flush takes half a second per test, because it empties every table and
creates all permissions again.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import django
from django.apps import apps
from django.conf import settings
from django.db import connection, transaction

from hashtags_site import roles
from tests import snapshot

KEPT = ("django_content_type", "auth_permission", "auth_group", "auth_group_permissions")
_set_up: list[snapshot.Table] = []  # rows of the tables that are kept


def create(cache: Path) -> None:
    """Make the database of this process and connect to it. `cache` keeps SQLite's for the next run."""
    name = str(connection.settings_dict["TEST"]["NAME"] or f"test_{connection.settings_dict['NAME']}")
    with _locked(cache / "lock"):
        if connection.vendor == "sqlite":
            _copy_sqlite(cache, name)
        else:
            _copy_postgres(name)
    connection.close()
    settings.DATABASES["default"]["NAME"] = connection.settings_dict["NAME"] = name
    _set_up[:] = snapshot.take(KEPT)


def migrated_file(cache: Path) -> Path:
    """SQLite's template, which the first process of a run on SQLite makes."""
    return cache / f"{_digest()}.sqlite3"


def _copy_sqlite(cache: Path, name: str) -> None:
    template = migrated_file(cache)
    if not template.exists():
        for old in cache.glob("*.sqlite3"):
            old.unlink()
        part = template.with_suffix(".part")
        _migrate(str(part))
        part.rename(template)
    shutil.copyfile(template, name)


def _copy_postgres(name: str) -> None:
    template = f"scenetag_template_{_digest()}"
    with _server_cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", [template])
        there = cursor.fetchone()
    if not there:
        _migrate(f"{template}_part")
    with _server_cursor() as cursor:
        if not there:
            cursor.execute(f"ALTER DATABASE {template}_part RENAME TO {template}")
        cursor.execute(f"DROP DATABASE IF EXISTS {name}")
        cursor.execute(f"CREATE DATABASE {name} TEMPLATE {template}")


def _server_cursor() -> AbstractContextManager[Any]:
    """A cursor of PostgreSQL's own database: one can be copied or dropped only while nobody uses it."""
    cursor: AbstractContextManager[Any] = connection._nodb_cursor()
    return cursor


def _migrate(name: str) -> None:
    own = connection.settings_dict["NAME"], connection.settings_dict["TEST"]["NAME"]
    connection.settings_dict["TEST"]["NAME"] = name
    connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
    roles.setup_roles()
    connection.close()
    connection.settings_dict["NAME"], connection.settings_dict["TEST"]["NAME"] = own


def destroy() -> None:
    """Drop the database. SQLite's file is deleted with its folder."""
    connection.close()
    if connection.vendor == "postgresql":
        name = connection.settings_dict["NAME"]
        with _server_cursor() as cursor:
            cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _digest() -> str:
    """A digest of everything that a migrated database with roles depends on."""
    digest = hashlib.sha256(repr(django.VERSION).encode())
    for app in apps.get_app_configs():
        for file in sorted(Path(app.path).glob("migrations/*.py")):
            digest.update(file.read_bytes())
    for model in apps.get_models(include_auto_created=True):
        digest.update(repr((model._meta.label, model._meta.default_permissions)).encode())
        digest.update(repr(model._meta.permissions).encode())
    digest.update(Path(str(roles.__file__)).read_bytes())
    return digest.hexdigest()[:16]


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Let one process in at a time: the first one migrates."""
    handle = os.open(path, os.O_CREAT | os.O_RDWR)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def flush() -> None:
    """Empty every table that has rows; rows from the set-up stay or are restored."""
    quote = connection.ops.quote_name
    names = connection.introspection.django_table_names(only_existing=True, include_views=False)
    others = [name for name in names if name not in KEPT]
    with transaction.atomic(), connection.cursor() as cursor:  # foreign keys are checked when it ends
        cursor.execute("SELECT " + ", ".join(f"EXISTS (SELECT 1 FROM {quote(name)})" for name in others))  # noqa: S608
        not_empty = [name for name, is_filled in zip(others, cursor.fetchone(), strict=True) if is_filled]
        has_changed = snapshot.take(KEPT) != _set_up
        for name in (*not_empty, *(KEPT if has_changed else ())):
            cursor.execute(f"DELETE FROM {quote(name)}")  # noqa: S608
        if has_changed:
            snapshot.put(_set_up)
