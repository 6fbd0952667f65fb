"""What is known of the photos the model kept silent about."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from django.db.models import Exists, OuterRef

from mapping.models import Hashtag
from validation.agreement.strata import OUTCOMES, asked
from validation.models import AuthorHashtag, Campaign, Prediction, Question
from validation.models.answers import FITTING
from validation.statistics.rate import Rate, rate_of_counts


def silent_by_reason(*, campaign: Campaign) -> list[tuple[str, int]]:
    """Why the model kept silent, and about how many photos; the most frequent reason first.

    Only the kind of reason counts, the part before a colon or bracket: what follows differs by photo.
    """
    silent = Prediction.objects.of(campaign).filter(hashtag=None).order_by()
    counts: Counter[str] = Counter()
    for reason in silent.values_list("reason", flat=True):
        counts[reason.split(":")[0].split("(")[0].strip()] += 1
    return counts.most_common()


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


def silence(campaign: Campaign) -> Silence:
    silent = Prediction.objects.of(campaign).filter(hashtag=None).order_by()
    others = Question.objects.suggestions().judged().filter(photo_id=OuterRef("photo_id"))
    judged = silent.filter(Exists(others))
    own = AuthorHashtag.objects.filter(photo_id=OuterRef("photo_id"))
    first_thoughts = asked(campaign, Question.Kind.SILENCE).aggregate(**OUTCOMES)
    ours = own.filter(name__in=Hashtag.objects.values("name"))
    return Silence(
        photos=silent.count(),
        judged=judged.count(),
        fitting=judged.filter(Exists(others.filter(FITTING))).count(),
        authored=silent.filter(Exists(own)).count(),
        popular=silent.filter(Exists(ours)).count(),
        rightly=rate_of_counts(
            first_thoughts["not_fitting"], first_thoughts["tied"], first_thoughts["fitting"]
        ),
    )
