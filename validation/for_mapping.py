"""What the mapping asks of campaigns: which rows voters doubt, and to follow when a hashtag is blocked."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from typing import TYPE_CHECKING

from django.db.models import Case, Count, F, Max, Q, Value, When
from django.urls import reverse

from mapping.doubts import Doubt
from validation.agreement.blame import PARTY_OF_REASON
from validation.campaigns.predicting import predict_again
from validation.models import Campaign, Vote

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

LEAST = 2  # people who must blame a row before it is doubted
MOST = 200  # rows


def follow_blocking(by: AbstractBaseUser) -> None:
    """Start the prediction of open campaigns again: photos may get another hashtag, or the old one back. In
    authors' campaigns, people are asked about hashtags that were unblocked.
    """
    for campaign in Campaign.objects.taking_votes():
        predict_again(campaign=campaign, by=by)


class Voters:
    """Counts the reasons of disagreements by the scene class that the campaign's model saw in the photo."""

    def find_doubts(self) -> dict[str, Doubt]:
        votes = (
            Vote.objects.counting()
            .offered()
            .filter(
                ~Q(reason=""),
                author_named=False,
                campaign__is_made_up=False,
                photo__predictions__model_id=F("campaign__model_id"),
                photo__predictions__hashtag_id=F("hashtag_id"),
                photo__predictions__scene_class__isnull=False,
            )
        )
        party = Case(*(When(reason=reason, then=Value(party)) for reason, party in PARTY_OF_REASON.items()))
        rows = (
            votes.order_by()
            .annotate(party=party)
            .values_list("photo__predictions__scene_class__key", "party")
        )
        people: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        last: dict[str, datetime] = {}
        for key, name, n, at in rows.annotate(n=Count("person_id", distinct=True), at=Max("created_at")):
            people[key][name] = n
            if name == "mapping":
                last[key] = at
        doubts = [
            (key, Doubt(counts["mapping"], last[key], f"{reverse('validation:votes')}?scene={key}"))
            for key, counts in people.items()
            if counts["mapping"] >= LEAST and counts["mapping"] > counts["network"]
        ]
        return dict(sorted(doubts, key=lambda one: -one[1].people)[:MOST])
