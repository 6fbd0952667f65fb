from django.db import migrations, models
from django.db.models import Exists, Min, OuterRef, Subquery


def fill(apps, schema_editor):
    """Which questions two campaigns share; and the first answer instead of the last."""
    Question = apps.get_model("validation", "Question")
    Vote = apps.get_model("validation", "Vote")
    twins = Question.objects.filter(photo=OuterRef("photo"), hashtag=OuterRef("hashtag"))
    Question.objects.filter(Exists(twins.exclude(pk=OuterRef("pk")))).update(shared=True)
    votes = Vote.objects.filter(photo=OuterRef("photo"), hashtag=OuterRef("hashtag"), set_aside=False)
    votes = votes.exclude(answer="skip").order_by().values("photo")
    first = votes.annotate(at=Min("created_at")).values("at")
    Question.objects.exclude(answered_at=None).update(answered_at=Subquery(first))


class Migration(migrations.Migration):
    dependencies = [("validation", "0005_taken_back")]

    operations = [
        migrations.AddField(
            model_name="question",
            name="shared",
            field=models.BooleanField(default=False),
        ),
        migrations.AlterField(
            model_name="intake",
            name="kind",
            field=models.CharField(
                choices=[
                    ("upload", "uploaded files"),
                    ("archive", "a zip archive"),
                    ("folder", "a folder on the server"),
                ],
                max_length=10,
            ),
        ),
        migrations.AlterField(
            model_name="question",
            name="stream",
            field=models.CharField(
                blank=True,
                choices=[
                    ("", "not asked yet"),
                    ("audit", "the lowest rank of all that was open"),
                    ("active", "drawn where it teaches most"),
                ],
                max_length=6,
            ),
        ),
        migrations.RunPython(fill, migrations.RunPython.noop, elidable=True),
    ]
