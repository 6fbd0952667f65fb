"""What a vote changes: counts, the first answer, the person's record; and what remains after an undo."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from mapping.models import Hashtag
from tests.validation.conftest import MakeCampaign, MakeVote
from trainer.models import TrainedModel
from validation.campaigns.counts import count_needed, count_votes_since, delete, recount, update_all_needed
from validation.models import Campaign, GoldAnswer, Participation, Question, QuestionLease, Vote
from validation.people import crowd
from validation.voting import assignment, votes

UserFor = Callable[..., User]


def undo(vote: Vote) -> Vote | None:
    assert vote.campaign
    return votes.undo_vote(campaign=vote.campaign, person=vote.person, request_id=vote.request_id)


def counts_of(name: str) -> dict[str, int]:
    fields = ("fits", "does_not_fit", "skips", "fast", "gold", "gold_right", "control", "control_fits")
    row = Participation.objects.filter(person__username=name).values(*fields).get()
    return {field: number for field, number in row.items() if number}


# --- the person ---


@pytest.mark.parametrize(
    ("kind", "known", "answer", "seconds", "counts"),
    [
        ("suggestion", None, "fits", 0.7, {"fits": 1}),
        ("suggestion", None, "fits", 3.0, {"fits": 1}),
        ("suggestion", None, "fits", 0.69, {"fits": 1, "fast": 1}),
        ("suggestion", None, "skip", 0.1, {"skips": 1}),
        ("suggestion", True, "fits", None, {"fits": 1, "gold": 1, "gold_right": 1}),
        ("suggestion", True, "does_not_fit", None, {"does_not_fit": 1, "gold": 1}),
        ("suggestion", False, "fits", None, {"fits": 1, "gold": 1}),
        ("suggestion", False, "does_not_fit", None, {"does_not_fit": 1, "gold": 1, "gold_right": 1}),
        ("suggestion", True, "skip", None, {"skips": 1}),
        ("control", None, "fits", None, {"fits": 1, "control": 1, "control_fits": 1}),
        ("control", None, "does_not_fit", None, {"does_not_fit": 1, "control": 1}),
        ("control", None, "skip", None, {"skips": 1}),
        ("gold", None, "fits", None, {"fits": 1}),
        ("silence", None, "fits", None, {"fits": 1}),
    ],
)
def test_an_answer_counts_for_its_person_until_it_is_taken_back(
    campaign: Campaign,
    vote_as: MakeVote,
    kind: str,
    known: bool | None,
    answer: str,
    seconds: float | None,
    counts: dict[str, int],
) -> None:
    question = Question.objects.order_by("photo_id")[0]
    Question.objects.filter(pk=question.pk).update(kind=kind)
    if known is not None:
        GoldAnswer.objects.create(photo=question.photo, hashtag=question.hashtag, fits=known)
    vote = vote_as(campaign, 0, answer, "ann", seconds)
    assert counts_of("ann") == counts
    assert undo(vote)
    assert counts_of("ann") == {}


def test_an_answer_at_the_moment_of_the_mark_counts_as_known(campaign: Campaign, vote_as: MakeVote) -> None:
    vote = vote_as(campaign, 0, "fits", "ann")
    gold = GoldAnswer.objects.create(photo=vote.photo, hashtag=vote.hashtag, fits=True)
    GoldAnswer.objects.filter(pk=gold.pk).update(set_at=vote.created_at)
    Participation.objects.update(gold=5, gold_right=5)
    undo(vote)
    assert counts_of("ann") == {"gold": 4, "gold_right": 4}


@pytest.mark.parametrize("is_known", [True, False])
def test_one_wrong_known_answer_too_many_pauses(
    campaign: Campaign, vote_as: MakeVote, user_for: UserFor, is_known: bool
) -> None:
    """Only a known answer pauses: a person who was careless before is not paused by another vote."""
    ann = user_for("validator", "ann")
    Participation.objects.create(person=ann, campaign=campaign, gold=14 - is_known)
    question = Question.objects.order_by("photo_id")[0]
    if is_known:
        GoldAnswer.objects.create(photo=question.photo, hashtag=question.hashtag, fits=False)
    vote_as(campaign, 0, "fits", "ann")
    assert crowd.is_paused(ann) == is_known


def test_vote_that_was_not_counted_is_not_subtracted(campaign: Campaign, vote_as: MakeVote) -> None:
    vote = vote_as(campaign, 0, "fits", "ann")
    Participation.objects.update(fits=0)
    Question.objects.update(fits=0)
    undo(vote)
    assert Participation.objects.get().fits == 0
    assert set(Question.objects.values_list("fits", flat=True)) == {0}


# --- the question ---


def test_the_first_answer_is_dated_and_dated_anew_when_it_is_taken_back(
    make_campaign: MakeCampaign, vote_as: MakeVote
) -> None:
    make_campaign(
        "cafe", name="First", by_model=TrainedModel.objects.create(name="M", manifest={"sha256": "1"})
    )
    campaign = make_campaign("cafe", name="Second")

    def dates() -> set[Any]:
        return set(Question.objects.values_list("answered_at", flat=True))

    skip = vote_as(campaign, 0, "skip", "zoe")
    assert dates() == {None}
    first, second = vote_as(campaign, 0, "fits", "ann"), vote_as(campaign, 0, "does_not_fit", "bob")
    assert dates() == {first.created_at}
    third = vote_as(campaign, 0, "fits", "cid")
    undo(third)
    assert dates() == {first.created_at}
    undo(first)
    assert dates() == {second.created_at}
    undo(second)
    assert dates() == {None}
    undo(skip)
    assert set(Question.objects.values_list("fits", "does_not_fit", "skips")) == {(0, 0, 0)}


def test_every_campaign_that_asks_the_same_counts_along(
    make_campaign: MakeCampaign, vote_as: MakeVote
) -> None:
    newer = TrainedModel.objects.create(name="Newer", manifest={"sha256": "1"})
    second = make_campaign("cafe", name="Second", by_model=newer, votes_per_photo=1)
    first = make_campaign("cafe", "cafe", name="First", votes_per_photo=2)
    vote = vote_as(first, 0, "fits")
    rows = Question.objects.order_by("campaign__name", "photo_id").values_list("fits", "is_done")
    assert list(rows.all()) == [(1, False), (0, False), (1, True)]
    assert second.questions.get().needed == 1
    undo(vote)
    assert list(rows.all()) == [(0, False), (0, False), (0, False)]


def test_a_full_question_takes_skips_and_known_answers_but_no_more(
    make_campaign: MakeCampaign, vote_as: MakeVote
) -> None:
    campaign = make_campaign("cafe", "bar", votes_per_photo=1)
    vote_as(campaign, 0, "fits", "ann")
    with pytest.raises(votes.VoteRefused, match="Others have answered"):
        vote_as(campaign, 0, "fits", "bob")
    assert vote_as(campaign, 0, "skip", "bob").answer == "skip"
    question = Question.objects.order_by("photo_id")[0]
    GoldAnswer.objects.create(photo=question.photo, hashtag=question.hashtag, fits=True)
    assert vote_as(campaign, 0, "fits", "cid").answer == "fits"
    assert Question.objects.get(pk=question.pk).is_done  # with more answers than it needs, too
    GoldAnswer.objects.all().delete()
    Question.objects.filter(pk=question.pk).update(kind="gold")
    assert vote_as(campaign, 0, "fits", "dan").answer == "fits"  # gold is asked of all


def test_a_control_with_enough_answers_takes_no_more(make_campaign: MakeCampaign, vote_as: MakeVote) -> None:
    campaign = make_campaign("cafe", votes_per_photo=1)
    Question.objects.update(kind="control")
    vote_as(campaign, 0, "fits", "ann")
    with pytest.raises(votes.VoteRefused, match="Others have answered"):
        vote_as(campaign, 0, "fits", "bob")


def test_a_lease_reserves_a_seat_and_without_one_a_free_seat_is_needed(
    make_campaign: MakeCampaign, vote_as: MakeVote, user_for: UserFor
) -> None:
    campaign = make_campaign("cafe", votes_per_photo=2)
    question = Question.objects.get()
    assignment.lease(question=question, person=user_for("validator", "ann"))
    assert vote_as(campaign, 0, "fits", "bob")  # the second seat
    with pytest.raises(votes.VoteRefused, match="Others have answered"):
        vote_as(campaign, 0, "fits", "cid")
    assert vote_as(campaign, 0, "fits", "ann")
    assert not QuestionLease.objects.exists()
    with pytest.raises(votes.VoteRefused, match="Others have answered"):
        vote_as(campaign, 0, "fits", "cid")


def test_an_expired_lease_reserves_nothing(
    make_campaign: MakeCampaign, vote_as: MakeVote, user_for: UserFor
) -> None:
    campaign = make_campaign("cafe", votes_per_photo=1)
    assignment.lease(question=Question.objects.get(), person=user_for("validator", "ann"))
    QuestionLease.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert vote_as(campaign, 0, "fits", "bob")


def test_a_repeat_gives_the_lease_back(campaign: Campaign, vote_as: MakeVote, user_for: UserFor) -> None:
    vote = vote_as(campaign, 0, "fits", "ann")
    questions = Question.objects.order_by("photo_id")
    for question in questions[:2]:
        assignment.lease(question=question, person=user_for("validator", "ann"))
    assignment.lease(question=questions[0], person=user_for("validator", "bob"))
    assert vote_as(campaign, 0, "does_not_fit", "ann") == vote
    left = QuestionLease.objects.values_list("person__username", "question__photo_id")
    assert set(left) == {("ann", questions[1].photo_id), ("bob", questions[0].photo_id)}


# --- whole or not at all ---


def test_a_vote_and_its_undo_are_saved_completely_or_not_at_all(
    campaign: Campaign, vote_as: MakeVote, monkeypatch: pytest.MonkeyPatch
) -> None:
    vote = vote_as(campaign, 0, "fits", "ann")

    def fail(*_: object) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(votes, "_add_to_participation", fail)
    with pytest.raises(OSError, match="full"):
        vote_as(campaign, 1, "fits", "ann")
    with pytest.raises(OSError, match="full"):
        undo(vote)
    assert list(Vote.objects.all()) == [vote]
    assert Question.objects.filter(fits=1).count() == 1


# --- a reason, and would-post ---


@pytest.mark.parametrize(
    ("answer", "more", "is_kept"),
    [
        ("does_not_fit", {"reason": "other"}, True),
        ("fits", {"reason": "other"}, False),
        ("fits", {"would_post": False}, True),
        ("fits", {"would_post": True}, True),
        ("does_not_fit", {}, False),
    ],
)
def test_voter_adds_to_their_own_vote(
    campaign: Campaign, vote_as: MakeVote, user_for: UserFor, answer: str, more: dict[str, Any], is_kept: bool
) -> None:
    vote = vote_as(campaign, 0, answer, "ann")

    def say(name: str, request_id: UUID = vote.request_id) -> bool:
        person = user_for("validator", name)
        return votes.say_more(campaign=campaign, person=person, request_id=request_id, **more)

    assert say("ann") is is_kept
    vote.refresh_from_db()
    extras = {"reason": vote.reason, "would_post": vote.would_post}
    assert extras == {"reason": "", "would_post": None} | (more if is_kept else {})
    assert not say("bob")
    assert not say("ann", uuid4())


# --- how many answers are needed ---


@pytest.mark.parametrize(
    ("fits", "does_not_fit", "number"),
    [
        (0, 0, 3), (3, 0, 3), (1, 1, 3), (2, 1, 4), (1, 2, 4), (2, 2, 5), (3, 1, 3), (1, 3, 3),
        (3, 2, 5), (3, 3, 5), (9, 0, 3), (0, 3, 3),
    ],
)  # fmt: skip
def test_disagreement_asks_for_one_more_up_to_two(fits: int, does_not_fit: int, number: int) -> None:
    assert count_needed(votes_per_photo=3, extra_votes=2, fits=fits, does_not_fit=does_not_fit) == number


def test_recounting_finds_what_voting_counted(
    make_campaign: MakeCampaign, vote_as: MakeVote, hashtags: dict[str, Hashtag]
) -> None:
    campaign = make_campaign("cafe", "bar", "sport", votes_per_photo=2, extra_votes=1)
    for number, name, answer in (
        (0, "ann", "fits"), (0, "bob", "does_not_fit"), (0, "cid", "skip"), (1, "ann", "does_not_fit"),
        (1, "bob", "does_not_fit"), (2, "ann", "skip"),
    ):  # fmt: skip
        vote_as(campaign, number, answer, name)
    fields = ("fits", "does_not_fit", "skips", "needed", "is_done", "answered_at")
    rows = Question.objects.order_by("photo_id").values_list(*fields)
    before = list(rows.all())
    assert [row[:5] for row in before] == [(1, 1, 1, 3, False), (0, 2, 0, 2, True), (0, 0, 1, 2, False)]
    Question.objects.update(fits=7, does_not_fit=7, skips=7, needed=7, is_done=False, answered_at=None)
    pairs = list(Question.objects.values_list("photo_id", "hashtag_id"))
    assert recount(pairs + pairs[:1]) == 3
    assert list(rows.all()) == before
    assert recount([(pairs[0][0], pairs[1][1])]) == 0  # nobody asks about this pair
    Vote.objects.update(set_aside=True)
    assert recount(pairs) == 3
    assert [row[:3] for row in rows.all()] == [(0, 0, 0)] * 3


def test_gold_is_never_done(make_campaign: MakeCampaign, vote_as: MakeVote) -> None:
    campaign = make_campaign("cafe", votes_per_photo=1)
    Question.objects.update(kind="gold", needed=5)
    vote_as(campaign, 0, "fits")
    update_all_needed(campaign)
    question = Question.objects.get()
    assert (question.fits, question.needed, question.is_done) == (1, 5, False)


def test_only_suggestions_are_asked_for_more(make_campaign: MakeCampaign, vote_as: MakeVote) -> None:
    campaign = make_campaign("cafe", votes_per_photo=2, extra_votes=2)
    Question.objects.update(kind="control")
    vote_as(campaign, 0, "fits", "ann")
    vote_as(campaign, 0, "does_not_fit", "bob")
    question = Question.objects.get()
    assert (question.needed, question.is_done) == (2, True)


@pytest.mark.parametrize(("seconds", "number"), [(59, 1), (61, 0)])
def test_votes_since_then_and_up_to_a_minute_before_are_counted(
    campaign: Campaign, vote_as: MakeVote, seconds: int, number: int
) -> None:
    vote = vote_as(campaign, 0, "fits")
    assert count_votes_since(vote.created_at + timedelta(seconds=seconds)) == number


def test_questions_in_many_parts(
    make_campaign: MakeCampaign, vote_as: MakeVote, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More rows than one batch: none is left out."""
    monkeypatch.setattr("validation.campaigns.counts.CHUNK", 8)
    campaign = make_campaign(*["cafe"] * 9, votes_per_photo=1)
    for number in range(9):
        vote_as(campaign, number, "fits")
    campaign.votes_per_photo = 2
    update_all_needed(campaign)
    assert set(Question.objects.values_list("needed", "is_done")) == {(2, False)}
    Question.objects.update(fits=0)
    assert recount(Question.objects.values_list("photo_id", "hashtag_id")) == 9
    assert set(Question.objects.values_list("fits", flat=True)) == {1}
    delete(Question.objects.all())
    assert not Question.objects.exists()
