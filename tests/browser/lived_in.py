"""A site that has been used: long names, figures, votes and jobs, so that pages are as full as they get."""

from __future__ import annotations

from uuid import uuid4

from django.contrib.auth.models import User
from django.utils import timezone

from jobs.models import Job
from mapping.models import MappingEntry, Release, ReleaseLabel, SceneClass
from tests.site.conftest import NUMBER, World
from trainer.models import TrainingRun
from validation.models.answers import Answer
from validation.voting.votes import record_vote

LONG = "Bildungs-und-Begegnungsstättenverwaltungsgebäudeinnenraum"  # no line of a phone takes this word
LABELS = ("zanzibar", "bookshoplove", LONG.lower(), "other")


def live_in(world: World) -> None:
    """Fills the world of tests/site/conftest.py."""
    _fill_mapping()
    _fill_run()
    for question in world.campaign.questions.all():
        record_vote(
            campaign=world.campaign,
            photo=question.photo,
            hashtag=question.hashtag,
            person=User.objects.get(pk=NUMBER),
            answer=Answer.DOES_NOT_FIT,
            request_id=uuid4(),
        )
    error, ended = f"{LONG} is missing", timezone.now()
    Job.objects.create(kind="x", title=LONG, state=Job.State.FAILED, error=error, finished_at=ended)
    Job.objects.create(kind="x", title=LONG, state=Job.State.QUEUED)


def _fill_mapping() -> None:
    for number in range(30):
        scene = SceneClass.objects.create(key=f"l/{LONG}/{number}", name=f"{LONG} {number}")
        MappingEntry.objects.create(scene_class=scene, note=f"{LONG} {LONG} {number}")
    release = Release.objects.order_by("-number")[0]
    classes = SceneClass.objects.exclude(pk=NUMBER).order_by("pk")[: len(LABELS)]
    for scene, label in zip(classes, LABELS, strict=True):
        ReleaseLabel.objects.create(release=release, scene_key=scene.key, label=label)


def _fill_run() -> None:
    run = TrainingRun.objects.get(pk=NUMBER)
    run.accuracy, run.balanced_accuracy = 0.75, 0.7
    run.report = {
        "labels": list(LABELS),
        "accuracy": 0.75,
        "balanced_accuracy": 0.7,
        "confusion": [[2, 0, 0, 0], [0, 1, 0, 1], [0, 1, 1, 0], [0, 0, 0, 2]],
        "per_label": [
            {"label": label, "photos": 2, "recall": 0.5, "precision": None, "f1": 0.4} for label in LABELS
        ],
        "precision_at_coverage": [{"coverage": c / 10, "precision": 1 - c / 20} for c in range(1, 11)],
        "train_photos": 32,
        "test_photos": 8,
        "seconds": 3.2,
        "left_out": {"photos": 3, "classes": [f"l/{LONG}/{n}" for n in range(3)], "unreadable": 1},
    }
    run.save()
    run.epochs.update(test_loss=0.9, accuracy=0.6, balanced_accuracy=0.5)
    photo = run.photo_set.photos.get()
    run.held_out.create(photo=photo, true=LABELS[0], predicted=LABELS[1], confidence=0.8)
