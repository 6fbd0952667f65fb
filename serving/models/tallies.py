"""Counts by day that several processes add to at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol

from django.db import connection


class Tally(Protocol):
    """A model whose KEYS are unique together, and whose COUNTS are added to."""

    KEYS: ClassVar[tuple[str, ...]]
    COUNTS: ClassVar[tuple[str, ...]]
    _meta: ClassVar[Any]


def add_counts(table_model: type[Tally], rows: Mapping[tuple[Any, ...], Sequence[int]]) -> None:
    """Add to the counts of each key; rows that are missing begin at 0.

    One statement a row, because Django's upsert replaces values and cannot add to them. The rows are sorted:
    transactions that add to the same rows wait for each other, and never in a circle.
    """
    fields = [table_model._meta.get_field(name) for name in (*table_model.KEYS, *table_model.COUNTS)]
    table, *columns = map(
        connection.ops.quote_name, (table_model._meta.db_table, *(field.column for field in fields))
    )
    keys, counts = columns[: len(table_model.KEYS)], columns[len(table_model.KEYS) :]
    statement = (
        f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join(['%s'] * len(columns))}) "  # noqa: S608
        f"ON CONFLICT ({', '.join(keys)}) DO UPDATE SET "
        + ", ".join(f"{name} = {table}.{name} + excluded.{name}" for name in counts)
    )
    values = [
        [field.get_db_prep_save(value, connection) for field, value in zip(fields, row, strict=True)]
        for row in sorted((*key, *added) for key, added in rows.items())
    ]
    if values:
        with connection.cursor() as cursor:
            cursor.executemany(statement, values)
