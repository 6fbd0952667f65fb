"""The migrations are up to date with the models, and lock no large table for long.

Not in `make lint`: starting Django again takes long.
"""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.contrib.postgres.operations import AddIndexConcurrently
from django.core.management import call_command
from django.db import models
from django.db.migrations import (
    AddConstraint,
    AddField,
    AddIndex,
    AlterField,
    AlterUniqueTogether,
    CreateModel,
    Migration,
    RunPython,
    SeparateDatabaseAndState,
)
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import ProjectState

from tests.site import locking

# Written while no site had many rows. A new one is no exception: write it so that it does not lock.
BEFORE_THE_RULE = {
    "mapping.0002_releases_cannot_change",
    "mapping.0003_posts_counted_exactly",
    "mapping.0004_acts_and_opinions",
    "mapping.0005_publisher_cannot_change",
    "mapping.0006_entries_by_opinion_and_status",
    "people.0002_tokens_of_before",
    "people.0003_invited_once",
    "serving.0004_photo_hashes",
    "trainer.0002_photo_index",
    "trainer.0003_runs_compared_and_registered",
    "trainer.0004_model_target",
    "trainer.0006_promise",
    "trainer.0007_label_folders",
    "trainer.0009_derived_models",
    "trainer.0010_relabelled",
    "validation.0002_crowd",
    "validation.0003_vote_indexes",
    "validation.0006_shared",
    "validation.0007_intake_again",
    "validation.0008_fill_participations",
    "validation.0011_names_in_one_spelling",
    "validation.0013_authors_campaigns",
    "validation.0014_made_up",
}


@pytest.mark.django_db
def test_no_migration_is_missing() -> None:
    missing = StringIO()
    try:
        call_command("makemigrations", check_changes=True, dry_run=True, stdout=missing)
    except SystemExit:
        pytest.fail(f"Run manage.py makemigrations. Missing:\n{missing.getvalue()}")


class Tables:
    """A table of the app "crowd" that was there before, and what a migration does to it."""

    def __init__(self) -> None:
        self.state = ProjectState()
        fields: list[tuple[str, models.Field[Any, Any]]] = [
            ("id", models.BigAutoField(primary_key=True)),
            ("name", models.CharField(max_length=50)),
            ("seen", models.IntegerField(null=True)),
        ]
        CreateModel("vote", fields).state_forwards("crowd", self.state)

    def faults(self, *operations: Any, atomic: bool = True) -> list[str]:
        facts = {"operations": operations, "atomic": atomic}
        migration: Migration = type("Made", (Migration,), facts)("0002", "crowd")
        return [found.split(": ", 1)[1] for found in locking.faults(migration, self.state)]


def do(state: Any, schema_editor: Any) -> None: ...


INDEX = models.Index(fields=["seen"], name="by_seen")
CHECK = models.CheckConstraint(condition=models.Q(seen__gt=0), name="seen_once")


@pytest.mark.parametrize(
    ("operation", "words"),
    [
        (AddIndex("vote", INDEX), locking.INDEX),
        (AddField("vote", "key", models.IntegerField(default=0, db_index=True)), locking.INDEX),
        (AddField("vote", "by", models.ForeignKey("crowd.vote", models.CASCADE, null=True)), locking.INDEX),
        (AlterField("vote", "name", models.CharField(max_length=50, unique=True)), locking.INDEX),
        (AddField("vote", "key", models.IntegerField()), locking.NO_DEFAULT),
        (AlterField("vote", "seen", models.IntegerField()), locking.NOT_NULL),
        (AlterField("vote", "seen", models.BigIntegerField(null=True)), locking.TYPE),
        (AlterField("vote", "name", models.CharField(max_length=20)), locking.TYPE),
        (AddConstraint("vote", CHECK), locking.CONSTRAINT),
        (AlterUniqueTogether("vote", {("name", "seen")}), locking.CONSTRAINT),
        (RunPython(do), locking.ONE_TRANSACTION),
        (SeparateDatabaseAndState([AddIndex("vote", INDEX)], []), locking.INDEX),
    ],
)
def test_operation_that_locks_is_named(operation: Any, words: str) -> None:
    assert Tables().faults(operation) == [words]


def test_operations_that_do_not_lock_are_accepted() -> None:
    new = CreateModel("skip", [("id", models.BigAutoField(primary_key=True))])
    harmless = [
        *(new, AddIndex("skip", models.Index(fields=["id"], name="by_id"))),
        AddField("vote", "note", models.CharField(max_length=9, default="")),
        AddField("vote", "key", models.IntegerField(null=True)),
        AlterField("vote", "name", models.CharField(max_length=90)),
        SeparateDatabaseAndState([], [AddConstraint("vote", CHECK)]),
    ]
    assert Tables().faults(*harmless) == []
    assert Tables().faults(AddIndexConcurrently("vote", INDEX), RunPython(do), atomic=False) == []


def test_no_migration_locks_a_table_for_long() -> None:
    # With the originals of squashed ones: those only make tables of a new database, which have no rows.
    loader, state, found = MigrationLoader(None, replace_migrations=False), ProjectState(), {}
    own = {app.label for app in apps.get_app_configs() if (settings.BASE_DIR / app.name).is_dir()}
    for key in loader.graph._generate_plan(loader.graph.leaf_nodes(), at_end=True):
        if loader.graph.nodes[key].replaces:
            continue
        faults = locking.faults(loader.graph.nodes[key], state)
        if faults and key[0] in own:
            found[".".join(key)] = faults
    new = [f"{name}: {fault}" for name in found.keys() - BEFORE_THE_RULE for fault in found[name]]
    assert not new, "\n".join(["See docs/operating.md, “Migrations that do not lock”:", *new])
    assert not BEFORE_THE_RULE - found.keys(), "no longer needed"
