"""The name of a checked hashtag as campaigns spell it, so that what people said of it is found."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("serving", "0004_photo_hashes"),
    ]

    operations = [
        migrations.AddField(
            model_name="checkedhashtag",
            name="name",
            field=models.CharField(db_default="", max_length=100),
        ),
    ]
