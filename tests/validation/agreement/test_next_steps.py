"""The dashboard's first screen: can the figures be trusted, and what is next, for each role."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from mapping.models import SceneClass
from tests.validation.conftest import MakeCampaign, MakeVote
from validation.photos import corrections

pytestmark = pytest.mark.django_db
ClientFor = Callable[..., Client]
PATH = "/validation/agreement/"


def steps(client: Client, query: dict[str, Any]) -> list[tuple[str, str, str]]:
    page = client.get(PATH, query)
    return [(one.words, one.action, one.url) for one in page.context["steps"]]


@pytest.mark.parametrize("is_of_all", [False, True])
def test_votes_are_the_next_thing_until_there_are_enough(
    make_campaign: MakeCampaign, vote_as: MakeVote, client_for: ClientFor, is_of_all: bool
) -> None:
    campaign = make_campaign("cafe", "cafe", "bar", audience="link")
    vote_as(campaign, 2, "fits")
    query = {} if is_of_all else {"campaign": campaign.pk}
    page = f"/validation/campaigns/{campaign.pk}/"
    first = {role: steps(client_for(role), query)[0] for role in ("viewer", "admin")}
    assert first["viewer"] == ("6 more votes on #cafe", "View the campaign", page)
    assert first["admin"] == ("6 more votes on #cafe", "Invite", f"{page}#invite")
    for role, (_, action, url) in first.items():
        assert client_for(role).get(url).status_code == 200, action
    client_for("admin").post(f"{page}close/")
    closed = steps(client_for("viewer"), query)
    assert [one for one in closed if "more votes" in one[0]] == (
        [] if is_of_all else [("6 more votes on #cafe, but “Test” is closed", "Open the campaign", page)]
    )


def test_corrections_wait_until_a_photo_set_is_made_of_them(
    make_campaign: MakeCampaign, vote_as: MakeVote, client_for: ClientFor, user_for: Callable[..., User]
) -> None:
    campaign, admin = make_campaign("cafe", "bar"), user_for("admin")
    vote_as(campaign, 0, "fits")
    scene = SceneClass.objects.create(key="b/bar", name="bar")
    corrections.correct(photo=campaign.photos.all()[0], by=admin, scene=scene, hashtag=None, seen=None)
    client, address = client_for("admin"), f"{PATH}{campaign.pk}/mend/#corrections"
    for query in ({}, {"campaign": campaign.pk}):
        assert ("1 correction waits", "Retrain", address) in steps(client, query)
    assert b"1 photo has a scene class" in client.get(address).content
    client.post("/validation/corrections/train/", {"name": "Corrected"})
    assert not [one for one in steps(client, {}) if "correction" in one[0]]


def test_the_page_says_why_not_to_trust_it_yet(
    make_campaign: MakeCampaign, vote_as: MakeVote, client_for: ClientFor
) -> None:
    campaign = make_campaign("cafe", "bar", "sport", "sport", votes_per_photo=1)
    vote_as(campaign, 0, "fits")
    trust = client_for("viewer").get(PATH).context["trust"]
    assert trust.verdict == "Not yet"
    assert trust.reasons == [
        "only 1 photo judged so far",
        "only 1 person judged",
        "75\u00a0% of the suggestions are of a kind nobody has judged",
    ]
