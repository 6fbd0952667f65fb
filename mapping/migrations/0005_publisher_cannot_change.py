"""Who published a release is frozen too; only deleting the account may blank it."""

from django.db import migrations

NAME = "mapping_release_publisher_frozen"
TABLE = "mapping_release"


def add_trigger(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        action = "EXECUTE FUNCTION mapping_refuse_change()"
    else:
        action = "BEGIN SELECT RAISE(ABORT, 'a release of the mapping cannot be changed'); END"
    schema_editor.execute(
        f"CREATE TRIGGER {NAME} BEFORE UPDATE OF published_by_id ON {TABLE} FOR EACH ROW "
        f"WHEN (NEW.published_by_id IS NOT NULL) {action}"
    )


def drop_trigger(apps, schema_editor):
    on = f" ON {TABLE}" if schema_editor.connection.vendor == "postgresql" else ""
    schema_editor.execute(f"DROP TRIGGER {NAME}{on}")


class Migration(migrations.Migration):
    dependencies = [("mapping", "0004_acts_and_opinions")]
    operations = [migrations.RunPython(add_trigger, drop_trigger)]
