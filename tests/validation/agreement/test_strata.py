"""What represents what: questions shared with another campaign, photos that join late, what is random."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from itertools import product
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from mapping.models import Hashtag
from tests.validation.conftest import MakeCampaign, MakeVote, taken_in
from trainer.models import TrainedModel
from validation.agreement import answers, results, strata
from validation.campaigns.counts import count_needed, count_votes_since, update_all_needed
from validation.campaigns.questions import make_questions
from validation.models import Campaign, GoldAnswer, Participation, Prediction, Question, Vote
from validation.voting import assignment
from validation.voting.votes import record_vote, undo_vote

pytestmark = pytest.mark.postgres
UserFor = Callable[..., User]


def judge(campaign: Campaign, answer: str, *numbers: int, by: str = "someone", user_for: UserFor) -> None:
    """Answer the campaign's suggestions with these places in the order of their rank."""
    questions = list(Question.objects.filter(campaign=campaign, kind="suggestion").order_by("rank"))
    for number in numbers:
        record_vote(
            campaign=campaign,
            photo=questions[number].photo_id,
            hashtag=questions[number].hashtag_id,
            person=user_for("validator", by),
            answer=answer,
            request_id=uuid4(),
        )


def late(campaign: Campaign, *confidences: float) -> None:
    for seed, confidence in enumerate(confidences, start=70):
        photo = taken_in(seed)
        campaign.photos.add(photo)
        cafe = Hashtag.objects.get(name="cafe")
        Prediction.objects.create(photo=photo, model=campaign.predictor, hashtag=cafe, confidence=confidence)
    make_questions(campaign=campaign)


def bands(campaign: Campaign) -> list[int]:
    return list(Question.objects.filter(campaign=campaign).order_by("pk").values_list("band", flat=True))


# --- what another campaign asks about, too ---


def test_shared_questions_do_not_represent_the_others(
    make_campaign: MakeCampaign, user_for: UserFor, client_for: Callable[..., Client]
) -> None:
    """The first model was found right; the second agrees with it on half the photos, and errs on the rest."""
    first = make_campaign("cafe", "cafe", "bar", "bar", name="First", votes_per_photo=1)
    judge(first, "fits", 0, 1, 2, 3, user_for=user_for)
    newer = TrainedModel.objects.create(name="Newer", manifest={"sha256": "1"})
    second = make_campaign(*["cafe"] * 4, name="Second", by_model=newer, votes_per_photo=1)
    summary = results.summarise(second)
    assert summary.overall
    assert (summary.overall.value, summary.overall.n, summary.unjudged, summary.people) == (1.0, 2, 0.5, 1)
    words_on_page = {
        f"/validation/agreement/?campaign={second.pk}": "The figures are incomplete",
        second.get_absolute_url(): "no answer represents 50\u00a0% of the suggestions yet",
        f"/validation/campaigns/{second.pk}/agreement.svg": "Left out: 50\u00a0%",
        "/": "Left out: 33 % of the suggestions",
    }
    for path, words in words_on_page.items():
        assert words in client_for("viewer").get(path).content.decode(), path
    questions = Question.objects.filter(campaign=second, shared=False)
    for question in questions:
        record_vote(
            campaign=second, photo=question.photo_id, hashtag=question.hashtag_id,
            person=user_for("validator", "other"), answer="does_not_fit", request_id=uuid4(),
        )  # fmt: skip
    summary = results.summarise(second)
    assert summary.overall
    assert (summary.overall.value, summary.unjudged, summary.people) == (0.5, 0, 2)


def test_sharing_is_marked_on_both_sides(make_campaign: MakeCampaign) -> None:
    first = make_campaign("cafe", "cafe", name="First")
    newer = TrainedModel.objects.create(name="Newer", manifest={"sha256": "1"})
    second = make_campaign("cafe", "bar", name="Second", by_model=newer)
    for campaign in (first, second):
        questions = Question.objects.filter(campaign=campaign).order_by("photo")
        assert list(questions.values_list("shared", flat=True)) == [True, False]


def test_campaign_without_votes_does_not_change_the_rate_of_all_campaigns(
    make_campaign: MakeCampaign, user_for: UserFor
) -> None:
    first = make_campaign(*["cafe"] * 4, name="First", votes_per_photo=1)
    judge(first, "fits", 0, 1, 2, user_for=user_for)
    judge(first, "does_not_fit", 3, user_for=user_for)
    before = results.summarise(None).overall
    campaign = Campaign.objects.create(name="New", model=first.model, gold_share=0, control_share=0)
    late(campaign, 0.5, 0.6)
    summary = results.summarise(None)
    everywhere = results.headline()
    assert everywhere
    assert summary.overall == before == everywhere.rate
    assert summary.unjudged == everywhere.unjudged == pytest.approx(2 / 6)


# --- photos that join late ---


def test_photos_added_before_the_first_vote_share_the_bands_of_the_others(
    make_campaign: MakeCampaign,
) -> None:
    campaign = make_campaign(*["cafe"] * 3)
    late(campaign, 0.1, 0.2, 0.99)
    assert bands(campaign) == [2, 2, 2, 0, 0, 2]


def test_photos_added_late_have_their_own_bands_and_are_asked_about_at_once(
    make_campaign: MakeCampaign, user_for: UserFor
) -> None:
    campaign = make_campaign(*["cafe"] * 3, votes_per_photo=1, audit_share=1.0)
    person = user_for("validator", "someone")
    assignment.next_questions(campaign=campaign, person=person, most=2)
    judge(campaign, "fits", 0, 1, user_for=user_for)
    Participation.objects.update(front=0.9999)
    late(campaign, 0.1, 0.5, 0.9)
    assert bands(campaign)[3:] == [3, 4, 5]
    assert Participation.objects.get().front == 0
    summary = results.summarise(campaign)
    assert summary.overall
    assert (summary.overall.value, summary.unjudged) == (1.0, 0.5)  # nothing is known about the new ones
    assert make_questions(campaign=campaign) == 0


# --- what is random ---


def test_audit_rate_is_of_questions_ranked_below_the_first_one_not_asked(
    make_campaign: MakeCampaign, user_for: UserFor
) -> None:
    """Whichever stream took it: the audit stream alone never sees what the active one took before it."""
    campaign = make_campaign(*["cafe"] * 6, votes_per_photo=1)
    by_rank = Question.objects.order_by("rank").values_list("pk", flat=True)
    for place, stream in ((0, "active"), (1, "audit"), (2, "active"), (4, "active")):
        Question.objects.filter(pk=by_rank[place]).update(stream=stream)
    judge(campaign, "does_not_fit", 0, 2, user_for=user_for)
    judge(campaign, "fits", 1, 4, user_for=user_for)
    audit = results.summarise(campaign).audit
    assert audit
    assert (round(audit.value, 3), audit.n) == (0.333, 3)
    assert results.summarise(None).audit is None


def test_reliability_is_computed_from_the_first_answers(
    make_campaign: MakeCampaign, user_for: UserFor
) -> None:
    """Two of three agree, then two more agree with them; these were asked because the first ones differed."""
    campaign = make_campaign("cafe", votes_per_photo=3)
    for name, answer in (("a", "fits"), ("b", "does_not_fit"), ("c", "fits"), ("d", "fits")):
        judge(campaign, answer, 0, by=name, user_for=user_for)
    summary = results.summarise(campaign).reliability
    assert summary
    assert summary.percent == pytest.approx(1 / 3)


def test_answers_to_the_lowest_ranks_are_read_if_there_are_too_many(
    make_campaign: MakeCampaign, user_for: UserFor
) -> None:
    campaign = make_campaign(*["cafe", "bar"] * 3, votes_per_photo=1)
    judge(campaign, "fits", *range(6), user_for=user_for)
    rows = strata.count(campaign)
    every, some = answers.read(campaign, rows), answers.read(campaign, rows, most=3)
    assert (len(every.question), every.is_sample) == (6, False)
    assert (len(some.question), some.is_sample) == (4, True)
    assert results.summarise(campaign).overall == results.brief(campaign).overall


def test_votes_on_a_gold_photo_count_from_the_time_it_was_marked(
    make_campaign: MakeCampaign, user_for: UserFor
) -> None:
    """It was marked because all agreed, so it does not show how often people are right."""
    campaign = make_campaign(*["cafe"] * 2, votes_per_photo=9)
    judge(campaign, "fits", 0, 1, user_for=user_for)
    for question in Question.objects.all():
        GoldAnswer.objects.create(photo=question.photo, hashtag=question.hashtag, fits=True)
    assert results.summarise(campaign).fitting is None
    judge(campaign, "does_not_fit", 0, by="other", user_for=user_for)
    judge(campaign, "skip", 1, by="other", user_for=user_for)
    fitting = results.summarise(campaign).fitting
    assert fitting
    assert (fitting.yes, fitting.n, fitting.photos) == (0, 1, 1)


def test_chart_over_time_counts_photos_on_the_day_of_their_first_answer(
    make_campaign: MakeCampaign, user_for: UserFor
) -> None:
    campaign = make_campaign(*["cafe"] * 2, votes_per_photo=2)
    judge(campaign, "fits", 0, 1, user_for=user_for)
    first = Question.objects.order_by("rank")[0]
    long_ago = timezone.now() - timedelta(days=100)
    Vote.objects.filter(photo=first.photo).update(created_at=long_ago)
    Question.objects.filter(pk=first.pk).update(answered_at=long_ago)
    judge(campaign, "fits", 0, by="other", user_for=user_for)
    summary = results.summarise(campaign)
    assert summary.earlier
    assert (summary.earlier.n, [day.rate.n for day in summary.days]) == (1, [1])
    vote = Vote.objects.get(photo=first.photo, person=user_for("validator", "someone"))
    Question.objects.filter(pk=first.pk).update(answered_at=vote.created_at)
    Vote.objects.exclude(pk=vote.pk).filter(person=vote.person).delete()
    undo_vote(campaign=campaign, person=vote.person, request_id=vote.request_id)
    first.refresh_from_db()
    assert first.answered_at == Vote.objects.get(photo=first.photo).created_at


# --- rules that change, votes that come meanwhile ---


@pytest.mark.parametrize(("votes", "extra"), [(3, 2), (4, 1), (1, 3), (2, 0)])
def test_change_of_rules_updates_every_question_as_a_vote_would(
    make_campaign: MakeCampaign, votes: int, extra: int
) -> None:
    campaign = make_campaign(*["cafe"] * 25, votes_per_photo=5)
    counts = list(product(range(5), repeat=2))
    for question, (fits, not_fitting) in zip(Question.objects.all(), counts, strict=True):
        Question.objects.filter(pk=question.pk).update(fits=fits, does_not_fit=not_fitting)
    Question.objects.filter(pk=Question.objects.all()[7].pk).update(kind="control")
    campaign.votes_per_photo, campaign.extra_votes = votes, extra
    update_all_needed(campaign)
    for one in Question.objects.all():
        more = extra if one.kind == "suggestion" else 0
        target = count_needed(
            votes_per_photo=votes, extra_votes=more, fits=one.fits, does_not_fit=one.does_not_fit
        )
        assert one.needed == target
        assert one.is_done == (one.answers >= one.needed)


def test_votes_given_while_questions_were_made_are_counted(
    make_campaign: MakeCampaign, vote_as: MakeVote
) -> None:
    first = make_campaign("cafe", name="First")
    newer = TrainedModel.objects.create(name="Newer", manifest={"sha256": "1"})
    second = make_campaign("cafe", name="Second", by_model=newer)
    vote_as(first, 0, "fits")
    began = timezone.now()  # dated before, kept after
    Question.objects.filter(campaign=second).update(fits=0)  # the voter could not see it yet
    assert count_votes_since(began) == 2
    assert set(Question.objects.values_list("fits", flat=True)) == {1}
