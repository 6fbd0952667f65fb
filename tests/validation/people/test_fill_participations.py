"""The migration that counts what people answered before participations were counted."""

from __future__ import annotations

from importlib import import_module

import pytest
from django.apps import apps
from django.utils import timezone

from tests.validation.conftest import MakeCampaign, MakeVote
from validation.models import Campaign, GoldAnswer, Participation, Question, Vote
from validation.people.crowd import people

pytestmark = [pytest.mark.django_db, pytest.mark.postgres]
fill = import_module("validation.migrations.0008_fill_participations").fill
COUNTS = ("fits", "does_not_fit", "skips", "fast", "gold", "gold_right", "control", "control_fits", "last_at")


def rows() -> list[dict[str, object]]:
    return list(Participation.objects.order_by("person_id", "campaign_id").values("person_id", *COUNTS))


@pytest.fixture
def old_campaign(make_campaign: MakeCampaign, vote_as: MakeVote) -> Campaign:
    campaign = make_campaign("cafe", "bar", "sport", "cafe", votes_per_photo=9)
    first, second = campaign.photos.order_by("pk")[:2]
    for photo, fits in ((first, True), (second, True)):
        hashtag = photo.predictions.get().hashtag
        assert hashtag
        GoldAnswer.objects.create(photo=photo, hashtag=hashtag, fits=fits)
    Question.objects.filter(photo=campaign.photos.order_by("pk")[2]).update(kind=Question.Kind.CONTROL)
    for name in ("ann", "bob"):
        vote_as(campaign, 0, "fits", name, seconds=0.2)
        vote_as(campaign, 1, "does_not_fit", name, seconds=3.0)
        vote_as(campaign, 2, "fits" if name == "ann" else "does_not_fit", name)
        vote_as(campaign, 3, "skip", name, seconds=0.1)
    Participation.objects.update(last_at=timezone.now())
    for row in Participation.objects.all():
        last = Vote.objects.filter(person_id=row.person_id).latest("created_at")
        Participation.objects.filter(pk=row.pk).update(last_at=last.created_at)
    return campaign


def test_counts_are_those_of_votes_counted_one_by_one(old_campaign: Campaign) -> None:
    counts = rows()
    assert [row["gold_right"] for row in counts] == [1, 1]
    Participation.objects.all().delete()
    fill(apps, None)
    assert rows() == counts
    fill(apps, None)
    assert rows() == counts


def test_rows_that_are_there_stay(old_campaign: Campaign) -> None:
    Participation.objects.filter(person__username="ann").update(fits=40)
    Participation.objects.filter(person__username="bob").delete()
    fill(apps, None)
    assert set(Participation.objects.values_list("person__username", "fits")) == {("ann", 40), ("bob", 1)}


def test_old_voters_are_on_the_page_of_people(old_campaign: Campaign) -> None:
    Participation.objects.all().delete()
    assert not people(old_campaign)
    fill(apps, None)
    assert {row.name for row in people(old_campaign)} == {"ann", "bob"}


def test_votes_without_a_campaign_are_left_alone(old_campaign: Campaign) -> None:
    Participation.objects.all().delete()
    Vote.objects.update(campaign=None)
    fill(apps, None)
    assert not Participation.objects.exists()
