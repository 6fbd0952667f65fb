"""Who votes carefully: known answers, pauses, votes set aside and restored."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User

from mapping.models import Hashtag
from tests.validation.conftest import MakeCampaign, MakeVote
from validation.models import Campaign, GoldAnswer, Participation, Question, Standing, Vote
from validation.people import crowd
from validation.templatetags.agreement_words import percent
from validation.voting import votes

pytestmark = pytest.mark.postgres
UserFor = Callable[..., User]


@pytest.fixture
def admin(user_for: UserFor) -> User:
    return user_for("admin", "boss")


@pytest.fixture
def gold_campaign(
    make_campaign: MakeCampaign, hashtags: dict[str, Hashtag], monkeypatch: pytest.MonkeyPatch
) -> Campaign:
    """Sixteen photos, all of whose hashtags are known to fit."""
    monkeypatch.setattr(crowd, "ENOUGH_GOLD", 14)
    monkeypatch.setattr(crowd, "LEAST_RIGHT", 0.85)
    campaign = make_campaign(*["cafe"] * 16, gold_share=0.1)
    for photo in campaign.photos.all():
        GoldAnswer.objects.create(photo=photo, hashtag=hashtags["cafe"], fits=True)
    return campaign


def say(campaign: Campaign, vote_as: MakeVote, answers: str, name: str = "ann") -> int:
    """Answer photo by photo with y or n; returns how many answers were accepted."""
    for number, letter in enumerate(answers):
        try:
            vote_as(campaign, number, "fits" if letter == "y" else "does_not_fit", name)
        except votes.PersonPaused:
            return number
    return len(answers)


def row(campaign: Campaign, name: str = "ann") -> crowd.PersonRow:
    return next(one for one in crowd.people(campaign) if one.name == name)


@pytest.mark.parametrize(
    ("answers", "n_kept"), [("nn" + "y" * 14, 16), ("nnn" + "y" * 13, 14), ("n" * 16, 14)]
)
def test_person_with_three_of_fourteen_known_answers_wrong_is_paused(
    gold_campaign: Campaign, vote_as: MakeVote, user_for: UserFor, answers: str, n_kept: int
) -> None:
    assert say(gold_campaign, vote_as, answers) == n_kept
    assert crowd.is_paused(user_for("validator", "ann")) == (n_kept < 16)
    assert Vote.objects.filter(set_aside=True).count() == 0  # that is for people to decide


def test_admins_decision_is_final(
    gold_campaign: Campaign, vote_as: MakeVote, user_for: UserFor, admin: User
) -> None:
    say(gold_campaign, vote_as, "n" * 14)
    ann = user_for("validator", "ann")
    assert crowd.unpause(person=ann, by=admin)
    assert not crowd.unpause(person=ann, by=admin)
    vote_as(gold_campaign, 14, "does_not_fit", "ann")
    assert not crowd.is_paused(ann)
    assert row(gold_campaign).is_careless
    story = Standing.history.order_by("history_date").values_list("history_user__username", "is_paused")
    assert list(story) == [(None, True), ("boss", False)]


def test_a_known_answer_counts_only_for_later_votes(
    make_campaign: MakeCampaign, vote_as: MakeVote, hashtags: dict[str, Hashtag]
) -> None:
    campaign = make_campaign("cafe", "cafe")
    before = vote_as(campaign, 0, "does_not_fit", "ann")
    GoldAnswer.objects.create(photo=before.photo, hashtag=hashtags["cafe"], fits=True)
    assert row(campaign).gold == 0
    votes.undo_vote(campaign=campaign, person=before.person, request_id=before.request_id)
    assert (row(campaign).gold, row(campaign).answers) == (0, 0)
    after = vote_as(campaign, 0, "does_not_fit", "ann")
    assert (row(campaign).gold, row(campaign).gold_right) == (1, 0)
    votes.undo_vote(campaign=campaign, person=after.person, request_id=after.request_id)
    assert (row(campaign).gold, row(campaign).gold_right) == (0, 0)


def test_votes_are_set_aside_and_restored_everywhere(
    make_campaign: MakeCampaign, vote_as: MakeVote, user_for: UserFor, admin: User
) -> None:
    campaign = make_campaign("cafe", "bar", votes_per_photo=2)
    for name in ("ann", "bob"):
        vote_as(campaign, 0, "fits", name)
    vote_as(campaign, 1, "skip", "ann")
    ann = user_for("validator", "ann")

    def stands() -> list[tuple[int, int, bool]]:
        return list(Question.objects.order_by("photo_id").values_list("fits", "skips", "is_done"))

    before = stands()
    assert crowd.set_aside(person=ann, by=admin, reason="always yes")
    assert not crowd.set_aside(person=ann, by=admin)
    assert (before, stands()) == ([(2, 0, True), (0, 1, False)], [(1, 0, False), (0, 0, False)])
    assert crowd.is_paused(ann)
    assert not crowd.unpause(person=ann, by=admin)  # first bring the votes back
    assert crowd.bring_back(person=ann, by=admin)
    assert not crowd.bring_back(person=ann, by=admin)
    assert stands() == before
    assert crowd.is_paused(ann)
    assert crowd.unpause(person=ann, by=admin)


def test_paused_people_cannot_vote_or_undo_and_are_told_why(
    campaign: Campaign, vote_as: MakeVote, user_for: UserFor, admin: User
) -> None:
    vote = vote_as(campaign, 0, "fits", "ann")
    assert crowd.pause(person=vote.person, by=admin)
    assert not crowd.pause(person=vote.person, by=admin)
    with pytest.raises(votes.PersonPaused, match="Your answers are kept"):
        vote_as(campaign, 1, "fits", "ann")
    with pytest.raises(votes.PersonPaused):
        votes.undo_vote(campaign=campaign, person=vote.person, request_id=vote.request_id)


@pytest.mark.parametrize(("seconds", "fast"), [(0.6, 1), (votes.FAST, 0), (None, 0)])
def test_an_answer_in_less_time_than_it_takes_to_look_is_fast(
    campaign: Campaign, vote_as: MakeVote, seconds: float | None, fast: int
) -> None:
    vote_as(campaign, 0, "fits", "ann", seconds)
    assert row(campaign).fast == fast


def test_people_who_are_too_fast_or_always_say_yes_are_flagged(
    make_campaign: MakeCampaign, vote_as: MakeVote
) -> None:
    campaign = make_campaign(*["cafe"] * 20)
    for number in range(20):
        vote_as(campaign, number, "fits", "hare", 0.2 if number < 7 else 3.0)
        vote_as(campaign, number, "fits", "tortoise", 0.2 if number < 6 else 3.0)
    assert (row(campaign, "hare").is_fast, row(campaign, "tortoise").is_fast) == (True, False)
    Participation.objects.filter(person__username="hare").update(control=5, control_fits=4)
    Participation.objects.filter(person__username="tortoise").update(control=5, control_fits=3)
    assert (row(campaign, "hare").says_always_yes, row(campaign, "tortoise").says_always_yes) == (True, False)
    assert [one.name for one in crowd.people(campaign)] == ["hare", "tortoise"]


def test_reason_of_a_pause_names_the_share() -> None:
    assert percent(crowd.LEAST_RIGHT) in crowd.CARELESS
