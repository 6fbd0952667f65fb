"""What the votes say, read from the counts kept with the questions: no page counts a million votes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
from django.db.models import Count, Exists, F, IntegerField, OuterRef, Q, QuerySet, Sum, Value
from django.db.models.functions import Cast, Coalesce, Floor, Least, TruncDate
from django.utils import timezone

from mapping.models import Hashtag
from validation.agreement import Rate, wilson
from validation.assignment import answered_by
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
from validation.statistics.headline import Person, Stratum
from validation.statistics.plan import still_needed
from validation.statistics.reliability import Reliability, reliability
from validation.statistics.yes_saying import Known, corrected

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

DAYS = 60  # shown over time
BINS = 10  # of the confidence
DS_LEAST, DS_MOST = 100, 50_000  # votes between which everybody's errors are estimated while a page is made
FITTING = Q(fits__gt=F("does_not_fit"))
TIED = Q(fits=F("does_not_fit"), fits__gt=0)
NOT_FITTING = Q(fits__lt=F("does_not_fit"))
JUDGED = Q(fits__gt=0) | Q(does_not_fit__gt=0)
AUDIT = Q(stream=Question.Stream.AUDIT)


@dataclass(frozen=True)
class HashtagRow:
    hashtag: str
    suggested: int  # photos
    rate: Rate | None  # None: nobody has answered yet
    needed: int  # more photos to judge until its interval is narrow enough; 0: none, or no more there are
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
    unjudged: float  # share of suggestions whose hashtag nobody has answered about
    raw: Rate | None  # of the photos judged, as they come
    audit: Rate | None  # of those drawn at random alone
    corrected: Rate | None  # for people who say yes to anything
    controls: Known | None  # how often people said yes to a wrong hashtag
    hashtags: list[HashtagRow]
    votes: int  # skips included
    skips: int
    people: int
    photos: int  # predicted, with or without a suggestion
    suggested: int
    done: int  # suggestions with as many answers as they need
    reliability: Reliability | None
    bins: list[Bin] = field(default_factory=list)
    days: list[Day] = field(default_factory=list)
    would_post: Known | None = None  # asked apart, and only sometimes
    weighed: float | None = None  # the share that fits when everybody's errors are estimated too
    silence: Silence | None = None

    @property
    def coverage(self) -> float | None:
        return self.suggested / self.photos if self.photos else None

    @property
    def needed(self) -> list[HashtagRow]:
        return sorted((row for row in self.hashtags if row.needed), key=lambda row: -row.needed)


@dataclass(frozen=True)
class Progress:
    """How far a campaign is: for everybody, or for one person."""

    suggested: int
    done: int
    left: int

    @property
    def total(self) -> int:
        return self.done + self.left


NO_PROGRESS = Progress(0, 0, 0)


def asked(campaign: Campaign | None, kind: str = Question.Kind.SUGGESTION) -> QuerySet[Question]:
    """The suggestions that one campaign asks about, or any, each photo and hashtag once."""
    rows = Question.objects.filter(kind=kind)
    if campaign is not None:
        return rows.filter(campaign=campaign)
    same = Question.objects.filter(
        kind=kind, photo_id=OuterRef("photo_id"), hashtag_id=OuterRef("hashtag_id")
    )
    return rows.filter(~Exists(same.filter(pk__lt=OuterRef("pk"))))


def scope(campaign: Campaign | None) -> PredictionQuerySet:
    """The predictions that one campaign, or any, stands for."""
    if campaign is None:
        return Prediction.objects.of_any_campaign()
    return Prediction.objects.of(campaign)


def headline() -> Rate | None:
    """Over all campaigns, for the home page."""
    found = post_stratified.headline([_stratum(row) for row in _strata(None)], _people(None))
    return found.rate if found else None


def summarise(campaign: Campaign | None) -> Summary:
    """Everything on the agreement page, in a constant number of queries."""
    rows = _strata(campaign)
    strata = [_stratum(row) for row in rows]
    people = _people(campaign)
    found = post_stratified.headline(strata, people)
    raw = _rate(*(sum(getattr(one, name) for one in strata) for name in ("fits", "ties", "misfits")))
    audited = _rate(
        *(sum(row[name] for row in rows) for name in ("audit_fits", "audit_ties", "audit_misfits"))
    )
    fitting, wrong = _known(campaign)
    would_post = _would_post(campaign) if campaign else {}
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
        class_weighted=post_stratified.class_weighted(strata, people),
        unjudged=found.unjudged if found else 1.0,
        raw=raw,
        audit=audited,
        corrected=corrected(found.rate, fitting, wrong) if found else None,
        controls=wrong if wrong.n else None,
        hashtags=_hashtags(strata, would_post),
        votes=sum(row["votes"] + row["skipped"] for row in rows),
        skips=sum(row["skipped"] for row in rows),
        people=len(people),
        done=sum(row["done"] for row in rows),
        reliability=_reliability(campaign),
        bins=_bins(campaign),
        days=_days(campaign),
        would_post=_together(would_post.values()),
        weighed=_weighed(campaign, sum(row["votes"] for row in rows)) if campaign else None,
        silence=silence(campaign) if campaign else None,
        **photos,
    )


@dataclass(frozen=True)
class Brief:
    """What a campaign's own page says of its votes."""

    overall: Rate | None
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
    rows = _strata(campaign)
    found = post_stratified.headline([_stratum(row) for row in rows], people := _people(campaign))
    suggested = (
        Prediction.objects.of(campaign).order_by().values_list("hashtag__name").annotate(n=Count("pk"))
    )
    counts = dict(suggested)
    silent = counts.pop(None, 0)
    return Brief(
        overall=found.rate if found else None,
        photos=sum(counts.values()) + silent,
        suggested=sum(counts.values()),
        done=sum(row["done"] for row in rows),
        votes=sum(row["votes"] + row["skipped"] for row in rows),
        people=len(people),
        hashtags=sorted(counts.items(), key=lambda one: (-one[1], one[0])),
    )


# --- parts ------------------------------------------------------------------------------------


def _strata(campaign: Campaign | None) -> list[dict[str, Any]]:
    """Hashtag × band; with all campaigns together × campaign too, which draw at different speeds."""
    by = ("hashtag__name", "band") if campaign else ("hashtag__name", "band", "campaign_id")
    return list(
        asked(campaign)
        .order_by()
        .values(*by)
        .annotate(
            size=Count("pk"),
            fitting=Count("pk", filter=FITTING),
            tied=Count("pk", filter=TIED),
            not_fitting=Count("pk", filter=NOT_FITTING),
            audit_fits=Count("pk", filter=FITTING & AUDIT),
            audit_ties=Count("pk", filter=TIED & AUDIT),
            audit_misfits=Count("pk", filter=NOT_FITTING & AUDIT),
            done=Count("pk", filter=Q(is_done=True)),
            votes=Coalesce(Sum(F("fits") + F("does_not_fit")), 0),
            skipped=Coalesce(Sum("skips"), 0),
        )
    )


def _stratum(row: dict[str, Any]) -> Stratum:
    band = row["band"] + 3 * row.get("campaign_id", 0)
    name = row["hashtag__name"]
    return Stratum(name, band, row["size"], row["fitting"], row["tied"], row["not_fitting"])


def _people(campaign: Campaign | None) -> list[Person]:
    """What everybody said of suggestions, those whose votes are set aside left out."""
    rows = Participation.objects.exclude(person__standing__is_set_aside=True)
    if campaign is not None:
        rows = rows.filter(campaign=campaign)
    said = (
        rows.order_by()
        .values("person_id")
        .annotate(yes=Sum(F("fits") - F("control_fits")), n=Sum(F("fits") + F("does_not_fit") - F("control")))
    )
    return [Person(row["yes"], row["n"]) for row in said if row["n"] > 0]


def _rate(fits: int, ties: int, misfits: int) -> Rate | None:
    n = fits + ties + misfits
    if not n:
        return None
    value = (fits + ties / 2) / n
    return Rate(value, *wilson(value, n), n=n)


def _hashtags(strata: list[Stratum], would_post: dict[str, Known]) -> list[HashtagRow]:
    rows = []
    for name in sorted({one.hashtag for one in strata}):
        own = [one for one in strata if one.hashtag == name]
        found = post_stratified.headline(own)
        rate, size = found.rate if found else None, sum(one.size for one in own)
        expected = min(0.95, max(0.5, rate.value)) if rate and not rate.is_few else 0.9
        needed = still_needed(rate.n if rate else 0, size, expected)
        rows.append(HashtagRow(name, size, rate, needed, would_post.get(name)))
    return sorted(rows, key=_best_founded_first)


def _best_founded_first(row: HashtagRow) -> tuple[bool, bool, float, str]:
    """Hashtags with enough photos before those with few, the agreed upon before the doubtful."""
    if row.rate is None:
        return True, True, 0.0, row.hashtag
    return False, row.rate.is_few, -row.rate.value, row.hashtag


def _known(campaign: Campaign | None) -> tuple[Known, Known]:
    """Votes on what is known to fit, and on what is known not to: known answers, and controls."""
    rows = Question.objects.filter(campaign=campaign) if campaign else Question.objects.all()
    controls = rows.filter(kind=Question.Kind.CONTROL).aggregate(yes=Sum("fits"), no=Sum("does_not_fit"))
    yes = {True: 0, False: controls["yes"] or 0}
    n = {True: 0, False: yes[False] + (controls["no"] or 0)}
    known = {(one.photo_id, one.hashtag_id): one.fits for one in GoldAnswer.objects.all()}
    marked = rows.filter(photo_id__in={photo for photo, _ in known}).exclude(kind=Question.Kind.CONTROL)
    # The same votes stand behind the questions of several campaigns.
    fields = ("photo_id", "hashtag_id", "fits", "does_not_fit")
    for photo, hashtag, fits, not_fitting in set(marked.values_list(*fields)):
        if (is_right := known.get((photo, hashtag))) is not None:
            yes[is_right] += fits
            n[is_right] += fits + not_fitting
    return Known(yes[True], n[True]), Known(yes[False], n[False])


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


def _weighed(campaign: Campaign, votes: int) -> float | None:
    """Dawid and Skene's prevalence, from the votes given in the campaign; None with few or very many."""
    if not DS_LEAST <= votes <= DS_MOST:
        return None
    rows = Vote.objects.counting().answered().filter(Exists(_suggested(campaign)), campaign=campaign)
    found = list(rows.order_by().values_list("photo_id", "person_id", "answer"))
    if len(found) < DS_LEAST:
        return None
    _, questions = np.unique([photo for photo, *_ in found], return_inverse=True)
    _, people = np.unique([person for _, person, _ in found], return_inverse=True)
    said_yes = np.array([answer == Vote.Answer.FITS for *_, answer in found])
    return dawid_skene(questions, people, said_yes).prevalence


def _reliability(campaign: Campaign | None) -> Reliability | None:
    """By how often each pair of counts occurs: a few dozen rows, however many questions."""
    rows = (
        asked(campaign).filter(JUDGED).order_by().values_list("fits", "does_not_fit").annotate(n=Count("pk"))
    )
    pairs = list(rows)
    if not pairs:
        return None
    counts = np.array([(fits, not_fitting) for fits, not_fitting, _ in pairs])
    return reliability(np.repeat(counts, [n for *_, n in pairs], axis=0))


def _bins(campaign: Campaign | None) -> list[Bin]:
    rows = (
        asked(campaign)
        .filter(JUDGED, confidence__isnull=False)
        .order_by()
        .annotate(tenth=Cast(Least(Floor(F("confidence") * BINS), Value(BINS - 1.0)), IntegerField()))
        .values("tenth")
        .annotate(
            sure=Sum("confidence"),
            fitting=Count("pk", filter=FITTING),
            tied=Count("pk", filter=TIED),
            not_fitting=Count("pk", filter=NOT_FITTING),
        )
    )
    bins = []
    for row in sorted(rows, key=lambda one: one["tenth"]):
        rate = _rate(row["fitting"], row["tied"], row["not_fitting"])
        if rate:
            bins.append(Bin(row["tenth"], row["sure"] / rate.n, rate))
    return bins


def _days(campaign: Campaign | None) -> list[Day]:
    """By the day of a photo's last answer; a photo is in one day only."""
    since = timezone.now() - timedelta(days=DAYS)
    rows = (
        asked(campaign)
        .filter(JUDGED, answered_at__gte=since)
        .order_by()
        .values(day=TruncDate("answered_at"))
        .annotate(
            fitting=Count("pk", filter=FITTING),
            tied=Count("pk", filter=TIED),
            not_fitting=Count("pk", filter=NOT_FITTING),
        )
    )
    days = sorted(rows, key=lambda one: one["day"])
    rates = [(row["day"], _rate(row["fitting"], row["tied"], row["not_fitting"])) for row in days]
    return [Day(day, rate) for day, rate in rates if rate]


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


# --- lists ------------------------------------------------------------------------------------


def progress_of(
    campaigns: Iterable[Campaign], *, person: AbstractBaseUser | None = None
) -> dict[int, Progress]:
    """Campaign id → suggested photos, how many are done, how many are left.

    For everybody from the questions. Done for a person is what they answered; left for them is what is open
    for anybody less what they answered of it.
    """
    chosen = list(campaigns)
    rows = Question.objects.filter(campaign__in=chosen, kind=Question.Kind.SUGGESTION).order_by()
    counted = {
        row["campaign_id"]: Progress(row["n"], row["done"], row["n"] - row["done"])
        for row in rows.values("campaign_id").annotate(
            n=Count("pk"), done=Count("pk", filter=Q(is_done=True))
        )
    }
    if person is None:
        return counted
    unseen = Q(campaign__only_unseen=True) & answered_by(person, only_unseen=True)
    seen = Q(campaign__only_unseen=False) & answered_by(person, only_unseen=False)
    answered = dict(
        rows.filter(unseen | seen, is_done=False).values_list("campaign_id").annotate(n=Count("pk"))
    )
    done = dict(
        Participation.objects.filter(person_id=person.pk, campaign__in=chosen).values_list(
            "campaign_id", F("fits") + F("does_not_fit") + F("skips")
        )
    )
    return {
        pk: Progress(one.suggested, done.get(pk, 0), one.left - answered.get(pk, 0))
        for pk, one in counted.items()
    }


def hashtags_asked(campaign: Campaign | None, kind: str = Question.Kind.SUGGESTION) -> list[str]:
    return list(
        asked(campaign, kind).order_by("hashtag__name").values_list("hashtag__name", flat=True).distinct()
    )


SAID = {"fits": FITTING, "does_not_fit": NOT_FITTING, "tie": TIED, "open": ~JUDGED}


def judged_photos(
    campaign: Campaign | None,
    *,
    hashtag: str = "",
    said: str = "",
    scene: str = "",
    tenth: int | None = None,
    kind: str = Question.Kind.SUGGESTION,
) -> QuerySet[Question]:
    """Questions with their counts, for the pages behind the bars; the most answered first."""
    shown = asked(campaign, kind).select_related("photo", "hashtag")
    if hashtag:
        shown = shown.filter(hashtag__name=hashtag)
    if said:
        shown = shown.filter(SAID[said])
    if tenth is not None:
        low, high = tenth / BINS, (tenth + 1) / BINS
        shown = shown.filter(confidence__gte=low, confidence__lt=high if tenth < BINS - 1 else 1.01)
    if scene:
        seen = Prediction.objects.filter(
            photo_id=OuterRef("photo_id"), model_id=OuterRef("campaign__model_id"), scene_class__key=scene
        )
        shown = shown.filter(Exists(seen))
    return shown.order_by((F("fits") + F("does_not_fit")).desc(), "hashtag__name", "pk")
