"""Lists of campaigns with their progress, and of the judged photos behind a bar."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db.models import Count, Exists, OuterRef, Q, QuerySet

from validation.agreement.results import BINS
from validation.agreement.strata import questions_of
from validation.models import Campaign, Participation, Prediction, Question
from validation.models.answers import ANSWERS, FITTING, JUDGED, NOT_FITTING, TIED, VOTES_GIVEN
from validation.voting.assignment import answered_by

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser


@dataclass(frozen=True)
class Progress:
    """The progress of a campaign: for everybody, or for one person."""

    suggestions: int
    done: int
    left: int

    @property
    def total(self) -> int:
        return self.done + self.left


NO_PROGRESS = Progress(0, 0, 0)


def progress_of(
    campaigns: Iterable[Campaign], *, person: AbstractBaseUser | None = None
) -> dict[int, Progress]:
    """Campaign id → how many photos have a suggestion, how many are done, and how many are left. In an
    authors' campaign, how many of the authors' hashtags people are asked about, and so on.

    For everybody these are counts of questions, without those about blocked hashtags. For a person, done are
    their votes, and left are the open questions that they have not answered.
    """
    campaign_list = list(campaigns)
    rows = Question.objects.main().offered().filter(campaign__in=campaign_list).order_by()
    progress = {
        row["campaign_id"]: Progress(row["n"], row["done"], row["n"] - row["done"])
        for row in rows.values("campaign_id").annotate(
            n=Count("pk"), done=Count("pk", filter=Q(is_done=True))
        )
    }
    if person is None:
        return progress
    of_unseen = Q(campaign__only_unseen=True) & answered_by(person.pk, only_unseen=True)
    of_all = Q(campaign__only_unseen=False) & answered_by(person.pk, only_unseen=False)
    answer_counts = dict(
        rows.filter(of_unseen | of_all, is_done=False).values_list("campaign_id").annotate(n=Count("pk"))
    )
    vote_counts = dict(
        Participation.objects.filter(person_id=person.pk, campaign__in=campaign_list).values_list(
            "campaign_id", VOTES_GIVEN
        )
    )
    return {
        pk: Progress(one.suggestions, vote_counts.get(pk, 0), one.left - answer_counts.get(pk, 0))
        for pk, one in progress.items()
    }


def hashtags_asked_about(campaign: Campaign | None, kind: str = Question.Kind.SUGGESTION) -> list[str]:
    questions = questions_of(campaign, kind).order_by("hashtag__name")
    return list(questions.values_list("hashtag__name", flat=True).distinct())


MAJORITIES = {"fits": FITTING, "does_not_fit": NOT_FITTING, "tie": TIED, "open": ~JUDGED}


def judged_photos(
    campaign: Campaign | None,
    *,
    hashtag: str = "",
    majority: str = "",
    scene: str = "",
    tenth: int | None = None,
    kind: str = Question.Kind.SUGGESTION,
    among: list[int] | None = None,
) -> QuerySet[Question]:
    """Questions with their counts, for the pages behind the bars; the most answered first."""
    questions = questions_of(campaign, kind).select_related("photo", "hashtag")
    if among is not None:
        questions = questions.filter(pk__in=among)
    if hashtag:
        questions = questions.filter(hashtag__name=hashtag)
    if majority:
        questions = questions.filter(MAJORITIES[majority])
    if tenth is not None:
        low, high = tenth / BINS, (tenth + 1) / BINS
        questions = questions.filter(confidence__gte=low, confidence__lt=high if tenth < BINS - 1 else 1.01)
    if scene:
        predictions = Prediction.objects.filter(
            photo_id=OuterRef("photo_id"), model_id=OuterRef("campaign__model_id"), scene_class__key=scene
        )
        questions = questions.filter(Exists(predictions))
    return questions.order_by(ANSWERS.desc(), "hashtag__name", "pk")
