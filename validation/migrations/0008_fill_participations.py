"""Counts what people answered before participations were counted, so that old voters can be paused, too."""

from django.db import migrations
from django.db.models import Count, Exists, Max, OuterRef, Q, Subquery

FAST = 0.7  # seconds, as when this was written
BATCH = 500


def fill(apps, schema_editor):
    """One row for each person and campaign with votes and without a row. Repeating it changes nothing."""
    Vote, Participation, Question, GoldAnswer = (
        apps.get_model("validation", name) for name in ("Vote", "Participation", "Question", "GoldAnswer")
    )
    same = {"photo_id": OuterRef("photo_id"), "hashtag_id": OuterRef("hashtag_id")}
    # A gold answer counts only if it was marked before the vote.
    marked = GoldAnswer.objects.filter(**same, set_at__lte=OuterRef("created_at"))
    control = Question.objects.filter(**same, campaign_id=OuterRef("campaign_id"), kind="control")
    counted = Participation.objects.filter(person_id=OuterRef("person_id"), campaign_id=OuterRef("campaign_id"))
    votes = Vote.objects.filter(~Exists(counted), campaign__isnull=False).order_by()
    votes = votes.annotate(gold_fits=Subquery(marked.values("fits")[:1]), is_control=Exists(control))
    fits, misfits = Q(answer="fits"), Q(answer="does_not_fit")
    judged = fits | misfits
    rows = votes.values("person_id", "campaign_id").annotate(
        fits=Count("pk", filter=fits),
        does_not_fit=Count("pk", filter=misfits),
        skips=Count("pk", filter=Q(answer="skip")),
        fast=Count("pk", filter=judged & Q(seconds__lt=FAST)),
        gold=Count("pk", filter=judged & Q(gold_fits__isnull=False)),
        gold_right=Count("pk", filter=(fits & Q(gold_fits=True)) | (misfits & Q(gold_fits=False))),
        control=Count("pk", filter=judged & Q(is_control=True)),
        control_fits=Count("pk", filter=fits & Q(is_control=True)),
        last=Max("created_at"),
    )
    rows = list(rows)
    for start in range(0, len(rows), BATCH):
        batch = [dict(row) for row in rows[start : start + BATCH]]
        times = [row.pop("last") for row in batch]
        made = Participation.objects.bulk_create([Participation(**row) for row in batch])
        for participation, time in zip(made, times, strict=True):
            participation.last_at = time  # creating it has set the time of now
        Participation.objects.bulk_update(made, ["last_at"])


class Migration(migrations.Migration):
    dependencies = [("validation", "0007_intake_again")]
    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
