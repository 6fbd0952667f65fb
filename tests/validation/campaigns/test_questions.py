"""Questions follow from the rules; their counts follow from the votes of all campaigns."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from jobs.models import Job
from mapping.models import Hashtag
from tests.validation.conftest import MakeCampaign, MakeVote, taken_in
from trainer.models import TrainedModel
from validation.campaigns import acts
from validation.campaigns.counts import count_needed, recount
from validation.campaigns.questions import make_missing_questions, make_questions
from validation.models import AuthorHashtag, Campaign, GoldAnswer, Prediction, Question, Vote

pytestmark = pytest.mark.postgres


def of_kind(campaign: Campaign, kind: str) -> list[Question]:
    return list(Question.objects.filter(campaign=campaign, kind=kind).order_by("photo_id"))


def sure(campaign: Campaign, *confidences: float) -> None:
    for one, confidence in zip(campaign.photos.order_by("pk"), confidences, strict=True):
        Prediction.objects.filter(photo=one).update(confidence=confidence)
    Question.objects.all().delete()
    make_questions(campaign=campaign)


def test_each_suggestion_becomes_one_question_and_silence_none(make_campaign: MakeCampaign) -> None:
    campaign = make_campaign("cafe", "bar", None)
    assert make_questions(campaign=campaign) == 0
    questions = of_kind(campaign, "suggestion")
    assert [(one.hashtag.name, one.needed, one.is_done) for one in questions] == [
        ("cafe", 3, False),
        ("bar", 3, False),
    ]
    assert len({one.rank for one in questions}) == 2


def test_votes_count_again_when_rules_bring_a_question_back(
    make_campaign: MakeCampaign, vote_as: MakeVote, hashtags: dict[str, Hashtag]
) -> None:
    campaign = make_campaign("cafe", "bar", "sport")
    sure(campaign, 0.9, 0.8, 0.3)
    vote_as(campaign, 2, "fits")
    Campaign.objects.update(min_confidence=0.5)
    campaign.hashtags.set([hashtags["cafe"], hashtags["sport"]])
    make_questions(campaign=campaign)
    assert [one.hashtag.name for one in of_kind(campaign, "suggestion")] == ["cafe"]
    Campaign.objects.update(min_confidence=0.0)
    assert make_questions(campaign=campaign) == 1
    assert [one.fits for one in of_kind(campaign, "suggestion")] == [0, 1]
    assert Vote.objects.count() == 1


def test_bands_are_thirds_and_do_not_change(make_campaign: MakeCampaign) -> None:
    campaign = make_campaign(*["cafe"] * 6)
    sure(campaign, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4)
    assert [one.band for one in of_kind(campaign, "suggestion")] == [2, 2, 1, 1, 0, 0]
    for seed, confidence in ((80, 0.99), (81, 0.61), (82, 0.1)):
        photo = taken_in(seed)
        campaign.photos.add(photo)
        tag = Hashtag.objects.get(name="cafe")
        Prediction.objects.create(photo=photo, model=campaign.predictor, hashtag=tag, confidence=confidence)
    assert make_questions(campaign=campaign) == 3
    assert [one.band for one in of_kind(campaign, "suggestion")] == [2, 2, 1, 1, 0, 0, 2, 1, 0]


def test_controls_are_hashtags_that_nobody_suggested(
    make_campaign: MakeCampaign, hashtags: dict[str, Hashtag]
) -> None:
    """Neither the model's suggestion nor the author's hashtags: one hashtag is left, or none."""
    campaign = make_campaign("cafe", "cafe", "cafe", None)
    first, second, third, silent = campaign.photos.order_by("pk")
    AuthorHashtag.objects.create(photo=first, name="bar")
    for name in ("bar", "sport"):
        AuthorHashtag.objects.create(photo=second, name=name)
    GoldAnswer.objects.create(photo=third, hashtag=hashtags["sport"], fits=True)
    Campaign.objects.update(control_share=1.0)
    make_questions(campaign=campaign)
    controls = {one.photo_id: one.hashtag.name for one in of_kind(campaign, "control")}
    controls.pop(silent.pk, None)  # three of four photos are drawn, this one with any hashtag
    assert second.pk not in controls
    assert controls.items() <= {(first.pk, "sport"), (third.pk, "bar")}
    before = len(of_kind(campaign, "control"))
    Campaign.objects.update(control_share=before / 3)
    assert make_questions(campaign=campaign) == 0


def test_silent_suggestion_is_the_hashtag_that_the_model_ranked_first(
    make_campaign: MakeCampaign, hashtags: dict[str, Hashtag]
) -> None:
    campaign = make_campaign("cafe", "cafe", "cafe", "cafe", None, None, None, votes_per_photo=2)
    *_, unsure, other, nothing = campaign.photos.order_by("pk")
    for photo, candidates in (
        (unsure, [["bar", 0.4], ["cafe", 0.3]]),
        (other, [["other", 0.8], ["sport", 0.1]]),
    ):
        Prediction.objects.filter(photo=photo).update(candidates=candidates)
    Prediction.objects.filter(photo=nothing).update(candidates=[["other", 1.0]])
    assert make_questions(campaign=campaign) == 0  # the rules want none
    Campaign.objects.update(silence_share=0.25)
    assert make_questions(campaign=campaign) == 1
    Campaign.objects.update(silence_share=1.0)
    assert make_questions(campaign=campaign) == 1
    assert make_questions(campaign=campaign) == 0
    questions = of_kind(campaign, "silence")
    assert [(one.photo, one.hashtag.name, one.confidence) for one in questions] == [
        (unsure, "bar", 0.4),
        (other, "sport", 0.1),
    ]
    campaign.hashtags.set([hashtags["cafe"], hashtags["sport"]])
    make_questions(campaign=campaign)
    assert {one.hashtag.name for one in of_kind(campaign, "silence")} <= {"cafe", "sport"}
    Campaign.objects.update(silence_share=0.0)
    make_questions(campaign=campaign)
    assert of_kind(campaign, "silence") == []


def test_gold_questions_come_from_any_campaign_and_go_when_unmarked(
    make_campaign: MakeCampaign, hashtags: dict[str, Hashtag]
) -> None:
    campaign = make_campaign("cafe", "bar", gold_share=0.1)
    gold = GoldAnswer.objects.create(photo=taken_in(60), hashtag=hashtags["sport"], fits=False)
    own = campaign.photos.order_by("pk")[0]
    GoldAnswer.objects.create(photo=own, hashtag=hashtags["cafe"], fits=True)
    assert make_questions(campaign=campaign) == 1
    assert [one.photo_id for one in of_kind(campaign, "gold")] == [gold.photo_id]
    assert len(of_kind(campaign, "suggestion")) == 2  # its own stays in its rates
    gold.delete()
    make_questions(campaign=campaign)
    assert of_kind(campaign, "gold") == []


def test_votes_given_in_another_campaign_count(make_campaign: MakeCampaign, vote_as: MakeVote) -> None:
    first = make_campaign("cafe", "bar", name="First", votes_per_photo=2)
    vote_as(first, 0, "fits", "a")
    vote_as(first, 0, "skip", "c")
    newer = TrainedModel.objects.create(name="Newer", manifest={"sha256": "1"})
    second = make_campaign("cafe", "sport", name="Second", by_model=newer, votes_per_photo=1)
    assert [(one.fits, one.skips, one.is_done) for one in of_kind(second, "suggestion")] == [
        (1, 1, True),
        (0, 0, False),
    ]
    vote_as(first, 0, "does_not_fit", "b")
    assert [(one.fits, one.does_not_fit) for one in of_kind(second, "suggestion")] == [(1, 1), (0, 0)]


def test_a_withdrawn_photo_is_not_asked_about(make_campaign: MakeCampaign) -> None:
    campaign = make_campaign("cafe", "bar")
    acts.withdraw_photo(campaign=campaign, photo=campaign.photos.order_by("pk")[0])
    assert [one.hashtag.name for one in of_kind(campaign, "suggestion")] == ["bar"]
    make_questions(campaign=campaign)
    assert len(of_kind(campaign, "suggestion")) == 1


@pytest.mark.parametrize(
    ("fits", "does_not_fit", "answers"),
    [(0, 0, 3), (3, 0, 3), (1, 1, 3), (2, 1, 4), (2, 2, 5), (3, 1, 3), (3, 2, 5), (1, 2, 4)],
)
def test_question_needs_more_answers_while_people_disagree(
    fits: int, does_not_fit: int, answers: int
) -> None:
    assert count_needed(votes_per_photo=3, extra_votes=2, fits=fits, does_not_fit=does_not_fit) == answers


def test_recount_gives_the_stored_counts(
    make_campaign: MakeCampaign, vote_as: MakeVote, user_for: Callable[..., User]
) -> None:
    campaign = make_campaign("cafe", "bar", votes_per_photo=4)
    vote_as(campaign, 0, "fits", "a")
    vote_as(campaign, 0, "does_not_fit", "b")
    vote_as(campaign, 1, "skip", "a")
    fields = ("fits", "does_not_fit", "skips", "needed", "is_done", "answered_at")
    stored_counts = list(Question.objects.order_by("pk").values_list(*fields))
    Question.objects.update(fits=9, does_not_fit=9, skips=9, is_done=True)
    assert recount(Vote.objects.values_list("photo_id", "hashtag_id")) == 2
    assert list(Question.objects.order_by("pk").values_list(*fields)) == stored_counts


def test_campaigns_predicted_before_questions_existed_get_questions(
    make_campaign: MakeCampaign, vote_as: MakeVote
) -> None:
    campaign = make_campaign("cafe", "bar")
    vote_as(campaign, 0, "fits")
    Question.objects.all().delete()
    now = timezone.now()
    campaign.job = Job.objects.create(
        kind="validation.predict", title="x", state="succeeded", finished_at=now
    )
    campaign.save()
    assert (make_missing_questions(), make_missing_questions()) == (1, 0)
    assert [one.fits for one in of_kind(campaign, "suggestion")] == [1, 0]
