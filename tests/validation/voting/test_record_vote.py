"""Voting: who may, what counts once, what a stale page does."""

from __future__ import annotations

import re
from collections.abc import Callable
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.test import Client

from tests.validation.conftest import MakeCampaign, MakeVote
from validation.campaigns import acts
from validation.models import Campaign, Photo, Prediction, Vote

pytestmark = pytest.mark.postgres
ClientFor = Callable[..., Client]


def ballot(
    campaign: Campaign, number: int = 0, answer: str = "fits", request_id: object = None
) -> dict[str, str]:
    question = Prediction.objects.of(campaign).suggested().order_by("pk")[number]
    fields = {"photo": question.photo_id, "hashtag": question.hashtag_id, "answer": answer}
    return {key: str(value) for key, value in fields.items()} | {"request_id": str(request_id or uuid4())}


def url(campaign: Campaign) -> str:
    return f"/validation/vote/{campaign.pk}/"


@pytest.mark.parametrize("answer", ["fits", "does_not_fit", "skip"])
def test_validator_votes_and_sees_the_next_photo(
    campaign: Campaign, client_for: ClientFor, answer: str
) -> None:
    client = client_for("validator")
    page = client.get(url(campaign))
    assert b"1 of 3" in page.content
    question = page.context["assignment"].question
    fields = {
        "photo": question.photo_id,
        "hashtag": question.hashtag_id,
        "answer": answer,
        "request_id": uuid4(),
    }
    after = client.post(url(campaign), fields, follow=True)
    assert Vote.objects.get().answer == answer
    assert b"2 of 3" in after.content
    assert after.context["assignment"].question.photo_id != question.photo_id


def test_ballot_shows_nothing_that_influences_the_voter(campaign: Campaign, client_for: ClientFor) -> None:
    content = client_for("validator").get(url(campaign)).content.decode()
    assert not re.search(r"[.,]77|77.?%", re.sub(r'value="[^"]+"', "", content))  # the confidence is 0.77
    assert " checked" not in content
    assert "autofocus" not in content
    assert '.jpg" alt="The photo in question"' not in content  # its name may give the answer away
    assert "CC BY 2.0" in content


@pytest.mark.parametrize(
    ("role", "status"),
    [("stranger", 302), ("viewer", 403), ("curator", 403), ("admin", 403), ("nobody", 403)],
)
def test_only_validators_vote(campaign: Campaign, client_for: ClientFor, role: str, status: int) -> None:
    client = client_for(role)
    assert client.get(url(campaign)).status_code == status
    assert client.post(url(campaign), ballot(campaign)).status_code == status
    assert client.get("/validation/vote/").status_code == status
    assert not Vote.objects.exists()


@pytest.mark.parametrize(
    "path",
    [
        "/validation/campaigns/",
        "/validation/campaigns/1/",
        "/validation/agreement/",
        "/validation/agreement/photos/",
    ],
)
def test_validators_see_nothing_of_the_model(campaign: Campaign, client_for: ClientFor, path: str) -> None:
    assert client_for("validator").get(path).status_code == 403


def test_same_request_twice_is_one_vote(campaign: Campaign, client_for: ClientFor) -> None:
    client, fields = client_for("validator"), ballot(campaign)
    first, second = client.post(url(campaign), fields), client.post(url(campaign), fields, follow=True)
    assert first.status_code == 302
    assert b"note is-warning" not in second.content
    assert Vote.objects.count() == 1


def test_a_repeat_with_another_answer_keeps_the_vote_given(campaign: Campaign, client_for: ClientFor) -> None:
    client = client_for("validator")
    client.post(url(campaign), ballot(campaign, answer="fits"))
    client.post(url(campaign), ballot(campaign, answer="does_not_fit"))
    assert Vote.objects.get().answer == "fits"


def test_database_refuses_a_second_vote_of_a_person(campaign: Campaign, vote_as: MakeVote) -> None:
    vote = vote_as(campaign, 0, "fits")
    again = {"photo_id": vote.photo_id, "hashtag_id": vote.hashtag_id, "person_id": vote.person_id}
    with pytest.raises(IntegrityError), transaction.atomic():
        Vote.objects.create(**again, answer="skip")


def test_somebody_elses_request_id_is_not_a_vote(
    campaign: Campaign, client_for: ClientFor, vote_as: MakeVote
) -> None:
    theirs = vote_as(campaign, 0, "fits", "other")
    after = client_for("validator").post(
        url(campaign), ballot(campaign, request_id=theirs.request_id), follow=True
    )
    assert b"out of date" in after.content
    assert Vote.objects.count() == 1


def test_vote_on_a_photo_withdrawn_meanwhile_is_refused(campaign: Campaign, client_for: ClientFor) -> None:
    client, fields = client_for("validator"), ballot(campaign)
    acts.withdraw_photo(campaign=campaign, photo=campaign.photos.order_by("pk")[0])
    after = client.post(url(campaign), fields, follow=True)
    assert b"has been withdrawn" in after.content
    assert b"1 of 2" in after.content
    assert not Vote.objects.exists()


def test_vote_in_a_campaign_closed_meanwhile_is_refused(campaign: Campaign, client_for: ClientFor) -> None:
    client, fields = client_for("validator"), ballot(campaign)
    acts.set_open(campaign=campaign, is_open=False)
    after = client.post(url(campaign), fields, follow=True)
    assert b"This campaign is closed" in after.content
    assert b"your last answer was not kept" in after.content
    assert not Vote.objects.exists()


@pytest.mark.parametrize(
    "change", [{"answer": "maybe"}, {"answer": ""}, {"photo": "x"}, {"hashtag": "-1"}, {"request_id": "1"}]
)
def test_forged_votes_are_refused(campaign: Campaign, client_for: ClientFor, change: dict[str, str]) -> None:
    response = client_for("validator").post(url(campaign), ballot(campaign) | change)
    assert response.status_code == 302
    assert not Vote.objects.exists()


def test_a_hashtag_that_was_not_suggested_is_refused(campaign: Campaign, client_for: ClientFor) -> None:
    other = ballot(campaign, 1)["hashtag"]
    client_for("validator").post(url(campaign), ballot(campaign, 0) | {"hashtag": other})
    assert not Vote.objects.exists()


def test_csrf_token_is_required(campaign: Campaign, user_for: Callable[..., User]) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(user_for("validator"))
    assert client.post(url(campaign), ballot(campaign)).status_code == 403


def test_vote_index_says_what_is_left_and_hides_closed_campaigns(
    make_campaign: MakeCampaign, vote_as: MakeVote, client_for: ClientFor
) -> None:
    first = make_campaign("cafe", "bar", None, name="First")
    make_campaign("cafe", name="Shut")
    acts.set_open(campaign=Campaign.objects.get(name="Shut"), is_open=False)
    vote_as(first, 1, "skip")
    content = client_for("validator").get("/validation/vote/").content.decode()
    assert "First" in content
    assert "Shut" not in content
    assert "1 photo left for you, 1 answered" in content


def test_empty_index_and_silent_campaign_say_so(make_campaign: MakeCampaign, client_for: ClientFor) -> None:
    client = client_for("validator")
    assert b"Nothing to vote on at the moment" in client.get("/validation/vote/").content
    silent = make_campaign(None)
    assert b"Nothing left for you here" in client.get(url(silent)).content


def test_nobody_votes_on_their_own_photo(
    campaign: Campaign, client_for: ClientFor, user_for: Callable[..., User]
) -> None:
    """They are never asked about it, and a forged form is refused, in the voter's language."""
    fields = ballot(campaign)
    Photo.objects.filter(pk=fields["photo"]).update(added_by=user_for("validator"))
    client = client_for("validator")
    assert b"You added this photo yourself" in client.post(url(campaign), fields, follow=True).content
    Campaign.objects.update(language="ru")
    response = client.post(f"{url(campaign)}votes/", fields)
    assert (response.status_code, "Эту фотографию добавили вы сами" in response.json()["error"]) == (
        409,
        True,
    )
    assert not Vote.objects.exists()
    client_for("validator", "other").post(url(campaign), fields)
    assert Vote.objects.count() == 1
