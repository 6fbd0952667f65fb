"""The parts of the dashboard beside the headline: silence, would-you-post, bars by confidence."""

from __future__ import annotations

from collections.abc import Callable
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.test import Client

from mapping.models import Hashtag
from tests.validation.conftest import MakeCampaign, MakeVote
from trainer.models import TrainedModel
from validation.agreement import authors, exports, results, silence, strata
from validation.campaigns.questions import make_questions
from validation.models import AuthorHashtag, Campaign, GoldAnswer, Prediction, Question, Vote
from validation.people import crowd
from validation.statistics.yes_saying import YesCount
from validation.voting.votes import record_vote

pytestmark = pytest.mark.postgres
ClientFor = Callable[..., Client]


def answer(campaign: Campaign, question: Question, person: User, verdict: str) -> Vote:
    return record_vote(
        campaign=campaign,
        photo=question.photo,
        hashtag=question.hashtag,
        person=person,
        answer=verdict,
        request_id=uuid4(),
    )


def test_silence_is_wrong_only_where_another_suggestion_was_judged_fitting(
    make_campaign: MakeCampaign, vote_as: MakeVote
) -> None:
    campaign = make_campaign("cafe", None, None, votes_per_photo=1)
    rival = TrainedModel.objects.create(name="Rival", manifest={"sha256": "1"})
    other = make_campaign("cafe", "bar", name="Other", by_model=rival, votes_per_photo=1)
    assert silence.silence(campaign) == silence.Silence(2, 0, 0)
    vote_as(other, 1, "fits")
    assert silence.silence(campaign) == silence.Silence(2, 1, 1)
    _, first, second = campaign.photos.order_by("pk")
    for photo, name in ((first, "myholiday"), (second, "bar"), (second, "friends")):
        AuthorHashtag.objects.create(photo=photo, name=name)
    assert silence.silence(campaign) == silence.Silence(2, 1, 1, with_author_hashtags=2, popular=1)


def test_page_compares_the_authors_hashtags_with_the_model(
    make_campaign: MakeCampaign, client_for: ClientFor
) -> None:
    campaign = make_campaign("cafe", "cafe", "bar", None)
    photos = list(campaign.photos.order_by("pk"))
    for number, name in ((0, "cafe"), (0, "me"), (1, "bar"), (2, "cafe"), (3, "cafe"), (3, "bar")):
        AuthorHashtag.objects.create(photo=photos[number], name=name)
    assert authors.compare_with_authors(campaign) == [
        authors.AuthorRow("cafe", photos=3, same=1, other=1, silent=1),
        authors.AuthorRow("bar", photos=2, same=0, other=1, silent=1),
    ]
    page = client_for("viewer").get(campaign.get_absolute_url()).content.decode()
    assert "Comparison with the authors' hashtags" in page


def test_people_are_asked_whether_the_model_was_right_to_stay_silent(
    make_campaign: MakeCampaign, user_for: Callable[..., User], client_for: ClientFor
) -> None:
    campaign = make_campaign(*["cafe"] * 3, *[None] * 3, votes_per_photo=1, silence_share=1.0)
    Prediction.objects.filter(hashtag=None).update(candidates=[["bar", 0.4]])
    make_questions(campaign=campaign)
    page = f"/validation/agreement/?campaign={campaign.pk}"
    silent = Question.objects.filter(kind="silence").order_by("pk")
    person = user_for("validator")
    for question, verdict in zip(silent, ("does_not_fit", "does_not_fit", "fits"), strict=True):
        answer(campaign, question, person, verdict)
    summary = results.summarise(campaign)
    assert (summary.overall, summary.votes) == (None, 0)  # a hashtag that was not suggested counts in no rate
    assert summary.silence
    assert summary.silence.right_rate
    assert (round(summary.silence.right_rate.value, 3), summary.silence.right_rate.n) == (0.667, 3)
    answer(campaign, Question.objects.filter(kind="suggestion")[0], person, "fits")
    client = client_for("viewer")
    content = client.get(page).content.decode()
    behind = f"/validation/agreement/photos/?silent=on&amp;campaign={campaign.pk}"
    assert behind in content
    assert "Right to stay silent" in content
    Campaign.objects.update(is_public=True)
    public = client.get(f"/validation/public/{exports.public_token(campaign)}/").content.decode()
    assert "for 3 of these" in public
    photos = client.get(behind.replace("&amp;", "&")).content
    assert photos.count(b"<figure>") == 3


def test_would_post_is_counted_by_hashtag_without_controls(
    make_campaign: MakeCampaign, vote_as: MakeVote, client_for: ClientFor
) -> None:
    campaign = make_campaign("cafe", "cafe", "bar", votes_per_photo=1)
    for number, posts in ((0, True), (1, False), (2, True)):
        vote_as(campaign, number, "fits")
        Vote.objects.filter(photo=campaign.photos.order_by("pk")[number]).update(would_post=posts)
    summary = results.summarise(campaign)
    assert {row.hashtag: row.would_post for row in summary.hashtags} == {
        "cafe": YesCount(1, 2),
        "bar": YesCount(1, 1),
    }
    assert summary.would_post == YesCount(2, 3)
    page = client_for("viewer").get(f"/validation/agreement/?campaign={campaign.pk}").content.decode()
    assert page.count("Would post it") == 2
    Question.objects.filter(hashtag__name="bar").update(kind="control")
    assert results.summarise(campaign).would_post == YesCount(1, 2)


def test_bars_by_confidence_open_their_photos(
    make_campaign: MakeCampaign, vote_as: MakeVote, client_for: ClientFor
) -> None:
    campaign = make_campaign("cafe", "cafe", "cafe", votes_per_photo=1)
    for photo, sure in zip(campaign.photos.order_by("pk"), (0.7, 0.79, 1.0), strict=True):
        Question.objects.filter(photo=photo).update(confidence=sure)
    for number, answer in enumerate(("fits", "does_not_fit", "fits")):
        vote_as(campaign, number, answer)
    bins = results.summarise(campaign).bins
    assert [(one.tenth, one.rate.n, one.rate.value) for one in bins] == [(7, 2, 0.5), (9, 1, 1.0)]
    for tenth, photos in ((7, 2), (9, 1), (8, 0)):
        behind = f"/validation/agreement/photos/?campaign={campaign.pk}&tenth={tenth}"
        assert client_for("viewer").get(behind).content.count(b"<figure>") == photos


def test_people_behind_a_shared_question_are_those_whose_answers_count(
    make_campaign: MakeCampaign, vote_as: MakeVote, user_for: Callable[..., User]
) -> None:
    first = make_campaign("cafe", name="First")
    newer = TrainedModel.objects.create(name="Newer", manifest={"sha256": "1"})
    second = make_campaign("cafe", name="Second", by_model=newer)
    for name, answer in (("ann", "fits"), ("bob", "skip"), ("eve", "fits")):
        vote_as(first, 0, answer, name)
    crowd.set_aside(person=user_for("validator", "eve"), by=user_for("admin"))
    assert results.people(second, strata.count(second)) == 1


def test_a_skip_leaves_the_other_answers_to_a_gold_question_in_the_correction(
    make_campaign: MakeCampaign, vote_as: MakeVote, hashtags: dict[str, Hashtag]
) -> None:
    campaign = make_campaign("cafe")
    GoldAnswer.objects.create(photo=campaign.photos.get(), hashtag=hashtags["cafe"], fits=True)
    for name, answer in (("ann", "fits"), ("bob", "skip"), ("eve", "does_not_fit")):
        vote_as(campaign, 0, answer, name)
    fitting = results.summarise(campaign).fitting
    assert fitting is not None
    assert (fitting.yes, fitting.n) == (1, 2)


def test_controls_correct_the_rate_for_yes_saying(make_campaign: MakeCampaign, vote_as: MakeVote) -> None:
    campaign = make_campaign("cafe")
    vote_as(campaign, 0, "fits")
    photo = campaign.photos.get()
    Question.objects.create(
        campaign=campaign, photo=photo, hashtag=Hashtag.objects.get(name="bar"), kind="control",
        rank=0.1, needed=9, fits=5, does_not_fit=15,
    )  # fmt: skip
    summary = results.summarise(campaign)
    assert summary.controls is not None
    assert (summary.controls.share, summary.corrected, summary.suggestions) == (0.25, None, 1)
