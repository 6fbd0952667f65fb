"""Known answers that are changed or removed, or marked by several people at once."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client

from mapping.models import Hashtag, Release
from tests.trainer.conftest import LABELS, classes, folder, photo_set, release  # noqa: F401
from tests.validation.conftest import MakeCampaign, MakeVote, taken_in
from trainer.models import PhotoSet
from validation.campaigns import acts
from validation.models import Campaign, GoldAnswer, Participation, Question, Vote
from validation.people import gold, gold_photos
from validation.voting import votes

pytestmark = pytest.mark.postgres
UserFor = Callable[..., User]


def measured(vote: Vote) -> tuple[int, int, int, int]:
    row = Participation.objects.get(person=vote.person, campaign=vote.campaign)
    return row.gold, row.gold_right, row.fits, row.does_not_fit


BESIDE = 1  # another known answer, answered correctly, that stays


@pytest.mark.parametrize("then", ["does_not_fit", "unknown"])
@pytest.mark.parametrize(("verdict", "right"), [("fits", 1), ("does_not_fit", 0)])
def test_removed_mark_counts_for_nobody_and_undo_still_works(
    make_campaign: MakeCampaign,
    vote_as: MakeVote,
    user_for: UserFor,
    hashtags: dict[str, Hashtag],
    verdict: str,
    right: int,
    then: str,
) -> None:
    campaign, by = make_campaign("cafe", "cafe", gold_share=0.1), user_for("admin")
    first, beside = campaign.photos.order_by("pk")
    GoldAnswer.objects.create(photo=beside, hashtag=hashtags["cafe"], fits=True)
    vote_as(campaign, 1, "fits", "ann")
    photo, hashtag = first.pk, hashtags["cafe"].pk

    def decide(answer: str) -> bool:
        return gold.decide(campaign=campaign, by=by, photo=photo, hashtag=hashtag, answer=answer)

    assert decide("fits")
    vote = vote_as(campaign, 0, verdict, "ann")
    answers = (BESIDE + (verdict == "fits"), int(verdict != "fits"))
    assert measured(vote) == (BESIDE + 1, BESIDE + right, *answers)
    for has_effect in (True, then != "unknown"):  # the second time there is nothing to remove
        assert decide(then) == has_effect
        assert measured(vote) == (BESIDE, BESIDE, *answers)
    assert votes.undo_vote(campaign=campaign, person=vote.person, request_id=vote.request_id)
    assert measured(vote) == (BESIDE, BESIDE, BESIDE, 0)
    again = vote_as(campaign, 0, verdict, "ann")
    is_gold = then != "unknown"
    assert measured(again)[:2] == (BESIDE + is_gold, BESIDE + (is_gold and verdict == then))


@pytest.mark.django_db
def test_photos_of_the_mapping_become_known_answers_of_authors_campaigns(
    photo_set: PhotoSet,  # noqa: F811
    release: Release,  # noqa: F811
    client_for: Callable[..., Client],
) -> None:
    Hashtag.objects.bulk_create(Hashtag(name=name, posts=10**8) for name in ("bar", "beach"))
    rules: dict[str, Any] = {"gold_share": 0.5, "votes_per_photo": 1}
    authors = acts.create_authors_campaign(
        name="Authors", model=None, photos=[taken_in(1)], hashtags={}, by=None, **rules
    )
    client, url = client_for("admin"), f"/validation/campaigns/{authors.pk}/known/?show=mapping"
    shown = client.get(url)
    proposals = shown.context["proposals"]
    labels = {key: label for key, label in LABELS.items() if label in ("bar", "beach")}
    for one in proposals:
        assert one.fits == (labels[one.photo.scene_class.key] == one.hashtag.name)
    assert {one.fits for one in proposals} == {True, False}
    assert len({one.photo.pk for one in proposals}) == len(proposals) == gold_photos.SHOWN
    first = proposals[0]
    assert f'name="scene_photo" value="{first.photo.pk}"' in shown.content.decode()
    sent = {"scene_photo": first.photo.pk, "hashtag": first.hashtag.pk, "answer": "does_not_fit"}
    for _ in range(2):  # a repeated click
        assert client.post(url, sent)["Location"] == url
    known = GoldAnswer.objects.get()
    assert (known.hashtag, known.fits) == (first.hashtag, False)
    assert known.note == f"Tiny, {first.photo.subject}"
    asked = authors.questions.gold().get()
    assert (asked.photo, asked.hashtag) == (known.photo, first.hashtag)
    for stale in ({"scene_photo": 10**6}, {"hashtag": 0}, {"answer": "unknown"}):
        page = client.post(url, sent | stale, follow=True).content.decode()
        assert "This page was out of date, so nothing was changed." in page
    first.photo.file.unlink()
    assert "gone from its folder" in client.post(url, sent, follow=True).content.decode()
    assert client_for("viewer").post(url, sent).status_code == 403
    assert GoldAnswer.objects.count() == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.integration
def test_answer_marked_by_two_people_at_once_is_marked_once(
    make_campaign: MakeCampaign, user_for: UserFor
) -> None:
    """Also in other campaigns, which then ask about it."""
    campaign = make_campaign(*["cafe"] * 6, gold_share=0.1)
    others = [make_campaign("cafe", name=name, gold_share=0.1) for name in ("A", "B")]
    people = [user_for("admin", name) for name in "abc"]
    for question in Question.objects.filter(campaign=campaign, kind=Question.Kind.SUGGESTION):
        _mark_at_once(campaign, question, people)
    assert GoldAnswer.objects.count() == 6
    for other in others:
        assert Question.objects.filter(campaign=other).count() == 6  # one of them suggested by the model


def _mark_at_once(campaign: Campaign, question: Question, people: list[User]) -> None:
    together = Barrier(len(people))

    def click(person: User) -> bool:
        try:
            together.wait(20)
            return gold.decide(
                campaign=campaign,
                by=person,
                photo=question.photo_id,
                hashtag=question.hashtag_id,
                answer="fits",
            )
        finally:
            connection.close()

    with ThreadPoolExecutor(len(people)) as threads:
        assert list(threads.map(click, people)) == [True] * len(people)
