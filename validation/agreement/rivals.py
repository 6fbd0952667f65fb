"""Other models, and other releases of the mapping, scored on the votes already given."""

from __future__ import annotations

from dataclasses import dataclass, replace

from mapping.models import Hashtag, Release
from mapping.statistics import wilson
from trainer.models import TrainedModel
from trainer.runs.mcnemar import holm, mcnemar
from validation.agreement.blame import MOST_PHOTOS
from validation.models import Campaign, Prediction, Question
from validation.statistics.rate import Rate, majority

SURE = 0.05
RELEASES = 5


@dataclass(frozen=True)
class Duel:
    """A rival against the campaign's model, on the photos where people judged what both suggest.

    p: McNemar's test, two-sided, ties left out; holm: corrected for all rivals shown together.
    """

    name: str
    href: str
    key: str  # of `won`
    suggested: int  # photos of the campaign it suggests something for
    photos: int  # on which both are judged
    same: int  # of these, with the same hashtag
    ours: Rate | None
    theirs: Rate | None
    only_ours: int
    only_theirs: int
    p: float
    holm: float = 1.0

    @property
    def verdict(self) -> str:
        if self.holm >= SURE:
            return ""
        return "better" if self.only_theirs > self.only_ours else "worse"


def duels(campaign: Campaign) -> list[Duel]:
    """Every rival model of the campaign, in the order they were made."""
    models = campaign.rivals.exclude(pk=campaign.model_id).order_by("pk")
    contestants = [
        (str(one), one.get_absolute_url(), f"model-{one.pk}", _said_by(one, campaign)) for one in models
    ]
    return _corrected([_duel(campaign, *one) for one in contestants])


def releases(campaign: Campaign, most: int = RELEASES) -> list[Duel]:
    """The newest releases of the mapping, as if the model had suggested what each says of the scene it saw.

    Only where the model tells scenes apart, and only where it suggested something: what a release would make
    of the thresholds is not known without training on it.
    """
    if not (seen := _scenes_seen(campaign)):
        return []
    newest = Release.objects.order_by("-number")[:most]
    contestants = [
        (str(one), one.get_absolute_url(), f"release-{one.number}", _said_with(one, seen)) for one in newest
    ]
    return _corrected([_duel(campaign, *one) for one in contestants])


def won(campaign: Campaign, by: str, against: str) -> list[int]:
    """The campaign's questions where only one of the two fits, MOST_PHOTOS at most: `by` is "ours" or
    "theirs", `against` a duel's key; a key that is nobody's finds none.
    """
    kind, _, number = against.partition("-")
    others: dict[int, int] = {}
    if number.isdecimal() and len(number) < 10:
        if kind == "model":
            rival = campaign.rivals.filter(pk=int(number)).first()
            others = _said_by(rival, campaign) if rival else {}
        elif kind == "release" and (release := Release.objects.filter(number=int(number)).first()):
            others = _said_with(release, _scenes_seen(campaign))
    outcome = (1.0, 0.0) if by == "ours" else (0.0, 1.0)
    rows = _compared(campaign, others)
    return [one.question for one in rows if (one.here, one.there) == outcome][:MOST_PHOTOS]


def _scenes_seen(campaign: Campaign) -> dict[int, str]:
    predictions = Prediction.objects.of(campaign).suggested().filter(scene_class__isnull=False).order_by()
    return dict(predictions.values_list("photo_id", "scene_class__key"))


def _said_with(release: Release, seen: dict[int, str]) -> dict[int, int]:
    hashtags = dict(Hashtag.objects.values_list("name", "pk"))
    labels = dict(release.labels.values_list("scene_key", "label"))
    named = {photo: hashtags.get(labels.get(scene, "")) for photo, scene in seen.items()}
    return {photo: hashtag for photo, hashtag in named.items() if hashtag is not None}


def _said_by(model: TrainedModel, campaign: Campaign) -> dict[int, int]:
    predictions = Prediction.objects.filter(model=model, photo__campaigns=campaign, hashtag__isnull=False)
    return {photo: hashtag for photo, hashtag in predictions.values_list("photo_id", "hashtag_id") if hashtag}


def _corrected(made: list[Duel]) -> list[Duel]:
    """With p corrected for how many were tested together."""
    values = holm([one.p for one in made])
    return [replace(one, holm=value) for one, value in zip(made, values, strict=True)]


@dataclass(frozen=True)
class _Compared:
    """A photo where people judged what both suggest; here and there: 1 fits, 0 does not, ½ a tie."""

    question: int  # the campaign's
    here: float
    there: float
    is_same: bool  # both suggest the same hashtag


def _compared(campaign: Campaign, others: dict[int, int]) -> list[_Compared]:
    """`others`: photo → the hashtag that the rival suggests."""
    rows = Question.objects.of_campaign(campaign).suggestions().judged().order_by()
    comparisons, differing = [], []
    fields = ("pk", "photo_id", "hashtag_id", "fits", "does_not_fit")
    for pk, photo, hashtag, fits, not_fitting in rows.values_list(*fields):
        value = majority(fits, not_fitting)
        if (other := others.get(photo)) == hashtag:
            comparisons.append(_Compared(pk, value, value, is_same=True))
        elif other is not None:
            differing.append((pk, photo, other, value))
    judged = _judged([photo for _, photo, *_ in differing])
    for pk, photo, other, value in differing:
        if (counts := judged.get((photo, other))) is not None:
            comparisons.append(_Compared(pk, value, majority(*counts), is_same=False))
    return comparisons


def _duel(campaign: Campaign, name: str, href: str, key: str, others: dict[int, int]) -> Duel:
    rows = _compared(campaign, others)
    n, only_ours = len(rows), sum((one.here, one.there) == (1, 0) for one in rows)
    only_theirs = sum((one.here, one.there) == (0, 1) for one in rows)
    p, _ = mcnemar(only_ours, only_theirs)
    return Duel(
        name=name,
        href=href,
        key=key,
        suggested=len(others),
        photos=n,
        same=sum(one.is_same for one in rows),
        ours=rate_of_counts(sum(one.here for one in rows), n),
        theirs=rate_of_counts(sum(one.there for one in rows), n),
        only_ours=only_ours,
        only_theirs=only_theirs,
        p=p,
    )


def _judged(photos: list[int]) -> dict[tuple[int, int], tuple[int, int]]:
    """(photo, hashtag) → fits, does not fit, of whatever campaign asked."""
    counts: dict[tuple[int, int], tuple[int, int]] = {}
    for at in range(0, len(photos), 2000):
        rows = Question.objects.judged().filter(photo_id__in=photos[at : at + 2000])
        for photo, hashtag, fits, not_fitting in rows.values_list(
            "photo_id", "hashtag_id", "fits", "does_not_fit"
        ):
            counts[photo, hashtag] = fits, not_fitting
    return counts


def rate_of_counts(value: float, n: int) -> Rate | None:
    return Rate(value / n, *wilson(value / n, n), n=n) if n else None
