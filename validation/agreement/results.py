"""What the votes say, read from the counts kept with the questions: no page counts a million votes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta

from django.db.models import Count, Exists, F, IntegerField, Q, Sum, Value
from django.db.models.functions import Cast, Floor, Least, TruncDate
from django.utils import timezone

from validation.agreement import answers, strata
from validation.agreement.answers import Answers
from validation.agreement.silence import Silence, silence
from validation.agreement.strata import OUTCOMES, asked
from validation.models import (
    Campaign,
    GoldAnswer,
    Participation,
    Prediction,
    PredictionQuerySet,
    Question,
    Vote,
)
from validation.models.answers import AGAINST, IN_FAVOUR, JUDGED, JUDGEMENTS
from validation.statistics import headline as post_stratified
from validation.statistics.dawid_skene import dawid_skene
from validation.statistics.headline import Headline, Stratum
from validation.statistics.people import between_people
from validation.statistics.plan import photos_needed, still_needed
from validation.statistics.rate import Rate, rate_of, rate_of_counts
from validation.statistics.reliability import Reliability, reliability
from validation.statistics.yes_saying import Known, corrected, known, share_of_yes

DAYS = 60  # shown over time
BINS = 10  # of the confidence
DS_LEAST = 100  # answers from which everybody's errors are estimated
MOST_UNJUDGED = 0.1  # share of the suggestions, above which the headline carries a warning
GLANCE = 10_000  # answers read for a page that shows the headline alone


@dataclass(frozen=True)
class HashtagRow:
    hashtag: str
    suggested: int  # photos
    rate: Rate | None  # None: nobody has answered yet
    needed: int  # more photos to judge until its interval is narrow enough, of those there are
    missing: int = 0  # photos there would have to be more, even when all of these are judged
    would_post: Known | None = None  # asked apart, and only sometimes; None: nobody was


@dataclass(frozen=True)
class Bin:
    """Suggestions of about the same confidence: what the model expects, and what people say."""

    tenth: int
    confidence: float
    rate: Rate

    @property
    def low(self) -> float:
        return self.tenth / BINS

    @property
    def high(self) -> float:
        return (self.tenth + 1) / BINS


@dataclass(frozen=True)
class Day:
    day: date
    rate: Rate


@dataclass(frozen=True)
class Summary:
    overall: Rate | None  # post-stratified: every photo that got a suggestion weighs the same
    class_weighted: Rate | None  # every hashtag weighs the same
    unjudged: float  # share of suggestions of a kind that nobody has answered about
    raw: Rate | None  # of the photos judged, as they come
    audit: Rate | None  # of those below every rank not drawn yet: a plain random sample; of one campaign
    corrected: Rate | None  # for people who say yes to anything
    controls: Known | None  # how often people said yes to a wrong hashtag
    hashtags: list[HashtagRow]
    votes: int  # skips included
    skips: int
    people: int
    photos: int  # predicted, with or without a suggestion
    suggested: int
    asked: int  # of the suggestions, those that the campaign's rules ask about
    done: int  # suggestions with as many answers as they need
    reliability: Reliability | None
    bins: list[Bin] = field(default_factory=list)
    days: list[Day] = field(default_factory=list)
    earlier: Rate | None = None  # of what was first answered before the first of these days
    fitting: Known | None = None  # how often people said yes to what is known to fit
    is_sampled: bool = False  # single answers were read of a random part of the questions
    would_post: Known | None = None  # asked apart, and only sometimes
    weighed: float | None = None  # the share that fits when everybody's errors are estimated too
    silence: Silence | None = None

    @property
    def coverage(self) -> float | None:
        return self.suggested / self.photos if self.photos else None

    @property
    def needed(self) -> list[HashtagRow]:
        return sorted((row for row in self.hashtags if row.needed), key=lambda row: -row.needed)

    @property
    def missing(self) -> list[HashtagRow]:
        return sorted((row for row in self.hashtags if row.missing), key=lambda row: -row.missing)

    @property
    def is_partial(self) -> bool:
        """Too much is unjudged for the headline to stand for all suggestions."""
        return self.unjudged > MOST_UNJUDGED


def scope(campaign: Campaign | None) -> PredictionQuerySet:
    """The predictions that one campaign, or any, stands for."""
    if campaign is None:
        return Prediction.objects.of_any_campaign()
    return Prediction.objects.of(campaign)


def headline() -> Headline | None:
    """Over all campaigns, for the home page."""
    rows = strata.count(None)
    between = _between(answers.read(None, rows, GLANCE))
    return post_stratified.headline([strata.stratum_of(row) for row in rows], between)


def summarise(campaign: Campaign | None) -> Summary:
    """Everything on the agreement page, in a constant number of queries."""
    rows = strata.count(campaign)
    parts = [strata.stratum_of(row) for row in rows]
    sample = answers.read(campaign, rows)
    between = _between(sample)
    headline = post_stratified.headline(parts, between)
    fitting, wrong = _known(campaign)
    would_post = _would_post(campaign) if campaign else {}
    days, earlier = _days(campaign)
    photos = (
        scope(campaign)
        .order_by()
        .aggregate(
            photos=Count("photo_id", distinct=True),
            suggested=Count("photo_id", distinct=True, filter=Q(hashtag__isnull=False)),
        )
    )
    return Summary(
        overall=headline.rate if headline else None,
        class_weighted=post_stratified.class_weighted(parts, between),
        unjudged=headline.unjudged if headline else 1.0,
        raw=rate_of_counts(
            *(sum(getattr(one, name) for one in parts) for name in ("fits", "ties", "misfits"))
        ),
        audit=rate_of(strata.drawn_at_random(campaign)) if campaign else None,
        corrected=_corrected(parts, sample, between, fitting, wrong),
        controls=wrong if wrong.n else None,
        fitting=fitting if fitting.n else None,
        hashtags=_hashtags(parts, between, would_post),
        votes=sum(row["votes"] + row["skipped"] for row in rows),
        skips=sum(row["skipped"] for row in rows),
        people=people(campaign, rows),
        asked=sum(row["size"] for row in rows),
        done=sum(row["done"] for row in rows),
        reliability=reliability(sample.counts()),
        bins=_bins(campaign),
        days=days,
        earlier=earlier,
        would_post=_together(would_post.values()),
        weighed=_weighed(sample),
        is_sampled=sample.is_sample,
        silence=silence(campaign) if campaign else None,
        **photos,
    )


def people(campaign: Campaign | None, rows: Iterable[strata.Row] = ()) -> int:
    """How many people's answers stand behind the rates, those set aside left out; also who answered the same
    in another campaign. `rows` are strata.count of a campaign.
    """
    participations = Participation.objects.exclude(person__standing__is_set_aside=True)
    participations = participations.filter(JUDGED).order_by()
    if campaign is None:
        return participations.aggregate(n=Count("person_id", distinct=True))["n"] or 0
    here = set(participations.filter(campaign=campaign).values_list("person_id", flat=True))
    if not any(row["shared"] for row in rows):
        return len(here)
    # One call of filter, so that all of it is about the same vote.
    shared = asked(campaign).filter(
        JUDGED,
        shared=True,
        photo__votes__hashtag_id=F("hashtag_id"),
        photo__votes__set_aside=False,
        photo__votes__answer__in=JUDGEMENTS,
    )
    return len(here.union(shared.order_by().values_list("photo__votes__person_id", flat=True).distinct()))


@dataclass(frozen=True)
class Brief:
    """What a campaign's own page says of its votes."""

    overall: Rate | None
    unjudged: float
    photos: int
    suggested: int
    done: int
    votes: int
    people: int
    hashtags: list[tuple[str, int]]  # suggested, most frequent first

    @property
    def coverage(self) -> float | None:
        return self.suggested / self.photos if self.photos else None


def brief(campaign: Campaign) -> Brief:
    rows = strata.count(campaign)
    between = _between(answers.read(campaign, rows, GLANCE))
    headline = post_stratified.headline([strata.stratum_of(row) for row in rows], between)
    suggested = (
        Prediction.objects.of(campaign).order_by().values_list("hashtag__name").annotate(n=Count("pk"))
    )
    counts = dict(suggested)
    silent = counts.pop(None, 0)
    return Brief(
        overall=headline.rate if headline else None,
        unjudged=headline.unjudged if headline else 1.0,
        photos=sum(counts.values()) + silent,
        suggested=sum(counts.values()),
        done=sum(row["done"] for row in rows),
        votes=sum(row["votes"] + row["skipped"] for row in rows),
        people=people(campaign, rows),
        hashtags=sorted(counts.items(), key=lambda one: (-one[1], one[0])),
    )


# --- parts ------------------------------------------------------------------------------------


def _between(sample: Answers) -> float:
    return between_people(sample.person, sample.stratum, sample.said_yes)


def _hashtags(parts: list[Stratum], between: float, would_post: dict[str, Known]) -> list[HashtagRow]:
    rows = []
    for name in sorted({one.hashtag for one in parts}):
        own = [one for one in parts if one.hashtag == name]
        headline = post_stratified.headline(own, between)
        rate, size = headline.rate if headline else None, sum(one.size for one in own)
        expected = min(0.95, max(0.5, rate.value)) if rate and not rate.is_few else 0.9
        needed = still_needed(rate.n if rate else 0, size, expected)
        missing = max(0, photos_needed(expected) - size)
        rows.append(HashtagRow(name, size, rate, needed, missing, would_post.get(name)))
    return sorted(rows, key=_best_founded_first)


def _best_founded_first(row: HashtagRow) -> tuple[bool, bool, float, str]:
    """Hashtags with enough photos before those with few, the agreed upon before the doubtful."""
    if row.rate is None:
        return True, True, 0.0, row.hashtag
    return False, row.rate.is_few, -row.rate.value, row.hashtag


def _known(campaign: Campaign | None) -> tuple[Known, Known]:
    """Answers about what is known to fit, and about what is known not to: known answers, and controls.

    Known answers only from when they were marked: what was marked because all agreed says that all agree.
    """
    rows = Question.objects.controls()
    gold = GoldAnswer.objects.filter(
        photo__votes__hashtag_id=F("hashtag_id"),
        photo__votes__set_aside=False,
        photo__votes__created_at__gte=F("set_at"),
        photo__votes__answer__in=JUDGEMENTS,
        **({"photo__votes__campaign": campaign} if campaign else {}),
    )
    if campaign:
        rows = rows.of_campaign(campaign)
    controls = rows.order_by().values_list("fits", "does_not_fit").annotate(n=Count("pk"))
    yes = Count("pk", filter=Q(photo__votes__answer__in=IN_FAVOUR))
    no = Count("pk", filter=Q(photo__votes__answer__in=AGAINST))
    marked = list(gold.order_by().values("pk", "fits").annotate(yes=yes, no=no))
    fitting = [(row["yes"], row["no"], 1) for row in marked if row["fits"]]
    wrong = [(row["yes"], row["no"], 1) for row in marked if not row["fits"]]
    return known(fitting), known([*controls, *wrong])


def _corrected(
    parts: list[Stratum], sample: Answers, between: float, fitting: Known, wrong: Known
) -> Rate | None:
    counts = sample.counts()
    if not len(counts):
        return None
    shares = counts[:, 0] / counts.sum(1)
    estimate = share_of_yes(parts, sample.stratum_of_question(), shares, between)
    return corrected(*estimate, len(shares), fitting, wrong) if estimate else None


def _would_post(campaign: Campaign) -> dict[str, Known]:
    """By hashtag, of what the campaign suggests: nobody would post a wrong hashtag shown on purpose."""
    votes = Vote.objects.counting().filter(campaign=campaign, would_post__isnull=False)
    suggested = Question.objects.of_campaign(campaign).suggestions().on_outer_pair()
    rows = votes.filter(Exists(suggested)).order_by().values("hashtag__name")
    counted = rows.annotate(yes=Count("pk", filter=Q(would_post=True)), n=Count("pk"))
    return {row["hashtag__name"]: Known(row["yes"], row["n"]) for row in counted}


def _together(parts: Iterable[Known]) -> Known | None:
    every = list(parts)
    return Known(sum(one.yes for one in every), sum(one.n for one in every)) if every else None


def _weighed(sample: Answers) -> float | None:
    """Dawid and Skene's prevalence; None with few answers."""
    if len(sample.question) < DS_LEAST:
        return None
    return dawid_skene(sample.question, sample.person, sample.said_yes).prevalence


def _bins(campaign: Campaign | None) -> list[Bin]:
    rows = (
        asked(campaign)
        .judged()
        .filter(confidence__isnull=False)
        .order_by()
        .annotate(tenth=Cast(Least(Floor(F("confidence") * BINS), Value(BINS - 1.0)), IntegerField()))
        .values("tenth")
        .annotate(
            sure=Sum("confidence"),
            **OUTCOMES,
        )
    )
    bins = []
    for row in sorted(rows, key=lambda one: one["tenth"]):
        rate = rate_of(row)
        if rate:
            bins.append(Bin(row["tenth"], row["sure"] / rate.n, rate))
    return bins


def _days(campaign: Campaign | None) -> tuple[list[Day], Rate | None]:
    """By the day of a photo's first answer, and all that were before these days: each photo once, and no day
    gathers the disputed ones because more was asked about them.
    """
    since = timezone.now() - timedelta(days=DAYS)
    rows = asked(campaign).judged().order_by()
    by_day = rows.filter(answered_at__gte=since).values(day=TruncDate("answered_at")).annotate(**OUTCOMES)
    earlier = rows.filter(answered_at__lt=since).aggregate(**OUTCOMES)
    days = sorted(by_day, key=lambda one: one["day"])
    rates = [(row["day"], rate_of(row)) for row in days]
    return [Day(day, rate) for day, rate in rates if rate], rate_of(earlier)
