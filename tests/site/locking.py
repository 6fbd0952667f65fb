"""Which operations of a migration lock or rewrite a table on PostgreSQL for as long as it has rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db.migrations import Migration, operations
from django.db.migrations.state import ProjectState
from django.db.models import Field, ManyToManyField

INDEX = "nobody can write until its index is built: build it concurrently"
TYPE = "the whole table is rewritten: add a new field, copy in batches, then drop the old one"
NOT_NULL = (
    "the whole table is read while nobody can use it: add a check that is not valid, validate it, then this"
)
NO_DEFAULT = "rows that are there have no value: give a default"
CONSTRAINT = (
    "nobody can write until all rows are checked: add it not valid, or by a concurrent index, then validate"
)
ONE_TRANSACTION = "what it changes is locked until it ends: write atomic = False and commit batch by batch"


def faults(migration: Migration, state: ProjectState) -> list[str]:
    """What of the migration locks a table that was there before. `state` becomes the state after it."""
    label, found = migration.app_label, []
    new: set[str] = set()
    for operation in migration.operations:
        if isinstance(operation, operations.CreateModel):
            new.add(operation.name_lower)
        for part in _in_database(operation):
            table = getattr(part, "model_name_lower", "") or getattr(part, "name_lower", "")
            if table in new:
                continue
            found += [f"{part.describe()}: {words}" for words in _faults(part, label, state, migration)]
        operation.state_forwards(label, state)
    return found


def _in_database(operation: Any) -> list[Any]:
    if isinstance(operation, operations.SeparateDatabaseAndState):
        return list(operation.database_operations)
    return [operation]


def _faults(part: Any, label: str, state: ProjectState, migration: Migration) -> Iterator[str]:
    if isinstance(part, operations.RunPython | operations.RunSQL):
        if migration.atomic:
            yield ONE_TRANSACTION
    elif isinstance(part, operations.AddIndex):
        if not hasattr(part, "_ensure_not_in_transaction"):  # django.contrib.postgres.operations has it
            yield INDEX
    elif isinstance(part, operations.AddConstraint | operations.AlterUniqueTogether):
        yield CONSTRAINT
    elif isinstance(part, operations.AddField):
        if not isinstance(part.field, ManyToManyField):  # which has a table of its own
            yield from _of_new(part.field)
    elif isinstance(part, operations.AlterField):
        yield from _of_changed(state.models[label, part.model_name_lower].fields[part.name], part.field)


def _of_new(field: Field[Any, Any]) -> Iterator[str]:
    if _has_index(field):
        yield INDEX
    is_empty_text = field.blank and field.empty_strings_allowed
    if not (field.null or is_empty_text or field.has_default() or field.has_db_default()):
        yield NO_DEFAULT


def _of_changed(old: Field[Any, Any], new: Field[Any, Any]) -> Iterator[str]:
    if _has_index(new) and not _has_index(old):
        yield INDEX
    if old.null and not new.null:
        yield NOT_NULL
    is_shorter = (new.max_length or 0) < (old.max_length or 0)
    if old.get_internal_type() != new.get_internal_type() or is_shorter:
        yield TYPE


def _has_index(field: Field[Any, Any]) -> bool:
    return bool(getattr(field, "db_index", False) or field.unique)
