"""Other models, and other releases of the mapping, scored on the votes already given."""

from __future__ import annotations

from dataclasses import dataclass, replace

from formats.numbers import read_number
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
    """A rival compared with the campaign's model, on photos where people judged the suggestions of both.

    p is that of McNemar's test, two-sided, without ties; holm is p corrected for the number of rivals shown.
    """

    name: str
    href: str
    key: str  # names the rival in `questions_won`
    suggestions: int  # photos of the campaign for which it suggests a hashtag
    photos: int  # on which both are judged
    same: int  # of these, on how many both suggest the same hashtag
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
    """A duel for each rival model of the campaign, in the order of their creation."""
    models = campaign.rivals.exclude(pk=campaign.predictor.pk).order_by("pk")
    contestants = [
        (str(one), one.get_absolute_url(), f"model-{one.pk}", _hashtags_of_model(one, campaign))
        for one in models
    ]
    return _add_holm([_duel(campaign, *one) for one in contestants])


def releases(campaign: Campaign, most: int = RELEASES) -> list[Duel]:
    """Duels with the newest releases, as if the model had suggested their hashtag for the scene it saw.

    Only for models that tell scene classes apart, and only on photos with a suggestion: the thresholds that
    a release would lead to are unknown without training on it.
    """
    if not (scenes := _scenes_seen(campaign)):
        return []
    newest = Release.objects.order_by("-number")[:most]
    contestants = [
        (str(one), one.get_absolute_url(), f"release-{one.number}", _hashtags_of_release(one, scenes))
        for one in newest
    ]
    return _add_holm([_duel(campaign, *one) for one in contestants])


def questions_won(campaign: Campaign, by: str, against: str) -> list[int]:
    """The campaign's questions where only one of the two models is right, MOST_PHOTOS at most. `by` is "ours"
    or "theirs", `against` the key of a duel; an unknown key gives no questions.
    """
    kind, _, text = against.partition("-")
    number = read_number(text)
    others: dict[int, int] = {}
    if number is None:
        return []
    if kind == "model" and (rival := campaign.rivals.filter(pk=number).first()):
        others = _hashtags_of_model(rival, campaign)
    elif kind == "release" and (release := Release.objects.filter(number=number).first()):
        others = _hashtags_of_release(release, _scenes_seen(campaign))
    outcome = (1.0, 0.0) if by == "ours" else (0.0, 1.0)
    rows = _compare(campaign, others)
    return [one.question for one in rows if (one.here, one.there) == outcome][:MOST_PHOTOS]


def _scenes_seen(campaign: Campaign) -> dict[int, str]:
    predictions = Prediction.objects.of(campaign).suggested().filter(scene_class__isnull=False).order_by()
    return dict(predictions.values_list("photo_id", "scene_class__key"))


def _hashtags_of_release(release: Release, scenes: dict[int, str]) -> dict[int, int]:
    """Photo → the hashtag that the release gives its scene."""
    pks = dict(Hashtag.objects.unblocked().values_list("name", "pk"))
    labels = dict(release.labels.values_list("scene_key", "label"))
    hashtags = {photo: pks.get(labels.get(scene, "")) for photo, scene in scenes.items()}
    return {photo: hashtag for photo, hashtag in hashtags.items() if hashtag is not None}


def _hashtags_of_model(model: TrainedModel, campaign: Campaign) -> dict[int, int]:
    """Photo → the hashtag that the model suggests."""
    predictions = Prediction.objects.suggested().filter(model=model, photo__campaigns=campaign)
    return {photo: hashtag for photo, hashtag in predictions.values_list("photo_id", "hashtag_id") if hashtag}


def _add_holm(duels: list[Duel]) -> list[Duel]:
    """Correct p for the number of duels tested together."""
    values = holm([one.p for one in duels])
    return [replace(one, holm=value) for one, value in zip(duels, values, strict=True)]


@dataclass(frozen=True)
class _Comparison:
    """A photo where people judged the suggestions of both; here and there: 1 fits, 0 does not, ½ a tie."""

    question: int  # the campaign's
    here: float
    there: float
    is_same: bool  # both suggest the same hashtag


def _compare(campaign: Campaign, others: dict[int, int]) -> list[_Comparison]:
    """`others`: photo → the hashtag that the rival suggests."""
    rows = Question.objects.of_campaign(campaign).suggestions().judged().order_by()
    comparisons, differing = [], []
    fields = ("pk", "photo_id", "hashtag_id", "fits", "does_not_fit")
    for pk, photo, hashtag, fits, not_fitting in rows.values_list(*fields):
        value = majority(fits, not_fitting)
        if (other := others.get(photo)) == hashtag:
            comparisons.append(_Comparison(pk, value, value, is_same=True))
        elif other is not None:
            differing.append((pk, photo, other, value))
    answer_counts = _count_answers([photo for _, photo, *_ in differing])
    for pk, photo, other, value in differing:
        if (counts := answer_counts.get((photo, other))) is not None:
            comparisons.append(_Comparison(pk, value, majority(*counts), is_same=False))
    return comparisons


def _duel(campaign: Campaign, name: str, href: str, key: str, others: dict[int, int]) -> Duel:
    rows = _compare(campaign, others)
    n, only_ours = len(rows), sum((one.here, one.there) == (1, 0) for one in rows)
    only_theirs = sum((one.here, one.there) == (0, 1) for one in rows)
    p, _ = mcnemar(only_ours, only_theirs)
    return Duel(
        name=name,
        href=href,
        key=key,
        suggestions=len(others),
        photos=n,
        same=sum(one.is_same for one in rows),
        ours=rate_of_counts(sum(one.here for one in rows), n),
        theirs=rate_of_counts(sum(one.there for one in rows), n),
        only_ours=only_ours,
        only_theirs=only_theirs,
        p=p,
    )


def _count_answers(photos: list[int]) -> dict[tuple[int, int], tuple[int, int]]:
    """(photo, hashtag) → fits, does not fit, from any campaign."""
    counts: dict[tuple[int, int], tuple[int, int]] = {}
    for at in range(0, len(photos), 2000):
        rows = Question.objects.judged().filter(
            photo_id__in=photos[at : at + 2000], campaign__kind=Campaign.Kind.PREDICTED
        )
        for photo, hashtag, fits, not_fitting in rows.values_list(
            "photo_id", "hashtag_id", "fits", "does_not_fit"
        ):
            counts[photo, hashtag] = fits, not_fitting
    return counts


def rate_of_counts(value: float, n: int) -> Rate | None:
    return Rate(value / n, *wilson(value / n, n), n=n) if n else None
