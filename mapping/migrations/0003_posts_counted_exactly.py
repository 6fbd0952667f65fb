from django.db import migrations, models
from django.db.models import F


def to_posts(apps, schema_editor):
    apps.get_model("mapping", "Hashtag").objects.update(posts=F("posts") * 1_000_000)


def to_millions(apps, schema_editor):
    apps.get_model("mapping", "Hashtag").objects.update(posts=F("posts") / 1_000_000)


class Migration(migrations.Migration):
    dependencies = [("mapping", "0002_releases_cannot_change")]
    operations = [
        migrations.AlterField("hashtag", "posts_millions", models.PositiveBigIntegerField()),
        migrations.RenameField("hashtag", "posts_millions", "posts"),
        migrations.RunPython(to_posts, to_millions),
    ]
