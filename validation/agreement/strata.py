"""Counts the outcomes of suggestions by stratum, from the counts stored with the questions.

A stratum is a hashtag × a band of confidences × whether another campaign asks about the same pair. Over all
campaigns it is × campaign, too, because each draws at its own speed. Inside a stratum the answered questions
are a random sample (decision 0012), so rates are made from strata (statistics/headline.py).
"""

from __future__ import annotations

from typing import Any

from django.db.models import Count, Exists, Min, OuterRef, Q, Sum

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


def questions_of(
    campaign: Campaign | None, kind: str = Question.Kind.SUGGESTION, *, model: int | None = None
) -> QuestionQuerySet:
    """The questions of one campaign, or of all campaigns, or all about a model (its key), with each photo and
    hashtag once. Those of the made-up campaign are never among others.
    """
    rows = Question.objects.filter(kind=kind)
    if model is not None:
        rows = rows.filter(campaign__model=model)
    if campaign is not None:
        return rows.of_campaign(campaign)
    rows = rows.exclude(campaign__in=Campaign.objects.made_up())
    earlier = rows.on_outer_pair().filter(pk__lt=OuterRef("pk"))
    return rows.filter(Q(shared=False) | ~Exists(earlier))


def count(campaign: Campaign | None, *, model: int | None = None) -> list[Row]:
    """One row for each stratum: how many questions it has, and the outcomes of those answered. Of one
    campaign, of all that ask about a model, or of all.
    """
    keys = ("hashtag_id", "hashtag__name", "hashtag__blocked", "band", "shared", "campaign_id")
    rows = (
        questions_of(campaign, model=model)
        .order_by()
        .values(*keys)
        .annotate(
            size=Count("pk"),
            done=Count("pk", filter=Q(is_done=True)),
            votes=Sum(ANSWERS),
            skipped=Sum("skips"),
            **OUTCOMES,
        )
    )
    return [dict(row) for row in rows]


def key_of(row: Row) -> tuple[int, int, bool, int]:
    return row["hashtag_id"], row["band"], row["shared"], row["campaign_id"]


def stratum_of(row: Row) -> Stratum:
    """Bands may represent each other only among photos that were added together, in one campaign, and are all
    shared or all not. Answers about other photos say nothing about them.
    """
    part = (row["campaign_id"], row["shared"], row["band"] // BANDS)
    counts = row["fitting"], row["tied"], row["not_fitting"]
    return Stratum(row["hashtag__name"], row["band"], row["size"], *counts, part=part)


def count_random_sample(campaign: Campaign) -> dict[str, int]:
    """The outcomes of all questions ranked below every question that has not been asked yet. Ranks are random
    and no such question is left out, whichever stream drew it, so this is a simple random sample of all
    questions but those about blocked hashtags, which may never be asked.
    """
    questions = questions_of(campaign).offered()
    waiting = questions.open_().filter(stream=Question.Stream.NONE)
    edge = waiting.aggregate(rank=Min("rank"))["rank"]
    sample = questions if edge is None else questions.filter(rank__lt=edge)
    return sample.aggregate(**OUTCOMES)
