"""Copies of whole tables, restored in milliseconds; loading a mapping takes far longer."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from django.apps import apps
from django.core.management.color import no_style
from django.db import connection

Table = tuple[str, list[str], list[Any]]  # its name, its columns, its rows
_mappings: dict[str, list[Table]] = {}  # of this test process


def tables_of(app: str) -> list[str]:
    """The app's tables, in an order in which their rows can be restored."""
    return [model._meta.db_table for model in apps.get_app_config(app).get_models()]


def take(names: Iterable[str]) -> list[Table]:
    """All rows of these tables."""
    tables: list[Table] = []
    with connection.cursor() as cursor:
        for name in names:
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(name)}")  # noqa: S608
            tables.append((name, [column[0] for column in cursor.description], cursor.fetchall()))
    return tables


def put(tables: list[Table]) -> None:
    """Restore the rows into empty tables."""
    quote = connection.ops.quote_name
    with connection.cursor() as cursor, connection.constraint_checks_disabled():
        for name, columns, rows in tables:
            fields = ", ".join(map(quote, columns))
            marks = ", ".join(["%s"] * len(columns))
            if rows:
                cursor.executemany(f"INSERT INTO {quote(name)} ({fields}) VALUES ({marks})", rows)  # noqa: S608
        names = {name for name, _, _ in tables}
        models = [m for m in apps.get_models(include_auto_created=True) if m._meta.db_table in names]
        for sql in connection.ops.sequence_reset_sql(no_style(), models):
            cursor.execute(sql)


def load_mapping_once(name: str, load: Callable[[], object]) -> None:
    """Fill the mapping's tables, which must be empty, by `load`; the next time with a copy of its rows."""
    names = tables_of("mapping")
    assert not any(rows for _, _, rows in take(names)), f"{name}: a fixture before it has filled the mapping"
    if name in _mappings:
        put(_mappings[name])
    else:
        load()
        _mappings[name] = take(names)
