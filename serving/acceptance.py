"""How often suggestions are accepted, from counts by day: no page reads a million rows of feedback."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from django.db.models import Count, Min, Sum
from django.utils import timezone

from formats.table import guard
from mapping.statistics import wilson
from serving.models import Feedback, FeedbackTally
from trainer.models import TrainedModel
from validation.statistics.rate import Rate

DAILY = 60  # days; a longer period is drawn by weeks
MOST_REPLACEMENTS = 12  # rows
CSV_FIELDS = ("day", "model", "model_name", "trial", "hashtag", "shown", "accepted", "dismissed", "replaced")
SUMS = {name: Sum(name) for name in FeedbackTally.COUNTS}


@dataclass(frozen=True)
class Row:
    """Suggestions shown, and what became of them. `name` is a hashtag or a model's name."""

    name: str
    shown: int
    accepted: int
    dismissed: int
    replaced: int
    rate: Rate  # accepted of shown
    crowd: Rate | None = None  # how often people find the hashtag fitting, by votes
    url: str = ""

    @property
    def unanswered(self) -> int:
        return self.shown - self.accepted - self.dismissed - self.replaced


@dataclass(frozen=True)
class Step:
    """A day, or the week that begins on it."""

    day: date
    rate: Rate


@dataclass(frozen=True)
class Replacement:
    suggested: str
    used: str
    count: int


@dataclass(frozen=True)
class Acceptance:
    overall: Row | None  # None: no feedback in this period
    hashtags: list[Row]
    models: list[Row]
    steps: list[Step]
    is_weekly: bool
    replacements: list[Replacement]
    after_silence: list[Replacement]  # `suggested` is empty


def tallies(*, since: date, model: TrainedModel | None) -> Any:
    rows = FeedbackTally.objects.filter(day__gte=since).order_by()
    return rows.filter(model=model) if model else rows


def first_day(days: int) -> date:
    """Of a period of so many days that ends today."""
    today = timezone.localdate(timezone=timezone.get_default_timezone())  # as the counts by day
    return today - timedelta(days=days - 1)


def read_acceptance(*, days: int, model: TrainedModel | None, crowds: dict[int, Any]) -> Acceptance:
    """The last `days` days. `crowds` is validation's crowd_by_model."""
    since = first_day(days)
    suggested = tallies(since=since, model=model).exclude(hashtag="")
    total = suggested.aggregate(**SUMS)
    crowd = crowds.get(model.pk if model else 0)
    hashtags = [
        _row(counts, name=counts["hashtag"], crowd=crowd.hashtags.get(counts["hashtag"]) if crowd else None)
        for counts in suggested.values("hashtag").annotate(**SUMS)
        if counts["shown"]
    ]
    return Acceptance(
        overall=_row(total, crowd=crowd.overall if crowd else None) if total["shown"] else None,
        hashtags=sorted(hashtags, key=lambda row: (row.rate.is_few, -row.rate.value, row.name)),
        models=_models(suggested, crowds),
        steps=_steps(suggested, days > DAILY),
        is_weekly=days > DAILY,
        replacements=_replacements(since, model, silent=False),
        after_silence=_replacements(since, model, silent=True),
    )


def _row(counts: dict[str, Any], *, name: str = "", crowd: Rate | None = None, url: str = "") -> Row:
    sums = {field: counts[field] for field in FeedbackTally.COUNTS}
    return Row(name, **sums, rate=_rate(counts), crowd=crowd, url=url)


def _rate(counts: dict[str, Any]) -> Rate:
    share = counts["accepted"] / counts["shown"]
    return Rate(share, *wilson(share, counts["shown"]), n=counts["shown"])


def _models(suggested: Any, crowds: dict[int, Any]) -> list[Row]:
    counts = {row["model"]: row for row in suggested.values("model").annotate(**SUMS) if row["shown"]}
    models = TrainedModel.objects.filter(pk__in=counts).only("pk", "name").order_by("-pk")
    return [
        _row(
            counts[model.pk],
            name=model.name,
            crowd=crowds[model.pk].overall if model.pk in crowds else None,
            url=model.get_absolute_url(),
        )
        for model in models
    ]


def _steps(suggested: Any, is_weekly: bool) -> list[Step]:
    sums: dict[date, dict[str, int]] = {}
    for row in suggested.values("day").annotate(shown=Sum("shown"), accepted=Sum("accepted")):
        day = row["day"] - timedelta(days=row["day"].weekday()) if is_weekly else row["day"]
        step = sums.setdefault(day, {"shown": 0, "accepted": 0})
        for name in step:
            step[name] += row[name]
    return [Step(day, _rate(sums[day])) for day in sorted(sums) if sums[day]["shown"]]


def _replacements(since: date, model: TrainedModel | None, *, silent: bool) -> list[Replacement]:
    begin = timezone.make_aware(datetime.combine(since, time.min), timezone.get_default_timezone())
    rows = Feedback.objects.filter(event=Feedback.Event.REPLACED, answered_at__gte=begin)
    rows = rows.filter(hashtag="") if silent else rows.exclude(hashtag="")
    if model:
        rows = rows.filter(model=model)
    counts = rows.order_by().values_list("hashtag", "replaced_by").annotate(n=Count("pk"))
    return [Replacement(*row) for row in counts.order_by("-n", "hashtag", "replaced_by")[:MOST_REPLACEMENTS]]


def first_feedback() -> date | None:
    day: date | None = FeedbackTally.objects.aggregate(day=Min("day"))["day"]
    return day


def write_csv(file: Any, *, days: int, model: TrainedModel | None) -> None:
    """A table with a header: the counts by day, model and hashtag. An empty hashtag is silence."""
    writer = csv.writer(file)
    writer.writerow(CSV_FIELDS)
    rows = tallies(since=first_day(days), model=model).order_by("day", "model", "trial", "hashtag")
    fields = ("day", "model_id", "model__name", "trial", "hashtag", *FeedbackTally.COUNTS)
    for row in rows.values_list(*fields).iterator():
        writer.writerow([guard(value) if isinstance(value, str) else value for value in row])
