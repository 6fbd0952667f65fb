"""What the votes say, read from the database for the pages: agreement, coverage, people."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db.models import Count, Exists, F, OuterRef, Q

from validation import agreement
from validation.agreement import Rate, Tally
from validation.models import Campaign, Prediction, PredictionQuerySet, Vote

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser


@dataclass(frozen=True)
class HashtagRow:
    hashtag: str
    suggested: int  # photos
    rate: Rate | None  # None: nobody has answered yet
    people: int


@dataclass(frozen=True)
class Summary:
    overall: Rate | None
    class_weighted: Rate | None
    hashtags: list[HashtagRow]
    votes: int  # skips included
    skips: int
    people: int
    photos: int  # predicted, with or without a suggestion
    suggested: int

    @property
    def coverage(self) -> float | None:
        return self.suggested / self.photos if self.photos else None


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


def headline() -> Rate | None:
    return agreement.overall(tallies(scope(None)))


def scope(campaign: Campaign | None) -> PredictionQuerySet:
    """The predictions that one campaign, or any, stands for. Its votes may come from other campaigns."""
    if campaign is None:
        return Prediction.objects.of_any_campaign()
    return Prediction.objects.of(campaign)


def tallies(predictions: PredictionQuerySet) -> list[Tally]:
    """One per photo and hashtag that is suggested and answered about."""
    votes = Vote.objects.about(predictions.suggested()).order_by().values_list("photo_id", "hashtag__name")
    counted = votes.annotate(
        fits=Count("pk", filter=Q(answer=Vote.Answer.FITS)),
        does_not_fit=Count("pk", filter=Q(answer=Vote.Answer.DOES_NOT_FIT)),
    )
    return [Tally(*row) for row in counted]


def summarise(campaign: Campaign | None) -> Summary:
    """Everything on the agreement page, in a constant number of queries."""
    predictions = scope(campaign)
    suggested = predictions.suggested().order_by()
    said = tallies(predictions)
    rates = agreement.by_hashtag(said)
    votes = Vote.objects.about(suggested).order_by()
    people = dict(votes.answered().values_list("hashtag__name").annotate(n=Count("person_id", distinct=True)))
    photos_of = dict(suggested.values_list("hashtag__name").annotate(n=Count("photo_id", distinct=True)))
    rows = [HashtagRow(name, n, rates.get(name), people.get(name, 0)) for name, n in photos_of.items()]
    rows.sort(key=_best_founded_first)
    counts = votes.aggregate(
        votes=Count("pk"),
        skips=Count("pk", filter=Q(answer=Vote.Answer.SKIP)),
        people=Count("person_id", distinct=True, filter=~Q(answer=Vote.Answer.SKIP)),
    )
    photos = predictions.order_by().aggregate(
        photos=Count("photo_id", distinct=True),
        suggested=Count("photo_id", distinct=True, filter=Q(hashtag__isnull=False)),
    )
    return Summary(agreement.overall(said), agreement.class_weighted(said), rows, **counts, **photos)


def _best_founded_first(row: HashtagRow) -> tuple[bool, bool, float, str]:
    """Hashtags with enough photos before those with few, the agreed upon before the doubtful."""
    if row.rate is None:
        return True, True, 0.0, row.hashtag
    return False, row.rate.is_few, -row.rate.value, row.hashtag


def progress_of(
    campaigns: Iterable[Campaign], *, person: AbstractBaseUser | None = None
) -> dict[int, Progress]:
    """Campaign id → suggested photos, how many are done, how many are left; one query for all campaigns.

    Done for a person is voted on; done for everybody is answered by as many people as the campaign wants.
    """
    predictions = Prediction.objects.suggested().filter(
        photo__campaigns__in=list(campaigns), photo__campaigns__model_id=F("model_id")
    )
    enough = Q(answers__gte=F("photo__campaigns__votes_per_photo"))
    own = Vote.objects.filter(
        photo_id=OuterRef("photo_id"),
        hashtag_id=OuterRef("hashtag_id"),
        person_id=person.pk if person else None,
    )
    done = Q(voted=True) if person else enough
    counted = (
        predictions.with_answers()
        .annotate(voted=Exists(own))
        .order_by()
        .values("photo__campaigns")
        .annotate(
            n=Count("pk"), done=Count("pk", filter=done), left=Count("pk", filter=~enough & Q(voted=False))
        )
    )
    return {row["photo__campaigns"]: Progress(row["n"], row["done"], row["left"]) for row in counted}


def suggested_hashtags(campaign: Campaign | None) -> list[str]:
    names = scope(campaign).suggested().order_by("hashtag__name").values_list("hashtag__name", flat=True)
    return [name for name in names.distinct() if name]


def judged_photos(campaign: Campaign | None, *, hashtag: str = "", said: str = "") -> PredictionQuerySet:
    """Suggestions with their counted answers, each photo and hashtag once whichever models suggested it."""
    suggested = scope(campaign).suggested()
    earlier = suggested.filter(
        photo_id=OuterRef("photo_id"), hashtag_id=OuterRef("hashtag_id"), pk__lt=OuterRef("pk")
    )
    shown = suggested.filter(~Exists(earlier)).with_answers().select_related("photo", "hashtag")
    if hashtag:
        shown = shown.filter(hashtag__name=hashtag)
    if said:
        shown = shown.filter(_SAID[said])
    return shown.order_by(F("answers").desc(), "hashtag__name", "pk")


_SAID = {
    "fits": Q(fits__gt=F("does_not_fit")),
    "does_not_fit": Q(fits__lt=F("does_not_fit")),
    "tie": Q(fits=F("does_not_fit"), answers__gt=0),
    "open": Q(answers=0),
}
