"""The name of a checked hashtag as campaigns spell it, so that what people said of it is found."""

from typing import Any

from django.db import migrations, models

from formats.names import normalize_hashtag


def fill(apps: Any, schema_editor: Any) -> None:
    rows = apps.get_model("serving", "CheckedHashtag").objects
    written = rows.filter(name="").order_by("hashtag").values_list("hashtag", flat=True).distinct()
    for hashtag in list(written):
        rows.filter(hashtag=hashtag).update(name=normalize_hashtag(hashtag)[:100])


class Migration(migrations.Migration):

    dependencies = [
        ("serving", "0004_photo_hashes"),
    ]

    operations = [
        migrations.AddField(
            model_name="checkedhashtag",
            name="name",
            field=models.CharField(default="", max_length=100),
            preserve_default=False,
        ),
        migrations.RunPython(fill, migrations.RunPython.noop),
    ]
