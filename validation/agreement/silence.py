"""What is known about the photos on which the model stayed silent."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from django.db.models import Exists, OuterRef

from mapping.models import Hashtag
from trainer.engine.serving.judge import BLOCKED
from validation.agreement.strata import OUTCOMES, questions_of
from validation.models import AuthorHashtag, Campaign, Prediction, Question
from validation.models.answers import FITTING
from validation.statistics.rate import Rate, rate_of_counts


def silent_by_reason(*, campaign: Campaign) -> list[tuple[str, int]]:
    """Why the model stayed silent, and on how many photos; the most frequent reason first.

    Reasons are grouped by the part before a colon or bracket: what follows differs from photo to photo.
    """
    silent = Prediction.objects.of(campaign).silent().order_by()
    counts: Counter[str] = Counter()
    for reason in silent.values_list("reason", flat=True):
        counts[(reason or BLOCKED).split(":")[0].split("(")[0].strip()] += 1
    return counts.most_common()


@dataclass(frozen=True)
class Silence:
    """Photos on which the model stayed silent, and how often it was right to do so.

    `right_rate` is measured on photos drawn at random: the share of silent suggestions that people find
    unfitting, where a tie counts as half. The model could have suggested the rest.
    """

    photos: int
    with_answers: int  # of these photos, how many have answers about a hashtag that another model suggested
    fitting: int  # of those, how many have a hashtag that people found fitting
    with_author_hashtags: int = 0  # photos whose authors' own hashtags are known
    popular: int = 0  # of those, how many have one of our hashtags
    right_rate: Rate | None = None  # None: nobody was asked


def silence(campaign: Campaign) -> Silence:
    silent = Prediction.objects.of(campaign).silent().order_by()
    others = Question.objects.suggestions().judged().filter(photo_id=OuterRef("photo_id"))
    judged_photos = silent.filter(Exists(others))
    authors_hashtags = AuthorHashtag.objects.filter(photo_id=OuterRef("photo_id"))
    outcomes = questions_of(campaign, Question.Kind.SILENCE).aggregate(**OUTCOMES)
    popular_hashtags = authors_hashtags.filter(name__in=Hashtag.objects.unblocked().values("name"))
    return Silence(
        photos=silent.count(),
        with_answers=judged_photos.count(),
        fitting=judged_photos.filter(Exists(others.filter(FITTING))).count(),
        with_author_hashtags=silent.filter(Exists(authors_hashtags)).count(),
        popular=silent.filter(Exists(popular_hashtags)).count(),
        right_rate=rate_of_counts(outcomes["not_fitting"], outcomes["tied"], outcomes["fitting"]),
    )
