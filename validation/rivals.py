"""Other models, and other releases of the mapping, scored on the votes already given."""

from __future__ import annotations

from dataclasses import dataclass, replace

from mapping.models import Hashtag, Release
from trainer.mcnemar import mcnemar
from trainer.models import TrainedModel
from validation.agreement import Rate, majority, wilson
from validation.models import Campaign, Prediction, Question
from validation.strata import JUDGED

SURE = 0.05
RELEASES = 5


@dataclass(frozen=True)
class Duel:
    """A rival against the campaign's model, on the photos where people judged what both suggest.

    p: McNemar's test, two-sided, ties left out; holm: corrected for all rivals shown together.
    """

    name: str
    href: str
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
    return _corrected(
        [_duel(campaign, str(one), one.get_absolute_url(), _said_by(one, campaign)) for one in models]
    )


def releases(campaign: Campaign, most: int = RELEASES) -> list[Duel]:
    """The newest releases of the mapping, as if the model had suggested what each says of the scene it saw.

    Only where the model tells scenes apart, and only where it suggested something: what a release would make
    of the thresholds is not known without training on it.
    """
    said = Prediction.objects.of(campaign).suggested().filter(scene_class__isnull=False).order_by()
    seen = dict(said.values_list("photo_id", "scene_class__key"))
    if not seen:
        return []
    hashtags = dict(Hashtag.objects.values_list("name", "pk"))
    found = []
    for release in Release.objects.order_by("-number")[:most]:
        labels = dict(release.labels.values_list("scene_key", "label"))
        named = {photo: hashtags.get(labels.get(scene, "")) for photo, scene in seen.items()}
        others = {photo: hashtag for photo, hashtag in named.items() if hashtag is not None}
        found.append(_duel(campaign, str(release), release.get_absolute_url(), others))
    return _corrected(found)


def _said_by(model: TrainedModel, campaign: Campaign) -> dict[int, int]:
    said = Prediction.objects.filter(model=model, photo__campaigns=campaign, hashtag__isnull=False)
    return {photo: hashtag for photo, hashtag in said.values_list("photo_id", "hashtag_id") if hashtag}


def _corrected(made: list[Duel]) -> list[Duel]:
    """With p corrected for how many were tested together (S. Holm 1979: Bonferroni, step by step)."""
    order = sorted(range(len(made)), key=lambda at: made[at].p)
    corrected, worst = [1.0] * len(made), 0.0
    for place, at in enumerate(order):
        worst = max(worst, min(1.0, (len(made) - place) * made[at].p))
        corrected[at] = worst
    return [replace(one, holm=holm) for one, holm in zip(made, corrected, strict=True)]


def _duel(campaign: Campaign, name: str, href: str, others: dict[int, int]) -> Duel:
    """`others`: photo → the hashtag that the rival suggests."""
    rows = Question.objects.filter(JUDGED, campaign=campaign, kind=Question.Kind.SUGGESTION).order_by()
    ours = theirs = 0.0
    n = same = only_ours = only_theirs = 0
    differing = []
    for photo, hashtag, fits, not_fitting in rows.values_list(
        "photo_id", "hashtag_id", "fits", "does_not_fit"
    ):
        value = majority(fits, not_fitting)
        if (other := others.get(photo)) == hashtag:
            ours, theirs, n, same = ours + value, theirs + value, n + 1, same + 1
        elif other is not None:
            differing.append((photo, other, value))
    judged = _judged([photo for photo, *_ in differing])
    for photo, other, here in differing:
        if (counts := judged.get((photo, other))) is None:
            continue
        there = majority(*counts)
        ours, theirs, n = ours + here, theirs + there, n + 1
        only_ours += here == 1 and there == 0
        only_theirs += here == 0 and there == 1
    p, _ = mcnemar(only_ours, only_theirs)
    return Duel(name, href, len(others), n, same, _rate(ours, n), _rate(theirs, n), only_ours, only_theirs, p)


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
