"""Counts by day that several processes add to at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import connection, models


class TallyQuerySet(models.QuerySet[Any]):
    """Of a model with KEYS, which are unique together, and COUNTS."""

    def add(self, rows: Mapping[tuple[Any, ...], Sequence[int]]) -> None:
        """Add to the counts of each key; rows that are missing begin at 0.

        One statement a row, because Django's upsert replaces values and cannot add to them. The rows are
        sorted: transactions that add to the same rows wait for each other, and never in a circle.
        """
        fields = [self.model._meta.get_field(name) for name in (*self.model.KEYS, *self.model.COUNTS)]
        table, *columns = map(
            connection.ops.quote_name, (self.model._meta.db_table, *(field.column for field in fields))
        )
        keys, counts = columns[: len(self.model.KEYS)], columns[len(self.model.KEYS) :]
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
