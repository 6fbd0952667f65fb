"""The results of a campaign, from counts stored with the questions: no page counts a million votes."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta

from django.db.models import Count, Exists, F, IntegerField, Q, Sum, Value
from django.db.models.functions import Cast, Floor, Least, TruncDate
from django.utils import timezone

from validation.agreement import answers, strata
from validation.agreement.answers import Answers
from validation.agreement.silence import Silence, silence
from validation.agreement.strata import OUTCOMES, questions_of
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
from validation.models.predictions import is_suggested
from validation.statistics import headline as post_stratified
from validation.statistics.dawid_skene import dawid_skene
from validation.statistics.headline import Headline, Stratum
from validation.statistics.people import between_people
from validation.statistics.plan import photos_needed, still_needed
from validation.statistics.rate import Rate, rate_of, rate_of_counts
from validation.statistics.reliability import Reliability, reliability
from validation.statistics.yes_saying import YesCount, correct, count_yes, share_of_yes

DAYS = 60  # shown in the chart over time
BINS = 10  # of the confidence
DS_LEAST = 100  # answers needed before each person's errors are estimated
MOST_UNJUDGED = 0.1  # share of the suggestions; above it the headline has a warning
GLANCE = 10_000  # answers read for a page that shows only the headline


@dataclass(frozen=True)
class HashtagRow:
    hashtag: str
    suggestions: int  # photos
    rate: Rate | None  # None: nobody has answered yet
    needed: int  # photos in the campaign still to judge until the interval is narrow enough
    missing: int = 0  # photos to add, because judging all of the campaign's would not be enough
    would_post: YesCount | None = None  # asked after some votes only; None: nobody was asked
    is_blocked: bool = False  # nobody is asked about it any more; what people said stays


@dataclass(frozen=True)
class Bin:
    """Suggestions of about the same confidence: the rate that the model expects, and the people's rate."""

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
    unjudged: float  # share of the suggestions that no answer represents
    raw: Rate | None  # of all judged photos, unweighted
    audit: Rate | None  # of a simple random sample: questions ranked below every open one; of one campaign
    corrected: Rate | None  # for yes-saying
    controls: YesCount | None  # how often people said yes to a wrong hashtag
    hashtags: list[HashtagRow]
    votes: int  # skips included
    skips: int
    people: int
    photos: int  # predicted, with or without a suggestion
    suggestions: int
    eligible: int  # of the suggestions, those that the campaign's rules ask about
    done: int  # suggestions that have as many answers as they need
    reliability: Reliability | None
    bins: list[Bin] = field(default_factory=list)
    days: list[Day] = field(default_factory=list)
    earlier: Rate | None = None  # of photos first answered before the first of these days
    fitting: YesCount | None = None  # how often people said yes to what is known to fit
    is_sampled: bool = False  # single answers were read from a random sample of the questions only
    would_post: YesCount | None = None  # asked after some votes only
    by_error_model: float | None = None  # the share that fits if each person's errors are estimated, too
    silence: Silence | None = None

    @property
    def coverage(self) -> float | None:
        return self.suggestions / self.photos if self.photos else None

    @property
    def offered(self) -> list[HashtagRow]:
        """The hashtags that may leave the site: on the public page and in the figure."""
        return [row for row in self.hashtags if not row.is_blocked]

    @property
    def needed(self) -> list[HashtagRow]:
        return sorted((row for row in self.hashtags if row.needed), key=lambda row: -row.needed)

    @property
    def missing(self) -> list[HashtagRow]:
        return sorted((row for row in self.hashtags if row.missing), key=lambda row: -row.missing)

    @property
    def is_partial(self) -> bool:
        """Whether too much is unjudged for the headline to represent all suggestions."""
        return self.unjudged > MOST_UNJUDGED


def scope(campaign: Campaign | None) -> PredictionQuerySet:
    """The predictions of one campaign, or of all real campaigns."""
    if campaign is None:
        return Prediction.objects.of_any_campaign()
    return Prediction.objects.of(campaign)


def headline() -> Headline | None:
    """The rate over all campaigns, for the home page."""
    rows = strata.count(None)
    between = _between(answers.read(None, rows, GLANCE))
    return post_stratified.headline([strata.stratum_of(row) for row in rows], between)


@dataclass(frozen=True)
class Crowd:
    """What people say about suggestions: overall, and by hashtag where anybody answered."""

    overall: Rate | None
    hashtags: dict[str, Rate]


def crowd_by_model() -> dict[int, Crowd]:
    """What people say about each model that a campaign asks about, and under 0 about all together."""
    rows = strata.count(None)
    between = _between(answers.read(None, rows, GLANCE))
    parts: dict[int, list[Stratum]] = {0: [strata.stratum_of(row) for row in rows]}
    # Counted anew: a photo and hashtag that two models share counts for both.
    for model in Campaign.objects.real().predicted().order_by().values_list("model", flat=True).distinct():
        if model is not None:
            parts[model] = [strata.stratum_of(row) for row in strata.count(None, model=model)]
    crowds = {}
    for model, own in parts.items():
        headline = post_stratified.headline(own, between)
        hashtags = {row.hashtag: row.rate for row in _hashtags(own, between, {}, ()) if row.rate}
        crowds[model] = Crowd(headline.rate if headline else None, hashtags)
    return crowds


def summarise(campaign: Campaign | None) -> Summary:
    """Everything on the agreement page, in a constant number of queries."""
    rows = strata.count(campaign)
    parts = [strata.stratum_of(row) for row in rows]
    sample = answers.read(campaign, rows)
    between = _between(sample)
    headline = post_stratified.headline(parts, between)
    fitting, wrong = _count_known_answers(campaign)
    would_post = _count_would_post(campaign) if campaign else {}
    days, earlier = _days(campaign)
    photos = (
        scope(campaign)
        .order_by()
        .aggregate(
            photos=Count("photo_id", distinct=True),
            suggestions=Count("photo_id", distinct=True, filter=is_suggested()),
        )
    )
    return Summary(
        overall=headline.rate if headline else None,
        class_weighted=post_stratified.class_weighted(parts, between),
        unjudged=headline.unjudged if headline else 1.0,
        raw=rate_of_counts(
            *(sum(getattr(one, name) for one in parts) for name in ("fits", "ties", "misfits"))
        ),
        audit=rate_of(strata.count_random_sample(campaign)) if campaign else None,
        corrected=_correct(parts, sample, between, fitting, wrong),
        controls=wrong if wrong.n else None,
        fitting=fitting if fitting.n else None,
        hashtags=_hashtags(parts, between, would_post, _blocked(rows)),
        votes=sum(row["votes"] + row["skipped"] for row in rows),
        skips=sum(row["skipped"] for row in rows),
        people=people(campaign, rows),
        eligible=sum(row["size"] for row in rows),
        done=sum(row["done"] for row in rows),
        reliability=reliability(sample.counts()),
        bins=_bins(campaign),
        days=days,
        earlier=earlier,
        would_post=_sum(would_post.values()),
        by_error_model=_weigh(sample),
        is_sampled=sample.is_sample,
        silence=silence(campaign) if campaign else None,
        **photos,
    )


def people(campaign: Campaign | None, rows: Iterable[strata.Row] = ()) -> int:
    """How many people's answers are behind the rates, without those set aside. People who answered shared
    questions in another campaign count, too. `rows` are strata.count of the campaign.

    Over all campaigns, those who only answered about authors' hashtags do not count.
    """
    participations = Participation.objects.exclude(person__standing__is_set_aside=True)
    participations = participations.filter(JUDGED).order_by()
    if campaign is None:
        participations = participations.filter(
            campaign__kind=Campaign.Kind.PREDICTED, campaign__is_made_up=False
        )
        return participations.aggregate(n=Count("person_id", distinct=True))["n"] or 0
    here = set(participations.filter(campaign=campaign).values_list("person_id", flat=True))
    if not any(row["shared"] for row in rows):
        return len(here)
    # One call of filter, so that all conditions are about the same vote.
    shared_questions = questions_of(campaign).filter(
        JUDGED,
        shared=True,
        photo__votes__hashtag_id=F("hashtag_id"),
        photo__votes__set_aside=False,
        photo__votes__author_named=False,
        photo__votes__answer__in=JUDGEMENTS,
    )
    return len(
        here.union(shared_questions.order_by().values_list("photo__votes__person_id", flat=True).distinct())
    )


@dataclass(frozen=True)
class Brief:
    """The figures on a campaign's own page."""

    overall: Rate | None
    unjudged: float
    photos: int
    suggestions: int
    asked: int  # of the suggestions, those that people are asked about
    done: int
    votes: int
    people: int
    hashtags: list[tuple[str, int]]  # suggested, most frequent first

    @property
    def coverage(self) -> float | None:
        return self.suggestions / self.photos if self.photos else None

    @property
    def is_finished(self) -> bool:
        return 0 < self.asked <= self.done


def brief(campaign: Campaign) -> Brief:
    rows = strata.count(campaign)
    between = _between(answers.read(campaign, rows, GLANCE))
    headline = post_stratified.headline([strata.stratum_of(row) for row in rows], between)
    names = Prediction.objects.of(campaign).order_by().values_list("hashtag__name", "hashtag__blocked")
    counts, silent = {}, 0
    for name, is_blocked, n in names.annotate(n=Count("pk")):
        if name is None or is_blocked:
            silent += n
        else:
            counts[name] = n
    return Brief(
        overall=headline.rate if headline else None,
        unjudged=headline.unjudged if headline else 1.0,
        photos=sum(counts.values()) + silent,
        suggestions=sum(counts.values()),
        asked=sum(row["size"] for row in rows if not row["hashtag__blocked"]),
        done=sum(row["done"] for row in rows if not row["hashtag__blocked"]),
        votes=sum(row["votes"] + row["skipped"] for row in rows),
        people=people(campaign, rows),
        hashtags=sorted(counts.items(), key=lambda one: (-one[1], one[0])),
    )


# --- parts ------------------------------------------------------------------------------------


def _between(sample: Answers) -> float:
    return between_people(sample.person, sample.stratum, sample.is_yes)


def _blocked(rows: Iterable[strata.Row]) -> set[str]:
    return {row["hashtag__name"] for row in rows if row["hashtag__blocked"]}


def _hashtags(
    parts: list[Stratum], between: float, would_post: dict[str, YesCount], blocked: Collection[str]
) -> list[HashtagRow]:
    rows = []
    for name in sorted({one.hashtag for one in parts}):
        own = [one for one in parts if one.hashtag == name]
        headline = post_stratified.headline(own, between)
        rate, size = headline.rate if headline else None, sum(one.size for one in own)
        expected = min(0.95, max(0.5, rate.value)) if rate and not rate.is_few else 0.9
        needed = still_needed(rate.n if rate else 0, size, expected)
        missing = max(0, photos_needed(expected) - size)
        is_blocked = name in blocked
        if is_blocked:
            needed = missing = 0
        rows.append(HashtagRow(name, size, rate, needed, missing, would_post.get(name), is_blocked))
    return sorted(rows, key=_order)


def _order(row: HashtagRow) -> tuple[bool, bool, float, str]:
    """Hashtags with enough photos before those with few; among them, high rates before low ones."""
    if row.rate is None:
        return True, True, 0.0, row.hashtag
    return False, row.rate.is_few, -row.rate.value, row.hashtag


def _count_known_answers(campaign: Campaign | None) -> tuple[YesCount, YesCount]:
    """Answers about what is known to fit, and about what is known not to fit (gold photos and controls).

    Votes on a gold photo count only from the time it was marked: earlier ones may be why it was marked. Those
    of voters who were told of the photo's author do not count: they may say yes more readily.
    """
    rows = Question.objects.controls().filter(campaign__is_made_up=bool(campaign and campaign.is_made_up))
    gold = GoldAnswer.objects.filter(
        photo__votes__hashtag_id=F("hashtag_id"),
        photo__votes__set_aside=False,
        photo__votes__author_named=False,
        photo__votes__created_at__gte=F("set_at"),
        photo__votes__answer__in=JUDGEMENTS,
        **({"photo__votes__campaign": campaign} if campaign else {}),
    )
    if campaign:
        rows = rows.of_campaign(campaign)
    controls = rows.order_by().values_list("fits", "does_not_fit").annotate(n=Count("pk"))
    yes = Count("pk", filter=Q(photo__votes__answer__in=IN_FAVOUR))
    no = Count("pk", filter=Q(photo__votes__answer__in=AGAINST))
    rows_of_gold = list(gold.order_by().values("pk", "fits").annotate(yes=yes, no=no))
    fitting = [(row["yes"], row["no"], 1) for row in rows_of_gold if row["fits"]]
    wrong = [(row["yes"], row["no"], 1) for row in rows_of_gold if not row["fits"]]
    return count_yes(fitting), count_yes([*controls, *wrong])


def _correct(
    parts: list[Stratum], sample: Answers, between: float, fitting: YesCount, wrong: YesCount
) -> Rate | None:
    counts = sample.counts()
    if not len(counts):
        return None
    shares = counts[:, 0] / counts.sum(1)
    estimate = share_of_yes(parts, sample.stratum_of_question(), shares, between)
    return correct(*estimate, len(shares), fitting, wrong) if estimate else None


def _count_would_post(campaign: Campaign) -> dict[str, YesCount]:
    """By hashtag. Counts suggestions only: nobody would post a wrong hashtag that was shown on purpose."""
    votes = Vote.objects.counting().filter(campaign=campaign, would_post__isnull=False)
    suggestion = Question.objects.of_campaign(campaign).suggestions().on_outer_pair()
    rows = votes.filter(Exists(suggestion)).order_by().values("hashtag__name")
    counts = rows.annotate(yes=Count("pk", filter=Q(would_post=True)), n=Count("pk"))
    return {row["hashtag__name"]: YesCount(row["yes"], row["n"]) for row in counts}


def _sum(parts: Iterable[YesCount]) -> YesCount | None:
    counts = list(parts)
    return YesCount(sum(one.yes for one in counts), sum(one.n for one in counts)) if counts else None


def _weigh(sample: Answers) -> float | None:
    """Dawid and Skene's prevalence; None if there are few answers."""
    if len(sample.question) < DS_LEAST:
        return None
    return dawid_skene(sample.question, sample.person, sample.is_yes).prevalence


def _bins(campaign: Campaign | None) -> list[Bin]:
    rows = (
        questions_of(campaign)
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
    """The rates by day, and the rate before these days. Each photo counts once, on the day of its first
    answer, so that disputed photos, which get extra votes, do not collect on later days.
    """
    since = timezone.now() - timedelta(days=DAYS)
    rows = questions_of(campaign).judged().order_by()
    by_day = rows.filter(answered_at__gte=since).values(day=TruncDate("answered_at")).annotate(**OUTCOMES)
    earlier = rows.filter(answered_at__lt=since).aggregate(**OUTCOMES)
    days = sorted(by_day, key=lambda one: one["day"])
    rates = [(row["day"], rate_of(row)) for row in days]
    return [Day(day, rate) for day, rate in rates if rate], rate_of(earlier)
