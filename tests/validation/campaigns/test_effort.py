"""The votes that a form announces are the votes that the campaign then asks for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.test import Client

from mapping.models import Hashtag
from tests.validation.conftest import MakeCampaign
from trainer.models import TrainedModel
from validation.campaigns import effort
from validation.campaigns.questions import make_questions
from validation.models import Campaign, GoldAnswer, Photo, Prediction, Question, Vote
from validation.voting.assignment import next_questions
from validation.voting.votes import record_vote

pytestmark = pytest.mark.django_db
RULES = {
    "votes_per_photo": 2,
    "extra_votes": 2,
    "control_share": 0.2,
    "silence_share": 0.4,
    "gold_share": 0.0,
    "min_confidence": 0.0,
    "would_post_share": 0.1,
}


def figure(photos: Any, model: Any, has_known_answers: bool = False, **rules: Any) -> effort.Effort:
    rules = RULES | rules
    basis = effort.basis_of(photos=photos, model=model, rules=rules)
    return effort.count_votes(basis=basis, has_known_answers=has_known_answers, rules=rules)


@pytest.fixture
def campaign(make_campaign: MakeCampaign) -> Campaign:
    """Five suggestions, one of low confidence, and three silent photos, one of them without a hashtag."""
    campaign = make_campaign("cafe", "bar", "sport", "cafe", "bar", "sport", None, None, None)
    predictions = Prediction.objects.of(campaign).order_by("pk")
    predictions.filter(pk__in=[one.pk for one in predictions.silent()[:2]]).update(candidates=[["cafe", 0.3]])
    Prediction.objects.filter(pk=predictions[0].pk).update(confidence=0.2)
    Campaign.objects.filter(pk=campaign.pk).update(**RULES | {"min_confidence": 0.5})
    make_questions(campaign=campaign)
    campaign.refresh_from_db()
    return campaign


def ask_everybody(
    campaign: Campaign, user_for: Callable[..., User], answer: Callable[[Question], str]
) -> int:
    """Have people answer until nobody is asked any more; returns the number of votes."""
    for number in range(9):
        person = user_for("validator", f"voter-{number}")
        while questions := next_questions(campaign=campaign, person=person):
            question = questions[0]
            record_vote(
                campaign=campaign,
                photo=question.photo_id,
                hashtag=question.hashtag_id,
                person=person,
                answer=answer(question),
                request_id=uuid4(),
            )
    assert not Question.objects.of_campaign(campaign).open_().exists()
    return Vote.objects.count()


def test_people_who_agree_give_the_least_number(campaign: Campaign, user_for: Callable[..., User]) -> None:
    announced = figure(campaign.photos.all(), campaign.model, min_confidence=0.5)
    assert (announced.suggestions, announced.control, announced.silence) == (10, 2, 4)
    assert ask_everybody(campaign, user_for, lambda _: "fits") == announced.least == 16


def test_people_who_always_disagree_give_the_largest_number(
    campaign: Campaign, user_for: Callable[..., User]
) -> None:
    announced = figure(campaign.photos.all(), campaign.model, min_confidence=0.5)

    def disagree(question: Question) -> str:
        question.refresh_from_db()
        return "fits" if question.fits <= question.does_not_fit else "does_not_fit"

    assert ask_everybody(campaign, user_for, disagree) == announced.most == 26


def test_known_answers_take_their_share_of_all_answers() -> None:
    basis = effort.Basis.assumed()
    rules = RULES | {"gold_share": 0.2, "control_share": 0.0, "silence_share": 0.0}
    known = effort.count_votes(basis=basis, has_known_answers=True, rules=rules)
    assert (known.suggestions, known.gold, known.least) == (200, 50, 250)  # 50 are a fifth of 250
    assert effort.count_votes(basis=basis, has_known_answers=False, rules=rules).gold == 0


def test_one_vote_per_photo_never_needs_more() -> None:
    basis = effort.Basis.assumed()
    one = effort.count_votes(basis=basis, has_known_answers=False, rules=RULES | {"votes_per_photo": 1})
    assert one.extra == 0


def test_photos_that_the_model_has_not_seen_count_as_suggestions(
    campaign: Campaign, model: TrainedModel
) -> None:
    other = TrainedModel.objects.create(name="Other", manifest={"sha256": "1"})
    basis = effort.basis_of(photos=Photo.objects.all(), model=other, rules=RULES)
    assert (basis.photos, basis.suggested, basis.silent, basis.unpredicted) == (9, 9, 0, 9)
    chosen = list(Hashtag.objects.filter(name="cafe"))
    basis = effort.basis_of(photos=Photo.objects.all(), model=model, rules=RULES | {"hashtags": chosen})
    assert (basis.suggested, basis.unpredicted) == (2, 0)


def test_page_says_what_each_rule_costs_and_follows_the_fields(
    client_for: Callable[..., Client], campaign: Campaign, user_for: Callable[..., User]
) -> None:
    client = client_for("admin")
    page = client.get("/validation/campaigns/new/").content.decode()
    assert "100 photos with a suggestion: 330 to 530 votes" in page
    assert '<p class="cost" id="cost-control_share">15 votes.</p>' in " ".join(page.split())
    address = "/validation/campaigns/votes-needed/"
    answer = client.get(
        address, {"votes_per_photo": "5", "control_share": "", "gold_share": "8"}
    ).content.decode()
    assert "550 to 750 votes" in answer
    assert 'id="cost-control_share" hx-swap-oob="true">25 votes.' in answer
    assert "0 votes: no answer is known yet." in answer
    wrong = client.get(address, {"votes_per_photo": "-5"}).content.decode()
    assert "Check the fields" in wrong
    photo = campaign.photos.all()[0]
    GoldAnswer.objects.create(photo=photo, hashtag=Hashtag.objects.get(name="bar"), fits=False)
    rules = client.get(f"/validation/campaigns/{campaign.pk}/rules/").content.decode()
    assert "9 photos, 5 with a suggestion: 16 to 26 votes" in rules
    fields = {"campaign": str(campaign.pk), "votes_per_photo": "3", "silence_share": "0"}
    answer = client.get(address, fields).content.decode()
    assert "9 photos, 5 with a suggestion: 18 to 28 votes" in answer
    assert client.get(address, {"campaign": 10**17}).status_code == 404
