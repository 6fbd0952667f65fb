"""Another model scored on the votes already given: nobody is asked anything anew."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import F, OuterRef, Subquery

from trainer.mcnemar import mcnemar
from trainer.models import TrainedModel
from validation.agreement import Rate, majority, wilson
from validation.models import Campaign, Prediction, Question
from validation.results import JUDGED

SURE = 0.05


@dataclass(frozen=True)
class Duel:
    """A rival against the campaign's model, on the photos where people judged what both suggest.

    p: McNemar's test, two-sided, ties left out; holm: corrected for all rivals of the campaign.
    """

    model: TrainedModel
    suggested: int  # photos of the campaign it suggests something for
    photos: int  # on which both are judged
    same: int  # of these, with the same hashtag
    ours: Rate | None
    theirs: Rate | None
    only_ours: int
    only_theirs: int
    p: float
    holm: float

    @property
    def verdict(self) -> str:
        if self.holm >= SURE:
            return ""
        return "better" if self.only_theirs > self.only_ours else "worse"


def duels(campaign: Campaign) -> list[Duel]:
    """Every rival of the campaign, in the order they were made."""
    made = [_duel(campaign, model) for model in campaign.rivals.exclude(pk=campaign.model_id).order_by("pk")]
    order = sorted(range(len(made)), key=lambda at: made[at].p)
    corrected, worst = [1.0] * len(made), 0.0
    for place, at in enumerate(order):
        worst = max(worst, min(1.0, (len(made) - place) * made[at].p))
        corrected[at] = worst
    return [
        Duel(**{**vars(one), "holm": holm})  # Holm (1979): the step-down Bonferroni
        for one, holm in zip(made, corrected, strict=True)
    ]


def _duel(campaign: Campaign, model: TrainedModel) -> Duel:
    said = Prediction.objects.filter(model=model, photo_id=OuterRef("photo_id"), hashtag__isnull=False)
    both = (
        Question.objects.filter(JUDGED, campaign=campaign, kind=Question.Kind.SUGGESTION)
        .order_by()
        .annotate(other=Subquery(said.values("hashtag_id")[:1]))
        .filter(other__isnull=False)
    )
    ours = theirs = 0.0
    n = same = only_ours = only_theirs = 0
    for fits, not_fitting in both.filter(other=F("hashtag_id")).values_list("fits", "does_not_fit"):
        value = majority(fits, not_fitting)
        ours, theirs, n, same = ours + value, theirs + value, n + 1, same + 1
    differing = list(
        both.exclude(other=F("hashtag_id")).values_list("photo_id", "other", "fits", "does_not_fit")
    )
    judged = _judged([photo for photo, *_ in differing])
    for photo, other, fits, not_fitting in differing:
        if (counts := judged.get((photo, other))) is None:
            continue
        here, there = majority(fits, not_fitting), majority(*counts)
        ours, theirs, n = ours + here, theirs + there, n + 1
        only_ours += here == 1 and there == 0
        only_theirs += here == 0 and there == 1
    p, _ = mcnemar(only_ours, only_theirs)
    suggested = Prediction.objects.filter(
        model=model, photo__campaigns=campaign, hashtag__isnull=False
    ).count()
    return Duel(
        model, suggested, n, same, _rate(ours, n), _rate(theirs, n), only_ours, only_theirs, p, holm=p
    )


def _judged(photos: list[int]) -> dict[tuple[int, int], tuple[int, int]]:
    """(photo, hashtag) → fits, does not fit, of whatever campaign asked."""
    found: dict[tuple[int, int], tuple[int, int]] = {}
    for at in range(0, len(photos), 2000):
        rows = Question.objects.filter(JUDGED, photo_id__in=photos[at : at + 2000])
        for photo, hashtag, fits, not_fitting in rows.values_list(
            "photo_id", "hashtag_id", "fits", "does_not_fit"
        ):
            found[photo, hashtag] = fits, not_fitting
    return found


def _rate(value: float, n: int) -> Rate | None:
    return Rate(value / n, *wilson(value / n, n), n=n) if n else None
