"""What the votes say, read from the counts kept with the questions: no page counts a million votes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from django.db.models import Count, Exists, F, IntegerField, OuterRef, Q, QuerySet, Sum, Value
from django.db.models.functions import Cast, Floor, Least, TruncDate
from django.utils import timezone

from mapping.models import Hashtag
from mapping.statistics import wilson
from validation import answers, strata
from validation.agreement import Rate
from validation.answers import Answers
from validation.models import (
    AuthorHashtag,
    Campaign,
    GoldAnswer,
    Participation,
    Prediction,
    PredictionQuerySet,
    Question,
    Vote,
)
from validation.statistics import headline as post_stratified
from validation.statistics.dawid_skene import dawid_skene
from validation.statistics.headline import Headline, Stratum
from validation.statistics.people import between_people
from validation.statistics.plan import photos_needed, still_needed
from validation.statistics.reliability import Reliability, reliability
from validation.statistics.yes_saying import Known, corrected, known, share_of_yes
from validation.strata import FITTING, JUDGED, NOT_FITTING, OUTCOMES, TIED, asked

if TYPE_CHECKING:
    pass

DAYS = 60  # shown over time
BINS = 10  # of the confidence
DS_LEAST = 100  # answers from which everybody's errors are estimated
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
class Silence:
    """Photos the model kept silent about, and what is known of how rightly.

    `rightly` is of photos drawn at random: the share where people find that the hashtag the model thought of
    first does not fit, a tie a half. What remains it could have suggested.
    """

    photos: int
    judged: int  # of them, with a hashtag somebody else suggested that people answered about
    fitting: int  # of those, with a hashtag that people found fitting: something could have been suggested
    authored: int = 0  # photos whose authors' own hashtags are known
    popular: int = 0  # of those, with one of our hashtags among them
    rightly: Rate | None = None  # None: nobody was asked


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
        return self.unjudged > 0.1


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
    said = answers.read(campaign, rows)
    between = _between(said)
    found = post_stratified.headline(parts, between)
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
        overall=found.rate if found else None,
        class_weighted=post_stratified.class_weighted(parts, between),
        unjudged=found.unjudged if found else 1.0,
        raw=_rate(*(sum(getattr(one, name) for one in parts) for name in ("fits", "ties", "misfits"))),
        audit=_rate_of(strata.drawn_at_random(campaign)) if campaign else None,
        corrected=_corrected(parts, said, between, fitting, wrong),
        controls=wrong if wrong.n else None,
        fitting=fitting if fitting.n else None,
        hashtags=_hashtags(parts, between, would_post),
        votes=sum(row["votes"] + row["skipped"] for row in rows),
        skips=sum(row["skipped"] for row in rows),
        people=people(campaign, rows),
        asked=sum(row["size"] for row in rows),
        done=sum(row["done"] for row in rows),
        reliability=reliability(said.counts()),
        bins=_bins(campaign),
        days=days,
        earlier=earlier,
        would_post=_together(would_post.values()),
        weighed=_weighed(said),
        is_sampled=said.is_sample,
        silence=silence(campaign) if campaign else None,
        **photos,
    )


def people(campaign: Campaign | None, rows: Iterable[strata.Row] = ()) -> int:
    """How many people's answers stand behind the rates, those set aside left out; also who answered the same
    in another campaign. `rows` are strata.count of a campaign.
    """
    said = Participation.objects.exclude(person__standing__is_set_aside=True)
    said = said.filter(Q(fits__gt=0) | Q(does_not_fit__gt=0)).order_by()
    if campaign is None:
        return said.aggregate(n=Count("person_id", distinct=True))["n"] or 0
    here = set(said.filter(campaign=campaign).values_list("person_id", flat=True))
    if not any(row["shared"] for row in rows):
        return len(here)
    shared = asked(campaign).filter(JUDGED, shared=True, photo__votes__hashtag_id=F("hashtag_id"))
    counting = shared.filter(photo__votes__set_aside=False).exclude(photo__votes__answer=Vote.Answer.SKIP)
    return len(here.union(counting.order_by().values_list("photo__votes__person_id", flat=True).distinct()))


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
    found = post_stratified.headline([strata.stratum_of(row) for row in rows], between)
    suggested = (
        Prediction.objects.of(campaign).order_by().values_list("hashtag__name").annotate(n=Count("pk"))
    )
    counts = dict(suggested)
    silent = counts.pop(None, 0)
    return Brief(
        overall=found.rate if found else None,
        unjudged=found.unjudged if found else 1.0,
        photos=sum(counts.values()) + silent,
        suggested=sum(counts.values()),
        done=sum(row["done"] for row in rows),
        votes=sum(row["votes"] + row["skipped"] for row in rows),
        people=people(campaign, rows),
        hashtags=sorted(counts.items(), key=lambda one: (-one[1], one[0])),
    )


@dataclass(frozen=True)
class AuthorRow:
    """Photos whose authors put this hashtag on them, and what the model says of them. Authors also use
    hashtags for what a photo does not show: these are no errors counted, but places to look.
    """

    hashtag: str
    photos: int
    same: int
    other: int
    silent: int


def by_authors(campaign: Campaign) -> list[AuthorRow]:
    """Of our hashtags only, most photos first."""
    name = "photo__author_hashtags__name"
    rows = Prediction.objects.of(campaign).filter(
        photo__author_hashtags__name__in=Hashtag.objects.values("name")
    )
    counted = (
        rows.order_by()
        .values(name)
        .annotate(
            photos=Count("pk"),
            same=Count("pk", filter=Q(hashtag__name=F(name))),
            silent=Count("pk", filter=Q(hashtag=None)),
        )
    )
    found = [
        AuthorRow(
            row[name], row["photos"], row["same"], row["photos"] - row["same"] - row["silent"], row["silent"]
        )
        for row in counted
    ]
    return sorted(found, key=lambda one: (-one.photos, one.hashtag))


# --- parts ------------------------------------------------------------------------------------


def _between(said: Answers) -> float:
    return between_people(said.person, said.stratum, said.said_yes)


def _rate_of(row: Mapping[str, Any]) -> Rate | None:
    return _rate(row["fitting"], row["tied"], row["not_fitting"])


def _rate(fits: int, ties: int, misfits: int) -> Rate | None:
    n = fits + ties + misfits
    if not n:
        return None
    value = (fits + ties / 2) / n
    return Rate(value, *wilson(value, n), n=n)


def _hashtags(parts: list[Stratum], between: float, would_post: dict[str, Known]) -> list[HashtagRow]:
    rows = []
    for name in sorted({one.hashtag for one in parts}):
        own = [one for one in parts if one.hashtag == name]
        found = post_stratified.headline(own, between)
        rate, size = found.rate if found else None, sum(one.size for one in own)
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
    rows = Question.objects.filter(kind=Question.Kind.CONTROL)
    gold = GoldAnswer.objects.filter(
        photo__votes__hashtag_id=F("hashtag_id"),
        photo__votes__set_aside=False,
        photo__votes__created_at__gte=F("set_at"),
        **({"photo__votes__campaign": campaign} if campaign else {}),
    ).exclude(photo__votes__answer=Vote.Answer.SKIP)
    if campaign:
        rows = rows.filter(campaign=campaign)
    controls = rows.order_by().values_list("fits", "does_not_fit").annotate(n=Count("pk"))
    yes = Count("pk", filter=Q(photo__votes__answer=Vote.Answer.FITS))
    no = Count("pk", filter=Q(photo__votes__answer=Vote.Answer.DOES_NOT_FIT))
    marked = list(gold.order_by().values("pk", "fits").annotate(yes=yes, no=no))
    fitting = [(row["yes"], row["no"], 1) for row in marked if row["fits"]]
    wrong = [(row["yes"], row["no"], 1) for row in marked if not row["fits"]]
    return known(fitting), known([*controls, *wrong])


def _corrected(
    parts: list[Stratum], said: Answers, between: float, fitting: Known, wrong: Known
) -> Rate | None:
    counts = said.counts()
    if not len(counts):
        return None
    shares = counts[:, 0] / counts.sum(1)
    found = share_of_yes(parts, said.stratum_of_question(), shares, between)
    return corrected(*found, len(shares), fitting, wrong) if found else None


def _would_post(campaign: Campaign) -> dict[str, Known]:
    """By hashtag, of what the campaign suggests: nobody would post a wrong hashtag shown on purpose."""
    votes = Vote.objects.counting().filter(campaign=campaign, would_post__isnull=False)
    said = votes.filter(Exists(_suggested(campaign))).order_by().values("hashtag__name")
    counted = said.annotate(yes=Count("pk", filter=Q(would_post=True)), n=Count("pk"))
    return {row["hashtag__name"]: Known(row["yes"], row["n"]) for row in counted}


def _together(parts: Iterable[Known]) -> Known | None:
    every = list(parts)
    return Known(sum(one.yes for one in every), sum(one.n for one in every)) if every else None


def _suggested(campaign: Campaign) -> QuerySet[Question]:
    """The campaign's suggestion that a surrounding vote is about."""
    rows = Question.objects.filter(campaign=campaign, kind=Question.Kind.SUGGESTION)
    return rows.filter(photo_id=OuterRef("photo_id"), hashtag_id=OuterRef("hashtag_id"))


def _weighed(said: Answers) -> float | None:
    """Dawid and Skene's prevalence; None with few answers."""
    if len(said.question) < DS_LEAST:
        return None
    return dawid_skene(said.question, said.person, said.said_yes).prevalence


def _bins(campaign: Campaign | None) -> list[Bin]:
    rows = (
        asked(campaign)
        .filter(JUDGED, confidence__isnull=False)
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
        rate = _rate_of(row)
        if rate:
            bins.append(Bin(row["tenth"], row["sure"] / rate.n, rate))
    return bins


def _days(campaign: Campaign | None) -> tuple[list[Day], Rate | None]:
    """By the day of a photo's first answer, and all that were before these days: each photo once, and no day
    gathers the disputed ones because more was asked about them.
    """
    since = timezone.now() - timedelta(days=DAYS)
    rows = asked(campaign).filter(JUDGED).order_by()
    by_day = rows.filter(answered_at__gte=since).values(day=TruncDate("answered_at")).annotate(**OUTCOMES)
    earlier = rows.filter(answered_at__lt=since).aggregate(**OUTCOMES)
    days = sorted(by_day, key=lambda one: one["day"])
    rates = [(row["day"], _rate_of(row)) for row in days]
    return [Day(day, rate) for day, rate in rates if rate], _rate_of(earlier)


def silence(campaign: Campaign) -> Silence:
    silent = Prediction.objects.of(campaign).filter(hashtag=None).order_by()
    others = Question.objects.filter(JUDGED, photo_id=OuterRef("photo_id"), kind=Question.Kind.SUGGESTION)
    known = silent.filter(Exists(others))
    own = AuthorHashtag.objects.filter(photo_id=OuterRef("photo_id"))
    thought = asked(campaign, Question.Kind.SILENCE).aggregate(
        right=Count("pk", filter=NOT_FITTING),
        ties=Count("pk", filter=TIED),
        wrong=Count("pk", filter=FITTING),
    )
    ours = own.filter(name__in=Hashtag.objects.values("name"))
    return Silence(
        photos=silent.count(),
        judged=known.count(),
        fitting=known.filter(Exists(others.filter(FITTING))).count(),
        authored=silent.filter(Exists(own)).count(),
        popular=silent.filter(Exists(ours)).count(),
        rightly=_rate(thought["right"], thought["ties"], thought["wrong"]),
    )
