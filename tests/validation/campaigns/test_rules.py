"""What may change while a campaign runs, photos that join it, and the job that predicts them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from pytest_django import Settings

from jobs.lease import claim
from jobs.models import Job
from mapping.models import Hashtag
from tests.validation.conftest import MakeCampaign, taken_in
from trainer.models import TrainedModel
from validation.campaigns import acts, rules
from validation.campaigns.predicting import predict_again
from validation.forms.campaign import RulesForm
from validation.models import Campaign, Prediction, Question

RunJobs = Callable[[], list[Job]]


@pytest.fixture
def admin(user_for: Callable[..., User]) -> User:
    return user_for("admin")


def test_rules_change_and_a_stale_page_changes_nothing(
    campaign: Campaign, admin: User, hashtags: dict[str, Hashtag]
) -> None:
    version = rules.rules_seen(campaign)
    changes = rules.change_rules(
        campaign=campaign, seen=version, by=admin, name="Test", votes_per_photo=5, hashtags=[hashtags["bar"]]
    )
    assert changes == ["votes_per_photo", "hashtags"]
    with pytest.raises(rules.StaleRules):
        rules.change_rules(campaign=campaign, seen=version, by=admin, name="Late", votes_per_photo=9)
    campaign.refresh_from_db()
    assert (campaign.name, campaign.votes_per_photo) == ("Test", 5)
    assert campaign.job
    assert campaign.job.state == Job.State.QUEUED  # other hashtags: other questions


def test_another_quota_opens_and_closes_questions(
    campaign: Campaign, admin: User, hashtags: dict[str, Hashtag]
) -> None:
    photos = list(campaign.photos.all())
    Question.objects.all().delete()
    for photo, fits in zip(photos, (3, 2, 0, 0), strict=True):
        Question.objects.create(
            campaign=campaign, photo=photo, hashtag=hashtags["bar"], kind="suggestion", rank=0.5,
            needed=3, fits=fits, is_done=fits >= 3,
        )  # fmt: skip

    def done_with(votes: int) -> int:
        version = rules.rules_seen(Campaign.objects.get(pk=campaign.pk))
        rules.change_rules(campaign=campaign, seen=version, by=admin, name="Test", votes_per_photo=votes)
        return Question.objects.filter(is_done=True).count()

    assert [done_with(2), done_with(4), done_with(3)] == [2, 0, 1]


def test_model_of_a_campaign_cannot_be_changed(campaign: Campaign, admin: User, model: TrainedModel) -> None:
    version = rules.rules_seen(campaign)
    with pytest.raises(TypeError, match="model"):
        rules.change_rules(campaign=campaign, seen=version, by=admin, name="Test", model=model)


def test_photos_are_added_once_and_withdrawn_ones_never(campaign: Campaign, admin: User) -> None:
    new, withdrawn = taken_in(70), taken_in(71)
    withdrawn.withdrawn_at = timezone.now()
    withdrawn.save()
    assert acts.add_photos(campaign=campaign, photos=[new, withdrawn], by=admin) == 1
    assert acts.add_photos(campaign=campaign, photos=[new, withdrawn], by=admin) == 0
    assert Job.objects.count() == 1


def test_waiting_job_is_kept_and_a_running_one_is_replaced(campaign: Campaign, admin: User) -> None:
    first = predict_again(campaign=campaign, by=admin)
    assert predict_again(campaign=campaign, by=admin) == first
    assert claim(first.pk)
    second = predict_again(campaign=campaign, by=admin)
    campaign.refresh_from_db()
    assert (campaign.job, second == first) == (second, False)


def test_the_job_leaves_withdrawn_photos_out(campaign: Campaign, admin: User, run_jobs: RunJobs) -> None:
    """The model row has no network, so a photo without a prediction would fail the job."""
    photo = campaign.photos.all()[0]
    photo.predictions.all().delete()
    photo.withdrawn_at = timezone.now()
    photo.save()
    predict_again(campaign=campaign, by=admin)
    (job,) = run_jobs()
    assert (job.state, Prediction.objects.count()) == (Job.State.SUCCEEDED, 3)


def test_rivals_are_predicted_too(make_campaign: MakeCampaign, admin: User, run_jobs: RunJobs) -> None:
    campaign = make_campaign("cafe")
    campaign.rivals.add(TrainedModel.objects.create(name="Not exported"))
    predict_again(campaign=campaign, by=admin)
    (job,) = run_jobs()
    assert (job.state, "Not exported" in job.error) == (Job.State.FAILED, True)


@pytest.mark.parametrize("name", ["hashtags", "rivals"])
def test_choice_that_no_database_stores_is_refused(campaign: Campaign, name: str) -> None:
    form = RulesForm({name: ["9" * 20]}, instance=campaign)
    assert form.errors[name] == [f"“{'9' * 20}” is not a valid value."]


def test_form_names_the_time_zone_in_which_a_campaign_closes(campaign: Campaign, settings: Settings) -> None:
    settings.TIME_ZONE = "Asia/Tokyo"
    form = RulesForm({"closes_at": "2030-01-01T12:00"}, instance=campaign)
    assert "time zone Asia/Tokyo" in str(form.fields["closes_at"].help_text)
    form.full_clean()
    assert form.cleaned_data["closes_at"].isoformat() == "2030-01-01T12:00:00+09:00"
