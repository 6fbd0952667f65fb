"""Rule 1, labels are frozen: the database itself refuses to UPDATE a release or its labels."""

from django.db import migrations

TABLES = ("mapping_release", "mapping_releaselabel")
MESSAGE = "a release of the mapping cannot be changed"


def add_triggers(apps, schema_editor):
    vendor = schema_editor.connection.vendor
    if vendor == "postgresql":
        schema_editor.execute(
            "CREATE FUNCTION mapping_refuse_change() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN RAISE EXCEPTION '{MESSAGE}' USING ERRCODE = 'integrity_constraint_violation'; END $$"
        )
    for table in TABLES:
        # Deleting a curator's account sets published_by to NULL, which changes nothing that was decided.
        columns = "release_id, scene_key, label, sense, synset, hypernym_sense, hypernym"
        if table == "mapping_release":
            columns = "number, note, published_at"
        action = (
            "EXECUTE FUNCTION mapping_refuse_change()"
            if vendor == "postgresql"
            else f"BEGIN SELECT RAISE(ABORT, '{MESSAGE}'); END"
        )
        schema_editor.execute(
            f"CREATE TRIGGER {table}_frozen BEFORE UPDATE OF {columns} ON {table} FOR EACH ROW {action}"
        )


def drop_triggers(apps, schema_editor):
    on = schema_editor.connection.vendor == "postgresql"
    for table in TABLES:
        schema_editor.execute(f"DROP TRIGGER {table}_frozen" + (f" ON {table}" if on else ""))
    if on:
        schema_editor.execute("DROP FUNCTION mapping_refuse_change()")


class Migration(migrations.Migration):
    dependencies = [("mapping", "0001_initial")]
    operations = [migrations.RunPython(add_triggers, drop_triggers)]
