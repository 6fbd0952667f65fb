"""Fill in the names, batch by batch: each is kept by itself, so that nobody waits for all rows."""

from typing import Any

from django.db import migrations

from formats.names import normalize_hashtag


BATCH = 2000


def fill(apps: Any, schema_editor: Any) -> None:
    rows = apps.get_model("serving", "CheckedHashtag").objects.order_by("pk")
    last = 0
    while batch := list(rows.filter(pk__gt=last)[:BATCH]):
        last = batch[-1].pk
        changed = [row for row in batch if not row.name]
        for row in changed:
            row.name = normalize_hashtag(row.hashtag)[:100]
        rows.bulk_update(changed, ["name"])


class Migration(migrations.Migration):

    atomic = False

    dependencies = [
        ("serving", "0005_checked_names"),
    ]

    operations = [
        migrations.RunPython(fill, migrations.RunPython.noop),
    ]
