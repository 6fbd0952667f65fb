"""A campaign's photos are predicted in shards: each photo once, by whoever takes its shard."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.utils import timezone

from jobs import crew, shards, work
from jobs.lease import claim
from jobs.models import Job, Shard
from mapping.models import Hashtag
from validation.campaigns import predicting
from validation.campaigns.questions import make_questions
from validation.models import Campaign, Prediction, Question

pytestmark = [pytest.mark.integration, pytest.mark.django_db]  # the engine assembles the model


@pytest.fixture
def exported(
    campaign: Campaign, assembled_starter: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Campaign]:
    """Four photos without predictions, a model that can predict them, and shards of two photos."""
    Prediction.objects.all().delete()
    Question.objects.all().delete()
    names = json.loads((assembled_starter / "manifest.json").read_text())["labels"]
    Hashtag.objects.bulk_create(
        (
            Hashtag(name=name, posts=10**8, source="test", counted_on="2019")
            for name in names
            if name != "other"
        ),
        ignore_conflicts=True,
    )
    monkeypatch.setattr(settings, "SHARD_PHOTOS", 2)
    campaign.predictor.folder.parent.mkdir(parents=True, exist_ok=True)
    campaign.predictor.folder.symlink_to(assembled_starter)
    yield campaign
    campaign.predictor.folder.unlink()


def test_photos_are_predicted_once_by_the_holder_and_a_helper(
    exported: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = predicting.predict_again(campaign=exported, by=None)
    lease = claim(job.pk)
    assert lease
    predicting._plan(lease, exported, [exported.predictor])
    mine = shards.take(job.pk)
    assert mine
    crew.help_out()
    first, last = mine.payload["first"], mine.payload["last"]
    assert Prediction.objects.count() == 2
    assert not Prediction.objects.filter(photo_id__gte=first, photo_id__lte=last).exists()
    mine.give_back()

    def make_for_longer_than_a_lease(**terms: Campaign) -> int:
        Job.objects.filter(pk=job.pk).update(lease_until=timezone.now() - settings.JOB_LEASE)
        return make_questions(**terms)

    monkeypatch.setattr(predicting, "make_questions", make_for_longer_than_a_lease)
    predicting.predict(lease)
    assert not Job.objects.filter(pk=job.pk, lease_until__lt=timezone.now()).exists()
    assert sorted(Prediction.objects.values_list("photo_id", flat=True)) == sorted(
        exported.photos.values_list("pk", flat=True)
    )
    assert job.shards.filter(state=Shard.State.DONE).count() == 2


def test_photo_that_joins_while_shards_are_left_gets_a_shard_of_its_own(exported: Campaign) -> None:
    job = predicting.predict_again(campaign=exported, by=None)
    lease = claim(job.pk)
    assert lease
    newest = exported.photos.order_by("pk").last()
    assert newest
    exported.photos.remove(newest)
    predicting._plan(lease, exported, [exported.predictor])
    exported.photos.add(newest)
    lease.give_back()
    work.run(job_id=str(job.pk))
    job.refresh_from_db()
    assert (job.state, job.shards.count()) == (Job.State.SUCCEEDED, 3)
    assert Prediction.objects.filter(photo=newest).count() == 1


def test_shards_of_a_replaced_job_are_left(exported: Campaign) -> None:
    old = predicting.predict_again(campaign=exported, by=None)
    lease = claim(old.pk)
    assert lease
    predicting._plan(lease, exported, [exported.predictor])
    predicting.predict_again(campaign=exported, by=None)
    crew.help_out()
    assert set(old.shards.values_list("state", "attempts")) == {(Shard.State.WAITING, 0)}
    assert not Prediction.objects.exists()
