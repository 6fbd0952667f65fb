"""Queries whose SQL is built once: they say the same as Django's own."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from django.db.models import DateTimeField, QuerySet, UUIDField
from django.utils import timezone

from tests.validation.conftest import MakeVote
from validation.models import Campaign, Question, Vote
from validation.prepared import Prepared, PreparedDelete, PreparedInsert, PreparedUpdate, given

pytestmark = [pytest.mark.django_db, pytest.mark.postgres]


def test_rows_are_objects_with_their_relations(campaign: Campaign, vote_as: MakeVote) -> None:
    vote = vote_as(campaign, 0, "fits", seconds=1.25)
    by_id = Prepared(
        lambda: Vote.objects.filter(request_id=given("id", UUIDField())).select_related("photo", "hashtag")
    )
    for _ in range(4):  # PostgreSQL prepares a statement after some uses
        (found,) = by_id.rows(id=vote.request_id)
        assert (found, found.seconds, found.created_at) == (vote, 1.25, vote.created_at)
        assert (found.photo, found.hashtag, type(found.request_id)) == (vote.photo, vote.hashtag, UUID)
    assert found._state.fields_cache.keys() == {"photo", "hashtag"}
    assert by_id.first(id=uuid4()) is None


def test_each_shape_has_a_statement_of_its_own(campaign: Campaign) -> None:
    def ordered(is_upwards: bool) -> QuerySet[Question, tuple[float]]:
        rows = Question.objects.filter(campaign_id=given("campaign"))
        return rows.order_by("rank" if is_upwards else "-rank").values_list("rank")

    ranks = Prepared(ordered)
    for _ in range(3):
        up, down = ranks.rows(True, campaign=campaign.pk), ranks.rows(False, campaign=campaign.pk)
        assert (up, len(up)) == (down[::-1], 3)
    assert up == sorted(up)
    assert not ranks.exists(True, campaign=campaign.pk + 1)


def test_updates_and_deletes_say_how_many(campaign: Campaign, vote_as: MakeVote) -> None:
    vote_as(campaign, 0, "fits")
    vote_as(campaign, 1, "fits")
    before = Vote.objects.filter(created_at__lt=given("time", DateTimeField()))
    put = PreparedUpdate(lambda: (before, {"seconds": given("seconds", float)}))
    drop = PreparedDelete(lambda: before)
    now = timezone.now()
    assert (put.run(time=now, seconds=3.5), put.run(time=now - timedelta(days=1), seconds=4.5)) == (2, 0)
    assert set(Vote.objects.values_list("seconds", flat=True)) == {3.5}
    assert (drop.run(time=now - timedelta(days=1)), drop.run(time=now), Vote.objects.count()) == (0, 2, 0)


def test_an_insert_says_whether_it_did_nothing(campaign: Campaign, vote_as: MakeVote) -> None:
    vote = vote_as(campaign, 0, "fits")
    fields = {"photo_id": vote.photo_id, "hashtag_id": vote.hashtag_id, "person_id": vote.person_id}
    add = PreparedInsert(Vote, on_conflict="DO NOTHING")
    assert add.run(**fields, campaign_id=campaign.pk, answer="skip") is None
    Vote.objects.all().delete()
    key = add.run(**fields, campaign_id=campaign.pk, answer="skip")
    assert [(one.pk, one.answer) for one in Vote.objects.all()] == [(key, "skip")]
