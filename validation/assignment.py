"""Who sees what next. Questions are handed out one by one, when asked for, never in advance."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db.models import F, Q, QuerySet

from validation.models import Campaign, Prediction, Vote

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

PRIME = 2_147_483_647  # 2³¹ − 1: the square of anything below it is still a 64-bit number


@dataclass(frozen=True)
class Assignment:
    """What one person is asked in one campaign."""

    question: Prediction | None  # None: all done
    following: Prediction | None  # whose photo may be fetched meanwhile
    done: int
    total: int
    last_vote: Vote | None  # what undo takes back

    @property
    def number(self) -> int:
        return min(self.done + 1, self.total)


def questions_for(*, campaign: Campaign, person: AbstractBaseUser) -> QuerySet[Prediction]:
    """What is left for this person, in their own order: fewest answers first, then shuffled by person.

    Left is a suggestion that the person has not voted on and that fewer than the campaign's number of people
    answered (skips do not count: somebody else may know).
    """
    left = Prediction.objects.of(campaign).suggested().without_votes_of(person).with_answers()
    left = left.filter(Q(answers__lt=campaign.votes_per_photo))
    digest = hashlib.sha256(f"{campaign.pk}:{person.pk}".encode()).digest()
    factor, offset = (int.from_bytes(part, "big") % (PRIME - 1) + 1 for part in (digest[:4], digest[4:8]))
    # Squared: a multiple alone gives neighbouring ids so few orders that two people often share one.
    left = left.annotate(spread=(F("photo_id") * factor + offset) % PRIME)
    return left.annotate(shuffled=F("spread") * F("spread") % PRIME).order_by(
        F("answers").asc(), F("shuffled").asc(), "photo_id"
    )


def assign(*, campaign: Campaign, person: AbstractBaseUser, photo: int | None = None) -> Assignment:
    """The next question, or the one about this photo if it is still open for the person (after an undo)."""
    left = questions_for(campaign=campaign, person=person).select_related("photo", "hashtag")
    asked = list(left.filter(photo_id=photo)[:1]) if photo is not None else []
    asked += [other for other in left[:2] if other not in asked]
    own = own_votes(campaign=campaign, person=person)
    done = own.count()
    return Assignment(
        question=asked[0] if asked else None,
        following=asked[1] if len(asked) > 1 else None,
        done=done,
        total=done + left.count(),
        last_vote=own.first(),
    )


def own_votes(*, campaign: Campaign, person: AbstractBaseUser) -> QuerySet[Vote]:
    """The person's votes on what the campaign suggests, newest first."""
    suggested = Prediction.objects.of(campaign).suggested()
    return Vote.objects.about(suggested).filter(person_id=person.pk).order_by("-pk")
