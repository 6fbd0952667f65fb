"""Copies all rows from one database to another, of whatever kinds: SQLite and PostgreSQL."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import environ
from django.apps import apps
from django.conf import settings
from django.core.management.color import no_style
from django.db import DEFAULT_DB_ALIAS, connections, models, transaction

# Made by `migrate` and `setup_roles` in every new database.
GIVEN = {"django_content_type", "auth_permission", "auth_group", "auth_group_permissions"}
CHUNK = 5_000  # rows
Rows = dict[str, int]  # table → number of rows


class MoveError(Exception):
    """Why rows cannot be copied; the target is as it was."""


def tables() -> list[type[models.Model]]:
    """Every table of the program, those between two others included."""
    everything = apps.get_models(include_auto_created=True)
    return [model for model in everything if model._meta.managed and not model._meta.proxy]


def all_rows(model: type[models.Model], using: str) -> models.QuerySet[Any]:
    """Without the filters of the model's own managers."""
    return models.QuerySet(model, using=using).order_by()


def count_rows(using: str) -> Rows:
    return {model._meta.db_table: all_rows(model, using).count() for model in tables()}


def is_empty(using: str) -> bool:
    """Whether it has only what every new database has."""
    others = (model for model in tables() if model._meta.db_table not in GIVEN)
    return not any(all_rows(model, using).exists() for model in others)


@contextmanager
def connected(url: str) -> Iterator[str]:
    """The alias of another database during a `with` block."""
    alias = "other"
    facts = environ.Env.db_url_config(url)
    if facts["ENGINE"] == "django.db.backends.sqlite3":
        facts["OPTIONS"] = {"transaction_mode": "IMMEDIATE", "timeout": settings.LOCK_SECONDS}
    known = connections.configure_settings({DEFAULT_DB_ALIAS: {}, alias: facts})
    connections.databases[alias] = known[alias]
    try:
        yield alias
    finally:
        connections[alias].close()
        del connections[alias]
        del connections.databases[alias]


def migrate(url: str) -> None:
    """In a program of its own, because migrations look for their rows in the default database. Raises
    MoveError.
    """
    command = [sys.executable, str(settings.BASE_DIR / "manage.py"), "migrate", "--verbosity", "0"]
    result = subprocess.run(
        command, env=os.environ | {"DATABASE_URL": url}, capture_output=True, text=True, check=False
    )
    if result.returncode:
        reason = result.stderr.strip().splitlines()
        raise MoveError(f"The database cannot be migrated: {reason[-1] if reason else result.returncode}")


def copy_rows(*, source: str, target: str, tell: Callable[[str], object] = lambda line: None) -> Rows:
    """Replace all rows of `target` by those of `source`, in one transaction of each: what is read is of one
    moment, and a failure leaves the target as it was. Returns how many rows each table got. Raises MoveError.
    """
    copied: Rows = {}
    with transaction.atomic(using=source), transaction.atomic(using=target):
        if connections[source].vendor == "postgresql":
            with connections[source].cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        _empty(target)
        for model in tables():
            table = model._meta.db_table
            copied[table] = _copy(model, source, target)
            tell(f"{table}: {copied[table]:,} rows")
        _check(source, target)
        with connections[target].cursor() as cursor:
            for statement in connections[target].ops.sequence_reset_sql(no_style(), tables()):
                cursor.execute(statement)
    return copied


def _empty(using: str) -> None:
    quote = connections[using].ops.quote_name
    names = [quote(model._meta.db_table) for model in tables()]
    with connections[using].cursor() as cursor:
        if connections[using].vendor == "postgresql":
            cursor.execute(f"TRUNCATE {', '.join(names)}")
            return
        for name in names:  # foreign keys are checked when the transaction ends
            cursor.execute(f"DELETE FROM {name}")  # noqa: S608


def _copy(model: type[models.Model], source: str, target: str) -> int:
    fields = model._meta.local_concrete_fields
    names = [field.attname for field in fields]
    rows = all_rows(model, source).values_list(*names).iterator(chunk_size=CHUNK)
    connection = connections[target]
    # What a database gives back it takes again, except for these kinds.
    convert = [
        (at, field)
        for at, field in enumerate(fields)
        if isinstance(field, models.JSONField | models.DateTimeField | models.UUIDField | models.BinaryField)
        or field.get_internal_type() in ("DateField", "DecimalField", "DurationField", "TimeField")
    ]

    def prepared() -> Iterator[list[Any]]:
        for row in rows:
            values = list(row)
            for at, field in convert:
                values[at] = field.get_db_prep_save(values[at], connection=connection)
            yield values

    quote = connection.ops.quote_name
    columns = ", ".join(quote(str(field.column)) for field in fields)
    table = quote(model._meta.db_table)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            return _stream(cursor, f"COPY {table} ({columns}) FROM STDIN", prepared())
        marks = ", ".join(["%s"] * len(fields))
        return _insert(cursor, f"INSERT INTO {table} ({columns}) VALUES ({marks})", prepared())  # noqa: S608


def _stream(cursor: Any, statement: str, rows: Iterable[list[Any]]) -> int:
    count = 0
    with cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row(row)
            count += 1
    return count


def _insert(cursor: Any, statement: str, rows: Iterator[list[Any]]) -> int:
    count = 0
    while chunk := list(islice(rows, CHUNK)):
        cursor.executemany(statement, chunk)
        count += len(chunk)
    return count


def _check(source: str, target: str) -> None:
    before, after = count_rows(source), count_rows(target)
    if wrong := [table for table in before if before[table] != after[table]]:
        words = (f"{table} has {before[table]:,} rows, its copy {after[table]:,}" for table in wrong)
        raise MoveError(f"Not every row was copied: {'; '.join(words)}.")
    connections[target].check_constraints()


def sqlite_url(path: Path) -> str:
    return f"sqlite:///{path.resolve()}"
