"""Which strata teach most about the headline when asked about."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

from django.db.models import (
    Case,
    Count,
    FloatField,
    Q,
    Sum,
    Value,
    When,
)
from django.db.models.functions import Coalesce

from validation.models import Campaign, Question
from validation.models.answers import FITTING, JUDGED, TIED

CHANCE = random.SystemRandom()  # voters must not be able to predict the draw
STRATA_FOR = 60.0  # seconds for which a process caches the weights
PRIOR = 2.0  # photos, half of them fitting, added to each stratum
_cache: dict[int, tuple[float, list[tuple[tuple[int, int], float]]]] = {}


def what_teaches_most(campaign: Campaign) -> Iterator[tuple[int, int]]:
    """Up to three strata, drawn with the weights of `worth_asking`."""
    strata = _strata(campaign)
    weights = [weight for _, weight in strata]
    for _ in range(min(3, len(strata))):
        yield CHANCE.choices([stratum for stratum, _ in strata], weights)[0]


def _strata(campaign: Campaign) -> list[tuple[tuple[int, int], float]]:
    now = time.monotonic()
    memory = _cache.get(campaign.pk)
    if memory is None or now - memory[0] > STRATA_FOR:
        memory = _cache[campaign.pk] = now, worth_asking(campaign)
    return memory[1]


def worth_asking(campaign: Campaign) -> list[tuple[tuple[int, int], float]]:
    """((hashtag, band), weight) of the strata with open questions.

    The weight is how much the variance of the class-weighted agreement falls with one more photo there,
    w² p(1 − p) / (n (n + 1)): so hashtags with few answers, large strata and doubtful ones come first
    (Neyman's allocation, one step at a time). p is drawn towards an even chance by two photos.
    """
    agreement = Case(
        When(FITTING, then=Value(1.0)),
        When(TIED, then=Value(0.5)),
        default=Value(0.0),
        output_field=FloatField(),
    )
    rows = list(
        Question.objects.of_campaign(campaign)
        .suggestions()
        .offered()
        .order_by()
        .values_list("hashtag_id", "band")
        .annotate(
            size=Count("pk"),
            open=Count("pk", filter=Q(is_done=False)),
            n=Count("pk", filter=JUDGED),
            agreed=Coalesce(Sum(agreement, filter=JUDGED), 0.0),
        )
    )
    of_hashtag: dict[int, int] = {}
    for hashtag, _, size, *_ in rows:
        of_hashtag[hashtag] = of_hashtag.get(hashtag, 0) + size
    strata = []
    for hashtag, band, size, still_open, n, fitting in rows:
        share = (fitting + PRIOR / 2) / (n + PRIOR)
        weight = size / of_hashtag[hashtag]
        if still_open:
            strata.append(((hashtag, band), weight**2 * share * (1 - share) / ((n + 1) * (n + 2))))
    return strata
