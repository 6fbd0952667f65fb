"""What people's reasons say about rows of the mapping: mapping.doubts' question, answered."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime

from django.db.models import Case, Count, F, Max, Q, Value, When
from django.urls import reverse

from mapping.doubts import Doubt
from validation.agreement.blame import OWED
from validation.models import Vote

LEAST = 2  # people against a row before it is doubted
MOST = 200  # rows


class Voters:
    """Reasons given with a disagreement, by the scene class that the campaign's model saw in the photo."""

    def doubted(self) -> dict[str, Doubt]:
        votes = Vote.objects.counting().filter(
            ~Q(reason=""),
            photo__predictions__model_id=F("campaign__model_id"),
            photo__predictions__hashtag_id=F("hashtag_id"),
            photo__predictions__scene_class__isnull=False,
        )
        owed = Case(*(When(reason=reason, then=Value(whose)) for reason, whose in OWED.items()))
        rows = (
            votes.order_by().annotate(owed=owed).values_list("photo__predictions__scene_class__key", "owed")
        )
        people: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        last: dict[str, datetime] = {}
        for key, whose, n, at in rows.annotate(n=Count("person_id", distinct=True), at=Max("created_at")):
            people[key][whose] = n
            if whose == "mapping":
                last[key] = at
        doubts = [
            (key, Doubt(blamed["mapping"], last[key], f"{reverse('validation:votes')}?scene={key}"))
            for key, blamed in people.items()
            if blamed["mapping"] >= LEAST and blamed["mapping"] > blamed["network"]
        ]
        return dict(sorted(doubts, key=lambda one: -one[1].people)[:MOST])
