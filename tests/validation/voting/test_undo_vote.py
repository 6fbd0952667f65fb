"""Undo takes back one's own last vote, also after it was sent, once per press."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.test import Client

from tests.validation.conftest import MakeCampaign, MakeVote
from validation.campaigns import acts
from validation.models import Campaign, Vote
from validation.voting import votes
from validation.voting.assignment import next_questions

pytestmark = pytest.mark.postgres
ClientFor = Callable[..., Client]


def undo(client: Client, campaign: Campaign, vote: Vote) -> object:
    return client.post(
        f"/validation/vote/{campaign.pk}/undo/", {"request_id": str(vote.request_id)}, follow=True
    )


def test_undo_takes_the_last_vote_back_and_asks_again(
    campaign: Campaign, client_for: ClientFor, vote_as: MakeVote
) -> None:
    first, last = vote_as(campaign, 0, "fits"), vote_as(campaign, 1, "fits")
    after = undo(client_for("validator"), campaign, last)
    assert list(Vote.objects.all()) == [first]
    assert after.context["assignment"].question.photo_id == last.photo_id  # type: ignore[attr-defined]
    assert after.context["last"]["request_id"] == str(first.request_id)  # type: ignore[attr-defined]


def test_the_question_of_an_undone_vote_is_held_for_the_same_person(
    make_campaign: MakeCampaign, user_for: Callable[..., User], vote_as: MakeVote
) -> None:
    campaign = make_campaign("cafe", "cafe", votes_per_photo=1)
    vote = vote_as(campaign, 0, "fits", "ann")
    ann, bob = user_for("validator", "ann"), user_for("validator", "bob")
    votes.undo_vote(campaign=campaign, person=ann, request_id=vote.request_id)
    assert [one.photo_id for one in next_questions(campaign=campaign, person=bob)] != [vote.photo_id]
    assert [one.photo_id for one in next_questions(campaign=campaign, person=ann)] == [vote.photo_id]


def test_a_repeated_click_takes_back_one_vote(
    campaign: Campaign, client_for: ClientFor, vote_as: MakeVote
) -> None:
    first, last = vote_as(campaign, 0, "fits"), vote_as(campaign, 1, "fits")
    client = client_for("validator")
    undo(client, campaign, last)
    undo(client, campaign, last)
    assert list(Vote.objects.all()) == [first]


def test_a_copy_of_the_vote_that_comes_after_its_undo_does_not_bring_it_back(
    campaign: Campaign, client_for: ClientFor, vote_as: MakeVote
) -> None:
    """Over a bad connection a vote is sent twice, and the first copy may arrive last."""
    vote = vote_as(campaign, 0, "fits")
    undo(client_for("validator"), campaign, vote)
    same: dict[str, Any] = {
        "photo": vote.photo,
        "hashtag": vote.hashtag,
        "person": vote.person,
        "campaign": campaign,
    }
    with pytest.raises(votes.VoteRefused, match="out of date"):
        votes.record_vote(**same, answer="fits", request_id=vote.request_id)
    assert not Vote.objects.exists()
    again = votes.record_vote(**same, answer="does_not_fit", request_id=uuid4())
    late = votes.record_vote(**same, answer="fits", request_id=vote.request_id)
    assert (late, late.answer) == (again, "does_not_fit")


def test_undo_is_offered_when_all_is_done(
    campaign: Campaign, client_for: ClientFor, vote_as: MakeVote
) -> None:
    votes = [vote_as(campaign, number, "fits") for number in range(3)]
    client = client_for("validator")
    content = client.get(f"/validation/vote/{campaign.pk}/").content.decode()
    assert "All done" in content
    assert str(votes[-1].request_id) in content
    undo(client, campaign, votes[-1])
    assert Vote.objects.count() == 2


def test_undo_is_not_offered_before_the_first_vote(campaign: Campaign, client_for: ClientFor) -> None:
    content = client_for("validator").get(f"/validation/vote/{campaign.pk}/").content.decode()
    assert 'id="undo" data-keys="u" hidden' in content


def test_undo_does_not_touch_another_persons_vote(
    campaign: Campaign, client_for: ClientFor, vote_as: MakeVote
) -> None:
    theirs = vote_as(campaign, 0, "fits", "other")
    undo(client_for("validator"), campaign, theirs)
    assert Vote.objects.get() == theirs


def test_an_older_vote_is_not_taken_back_before_the_last(
    campaign: Campaign, client_for: ClientFor, vote_as: MakeVote
) -> None:
    first = vote_as(campaign, 0, "fits")
    vote_as(campaign, 1, "fits")
    undo(client_for("validator"), campaign, first)
    assert Vote.objects.count() == 2


def test_votes_of_a_closed_campaign_are_kept(
    campaign: Campaign, client_for: ClientFor, vote_as: MakeVote
) -> None:
    vote = vote_as(campaign, 0, "fits")
    acts.set_open(campaign=campaign, is_open=False)
    after = undo(client_for("validator"), campaign, vote)
    assert b"Its votes are kept" in after.content  # type: ignore[attr-defined]
    assert Vote.objects.count() == 1


@pytest.mark.parametrize(("role", "status"), [("stranger", 302), ("viewer", 403), ("admin", 403)])
def test_only_validators_undo(
    campaign: Campaign, client_for: ClientFor, vote_as: MakeVote, role: str, status: int
) -> None:
    vote = vote_as(campaign, 0, "fits")
    path = f"/validation/vote/{campaign.pk}/undo/"
    assert client_for(role).post(path, {"request_id": str(vote.request_id)}).status_code == status
    assert client_for("validator").get(path).status_code == 405
    assert client_for("validator").post(path, {"request_id": "x"}).status_code == 302
    assert Vote.objects.count() == 1
