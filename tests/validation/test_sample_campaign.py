"""The sample campaign with the real starter model: real photos, real predictions, once."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest
from django.conf import settings

from jobs.models import Job
from tests.conftest import process_environment
from trainer.models import Promotion
from trainer.registry.serving import NoActiveModel
from trainer.registry.starter import STARTERS, install_starters
from validation import sample
from validation.agreement import silence
from validation.models import Campaign, Photo, Prediction

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(
        not (STARTERS / "fast/starter.json").exists(), reason="the starter model is not there"
    ),
]


@pytest.mark.django_db
def test_sample_campaign_without_a_model_is_refused() -> None:
    with pytest.raises(NoActiveModel, match="promote one first"):
        sample.load_sample_campaign(by=None)
    assert not Campaign.objects.exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("starter")
def test_sample_campaign_is_predicted_once(catalogue: None, run_jobs: Callable[[], list[Job]]) -> None:
    install_starters()
    campaign = sample.load_sample_campaign(by=None)
    files = sorted(path.name for path in (settings.BASE_DIR / "samples/campaign").glob("*.jpg"))
    assert sorted(campaign.photos.values_list("name", flat=True)) == files
    assert campaign.job is not None
    assert campaign.job.state == Job.State.SUCCEEDED
    assert not Photo.objects.filter(licence="").exists()
    assert not Photo.objects.filter(source_url="").exists()

    predictions = list(Prediction.objects.of(campaign))
    assert len(predictions) == len(files)
    suggestions = [one for one in predictions if one.hashtag]
    assert 0 < len(suggestions) < len(predictions)
    assert all(one.confidence and one.confidence > 0.3 and len(one.candidates) == 3 for one in suggestions)
    # The starter tells scene classes apart, so a suggestion names the row of the mapping behind it; but some
    # of its classes are label folders (`_other/pets`), which the mapping does not have.
    of_class = [one for one in predictions if one.scene_class]
    assert len(predictions) / 2 < len(of_class) < len(predictions)
    assert all(one.scene_confidence for one in of_class)
    assert {reason for reason, _ in silence.silent_by_reason(campaign=campaign)} <= {"other", "unsure"}

    # Repeating changes nothing, also when a worker died between two batches.
    assert sample.load_sample_campaign(by=None) == campaign
    Prediction.objects.filter(pk__in=[one.pk for one in predictions[:20]]).delete()
    Job.objects.filter(pk=campaign.job.pk).update(state=Job.State.QUEUED, finished_at=None)
    run_jobs()
    again = Prediction.objects.of(campaign)
    assert again.count() == len(files)
    assert {one.photo_id: one.hashtag_id for one in again} == {
        one.photo_id: one.hashtag_id for one in predictions
    }
    assert Campaign.objects.count() == Promotion.objects.count() == 1


def test_predicting_loads_no_torch() -> None:
    program = "import django, sys; django.setup(); import validation.urls, trainer.registry.serving; "
    program += "import trainer.engine.serving.predict; sys.exit('torch' in sys.modules)"
    argv = [sys.executable, "-c", program]
    environment = process_environment() | {"DATABASE_URL": "sqlite:///:memory:"}
    assert subprocess.run(argv, env=environment, cwd=settings.BASE_DIR).returncode == 0
