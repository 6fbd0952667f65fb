"""Queries whose SQL is built once in a process, for what every vote asks.

Django builds the SQL of a query anew each time, which takes longer than the query. Here a function makes the
query set once, with `given(…)` where each call puts a value of its own:

    votes_of = Prepared(lambda: Vote.objects.filter(person_id=given("person")))
    votes_of.rows(person=7)

Arguments of the function decide what the SQL looks like: there is a statement for each combination of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

from django.db import connection, models
from django.db.models import Expression, QuerySet
from django.db.models.query import ModelIterable, get_related_populators
from django.db.models.sql import DeleteQuery, UpdateQuery
from django.utils import timezone

Row = TypeVar("Row")
FIELDS: dict[type, models.Field[Any, Any]] = {
    int: models.BigIntegerField(),
    float: models.FloatField(),
    str: models.TextField(),
}


class _Given(Expression):
    """The place of a value in a statement."""

    def __init__(self, name: str, field: models.Field[Any, Any]) -> None:
        super().__init__(output_field=field)
        self.name = name

    def as_sql(self, compiler: Any, connection: Any) -> Any:
        return "%s", [self]


def given(name: str, kind: Any = int) -> Any:
    """The value that a call names so. kind: its type, or a field like the one it is compared with."""
    return _Given(name, kind if isinstance(kind, models.Field) else FIELDS[kind])


def _cursor() -> Any:
    """On PostgreSQL one whose statements the server keeps planned; SQLite's driver does so by itself."""
    if connection.vendor != "postgresql" or not connection.settings_dict["OPTIONS"].get("prepare_threshold"):
        return connection.cursor()
    from django.db.backends.postgresql.base import ServerBindingCursor

    connection.close_if_health_check_failed()
    connection.ensure_connection()
    cursor: Any = ServerBindingCursor
    return connection._prepare_cursor(cursor(connection.connection))  # type: ignore[attr-defined]


def _typed(values: list[Any]) -> list[Any]:
    """Every whole number in eight bytes on PostgreSQL. Otherwise a statement would be prepared for each
    combination of small and large numbers.
    """
    if connection.vendor != "postgresql":
        return values
    from psycopg.types.numeric import Int8

    return [Int8(value) if type(value) is int else value for value in values]


class _Statement:
    """Its SQL, the values between which those of a call are put, and how rows become objects."""

    def __init__(self, compiler: Any) -> None:
        self.sql, self.values = compiler.as_sql()

    def execute(self, values: dict[str, Any]) -> Any:
        """An open cursor."""
        own = [
            one.output_field.get_db_prep_value(values[one.name], connection)
            if isinstance(one, _Given)
            else one
            for one in self.values
        ]
        cursor = _cursor()
        try:
            cursor.execute(self.sql, _typed(own))
        except BaseException:
            cursor.close()
            raise
        return cursor


class _Select(_Statement):
    def __init__(self, queryset: QuerySet[Any]) -> None:
        compiler: Any = queryset.query.get_compiler(connection=connection)
        super().__init__(compiler)
        # As in Django's ModelIterable and SQLCompiler.results_iter.
        self.converters = compiler.get_converters([one[0] for one in compiler.select[: compiler.col_count]])
        self.model: Any = None
        if issubclass(queryset._iterable_class, ModelIterable):
            info = compiler.klass_info
            self.model, places = info["model"], info["select_fields"]
            self.columns = slice(places[0], places[-1] + 1)
            self.names = [one[0].target.attname for one in compiler.select[self.columns]]
            populators_of: Any = get_related_populators
            self.populators = populators_of(info, compiler.select, connection.alias)

    def rows(self, values: dict[str, Any]) -> Iterator[Any]:
        with self.execute(values) as cursor:
            fetched = cursor.fetchall()
        for fixed in fetched:
            row = list(fixed)
            for place, (converters, expression) in self.converters.items():
                for convert in converters:
                    row[place] = convert(row[place], expression, connection)
            if self.model is None:
                yield tuple(row)
                continue
            one = self.model.from_db(connection.alias, self.names, row[self.columns])
            for populator in self.populators:
                populator.populate(row, one)
            yield one


class Prepared(Generic[Row]):
    """A query that returns rows: instances of its model, or tuples after `values_list`."""

    def __init__(self, build: Callable[..., QuerySet[Any, Row]]) -> None:
        self.build = build
        self.statements: dict[tuple[Any, ...], _Select] = {}

    def rows(self, *shape: Any, **values: Any) -> list[Row]:
        if shape not in self.statements:
            self.statements[shape] = _Select(self.build(*shape))
        return list(self.statements[shape].rows(values))

    def first(self, *shape: Any, **values: Any) -> Row | None:
        """For queries that end with [:1], or that find one row at most."""
        return next(iter(self.rows(*shape, **values)), None)

    def exists(self, *shape: Any, **values: Any) -> bool:
        return bool(self.rows(*shape, **values))


class PreparedUpdate:
    """Like `rows.update(**changes)`, where `build` returns both."""

    def __init__(self, build: Callable[..., tuple[QuerySet[Any], dict[str, Any]]]) -> None:
        self.build = build
        self.statements: dict[tuple[Any, ...], _Statement] = {}

    def run(self, *shape: Any, **values: Any) -> int:
        """The number of rows changed."""
        if shape not in self.statements:
            rows, changes = self.build(*shape)
            query = rows.order_by().query.chain(UpdateQuery)
            query.add_update_values(changes)  # type: ignore[attr-defined]
            self.statements[shape] = _Statement(query.get_compiler(connection=connection))
        with self.statements[shape].execute(values) as cursor:
            return int(cursor.rowcount)


class PreparedDelete:
    """Deletes rows that no other rows refer to."""

    def __init__(self, build: Callable[..., QuerySet[Any]]) -> None:
        self.build = build
        self.statements: dict[tuple[Any, ...], _Statement] = {}

    def run(self, *shape: Any, **values: Any) -> int:
        """The number of rows deleted."""
        if shape not in self.statements:
            query = self.build(*shape).order_by().query.chain(DeleteQuery)
            self.statements[shape] = _Statement(query.get_compiler(connection=connection))
        with self.statements[shape].execute(values) as cursor:
            return int(cursor.rowcount)


class PreparedInsert:
    """Inserts one row. on_conflict: what PostgreSQL and SQLite do with a row that is there already.

    Fields without a value get their default.
    """

    def __init__(self, model: type[models.Model], *, on_conflict: str) -> None:
        self.model, self.on_conflict = model, on_conflict
        self.sql = ""

    def run(self, **values: Any) -> int | None:
        """The key of the row; None if there was a conflict and nothing was done."""
        fields = [one for one in self.model._meta.concrete_fields if not one.primary_key]
        if not self.sql:
            quoted = connection.ops.quote_name
            columns = ", ".join(quoted(str(one.column)) for one in fields)
            places = ", ".join(["%s"] * len(fields))
            table, key = quoted(self.model._meta.db_table), quoted(str(self.model._meta.pk.column))
            self.sql = (
                f"INSERT INTO {table} ({columns}) VALUES ({places}) "  # noqa: S608  our own names
                f"ON CONFLICT {self.on_conflict} RETURNING {key}"
            )
        now = timezone.now()
        own = []
        for one in fields:
            is_now = getattr(one, "auto_now", False) or getattr(one, "auto_now_add", False)
            value = values[one.attname] if one.attname in values else now if is_now else one.get_default()
            own.append(one.get_db_prep_save(value, connection))
        with _cursor() as cursor:
            cursor.execute(self.sql, _typed(own))
            row = cursor.fetchone()
        return row[0] if row else None
