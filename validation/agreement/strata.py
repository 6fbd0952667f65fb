"""How the suggestions that people are asked about stand, by stratum, from the counts kept with the questions.

A stratum is a hashtag × a band of confidences, and whether another campaign asks about the same; with all
campaigns together × campaign, too, because each draws at its own speed. Inside one, what is answered is a
random sample (decision 0012), so rates are made of strata (statistics/headline.py).
"""

from __future__ import annotations

from typing import Any

from django.db.models import Count, Exists, Min, OuterRef, Q, Sum
from django.db.models.functions import Coalesce

from validation.campaigns.questions import BANDS
from validation.models import Campaign, Question, QuestionQuerySet
from validation.models.answers import ANSWERS, FITTING, NOT_FITTING, TIED
from validation.statistics.headline import Stratum

OUTCOMES = {
    "fitting": Count("pk", filter=FITTING),
    "tied": Count("pk", filter=TIED),
    "not_fitting": Count("pk", filter=NOT_FITTING),
}
Row = dict[str, Any]


def asked(campaign: Campaign | None, kind: str = Question.Kind.SUGGESTION) -> QuestionQuerySet:
    """The suggestions that one campaign asks about, or any, each photo and hashtag once."""
    rows = Question.objects.filter(kind=kind)
    if campaign is not None:
        return rows.of_campaign(campaign)
    earlier = rows.on_outer_pair().filter(pk__lt=OuterRef("pk"))
    return rows.filter(Q(shared=False) | ~Exists(earlier))


def count(campaign: Campaign | None) -> list[Row]:
    """One row a stratum: its questions, and how those answered came out."""
    by = asked(campaign).order_by().values("hashtag_id", "hashtag__name", "band", "shared", "campaign_id")
    rows = by.annotate(
        size=Count("pk"),
        done=Count("pk", filter=Q(is_done=True)),
        votes=Coalesce(Sum(ANSWERS), 0),
        skipped=Coalesce(Sum("skips"), 0),
        **OUTCOMES,
    )
    return [dict(row) for row in rows]


def key_of(row: Row) -> tuple[int, int, bool, int]:
    return row["hashtag_id"], row["band"], row["shared"], row["campaign_id"]


def stratum_of(row: Row) -> Stratum:
    """Bands stand for each other only among photos that joined together, in one campaign, shared or not: of
    other photos the answered ones tell nothing.
    """
    part = (row["campaign_id"], row["shared"], row["band"] // BANDS)
    counts = row["fitting"], row["tied"], row["not_fitting"]
    return Stratum(row["hashtag__name"], row["band"], row["size"], *counts, part=part)


def drawn_at_random(campaign: Campaign) -> dict[str, int]:
    """How the questions came out whose rank is below that of every question not asked yet. The rank is
    random, and whichever stream took them, none is left out: a plain random sample.
    """
    waiting = asked(campaign).open_().filter(stream=Question.Stream.NONE)
    edge = waiting.aggregate(rank=Min("rank"))["rank"]
    drawn = asked(campaign) if edge is None else asked(campaign).filter(rank__lt=edge)
    return drawn.aggregate(**OUTCOMES)
