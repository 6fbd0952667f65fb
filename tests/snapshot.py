"""Rows of whole tables, taken once and put back in milliseconds; loading the catalogue takes far longer."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.core.management.color import no_style
from django.db import connection

Table = tuple[str, list[str], list[Any]]


def take(app: str) -> list[Table]:
    """All rows of the app's tables, in an order in which they can be put back."""
    found = []
    with connection.cursor() as cursor:
        for model in apps.get_app_config(app).get_models():
            table = connection.ops.quote_name(model._meta.db_table)
            cursor.execute(f"SELECT * FROM {table}")  # noqa: S608
            found.append((table, [column[0] for column in cursor.description], cursor.fetchall()))
    return found


def put(app: str, tables: list[Table]) -> None:
    """Into empty tables."""
    with connection.cursor() as cursor, connection.constraint_checks_disabled():
        for table, columns, rows in tables:
            names = ", ".join(map(connection.ops.quote_name, columns))
            marks = ", ".join(["%s"] * len(columns))
            if rows:
                cursor.executemany(f"INSERT INTO {table} ({names}) VALUES ({marks})", rows)  # noqa: S608
        models = list(apps.get_app_config(app).get_models())
        for sql in connection.ops.sequence_reset_sql(no_style(), models):
            cursor.execute(sql)
