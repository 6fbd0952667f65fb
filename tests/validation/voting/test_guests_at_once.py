"""Five guests at once, one of whom does nothing: nobody is turned away before everything is answered."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from tests.validation.conftest import MakeCampaign
from validation.models import Campaign, Question, Vote
from validation.people import guests

pytestmark = pytest.mark.django_db


def come(campaign: Campaign) -> Client:
    guest = Client()
    assert guest.post(f"/validation/join/{guests.token(campaign)}/").status_code == 302
    return guest


def open_page(guest: Client, campaign: Campaign) -> Any:
    return guest.get(f"/validation/vote/{campaign.pk}/")


def is_needed(guest: Client) -> bool:
    """Whether a question lacks answers and this guest has given none."""
    theirs = Vote.objects.filter(person_id=guest.session["_auth_user_id"]).values("photo")
    return Question.objects.filter(is_done=False).exclude(photo__in=theirs).exists()


@pytest.mark.parametrize("votes_per_photo", [1, 3])
def test_an_idle_guest_turns_nobody_away(make_campaign: MakeCampaign, votes_per_photo: int) -> None:
    campaign = make_campaign("cafe", "bar", "sport", audience="link", votes_per_photo=votes_per_photo)
    idle, *others = [come(campaign) for _ in range(5)]
    assert open_page(idle, campaign).context["assignment"].question
    pages = [open_page(guest, campaign) for guest in others]  # all look before anybody answers
    assert all(page.context["assignment"].question for page in pages)
    waiting = dict(enumerate(others))
    while waiting:
        for number, guest in list(waiting.items()):
            question = pages[number].context["assignment"].question
            if question is None:
                assert not is_needed(guest)
                assert b"Other people have answered everything" not in pages[number].content
                del waiting[number]
                continue
            form = {"photo": question.photo_id, "hashtag": question.hashtag_id, "answer": "fits"}
            guest.post(f"/validation/vote/{campaign.pk}/", form | {"request_id": uuid4()})
            pages[number] = open_page(guest, campaign)
    assert set(Question.objects.values_list("is_done", flat=True)) == {True}
    assert {Vote.objects.filter(person_id=one.session["_auth_user_id"]).exists() for one in others} == {True}
    # The one who comes back reads that all is done, because now it is.
    assert b"Other people have answered everything" in open_page(idle, campaign).content
