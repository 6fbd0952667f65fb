"""Known answers: photos and hashtags whose answer is beyond doubt, mixed in to see who looks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet

from validation.models import Campaign, GoldAnswer, Question
from validation.questions import ask_known_answers

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

LEAST = 3  # answers, all the same, before a question is proposed


def clear(campaign: Campaign) -> QuerySet[Question]:
    """Questions of the campaign that everybody answered alike and that are not marked yet, clearest first."""
    known = GoldAnswer.objects.filter(photo_id=OuterRef("photo_id"), hashtag_id=OuterRef("hashtag_id"))
    alike = Q(fits__gte=LEAST, does_not_fit=0) | Q(does_not_fit__gte=LEAST, fits=0)
    rows = Question.objects.filter(alike, ~Exists(known), campaign=campaign, kind=Question.Kind.SUGGESTION)
    # Both kinds are needed, and those that do not fit are rare: they come first.
    rows = rows.order_by(F("does_not_fit").desc(), F("fits").desc(), "pk")
    return rows.select_related("photo", "hashtag")


def marked() -> QuerySet[GoldAnswer]:
    return (
        GoldAnswer.objects.filter(photo__withdrawn_at=None).select_related("photo", "hashtag").order_by("-pk")
    )


@transaction.atomic
def decide(
    *, campaign: Campaign, by: AbstractBaseUser, photo: int, hashtag: int, answer: str, note: str = ""
) -> bool:
    """Mark what is known of a photo and a hashtag ("fits", "does_not_fit"), or take the mark away
    ("unknown").

    Campaigns that are open ask about it from now on. False if neither the campaign asks about it nor it is
    marked: the page was out of date. Repeating it changes nothing.
    """
    known = GoldAnswer.objects.filter(photo_id=photo, hashtag_id=hashtag)
    if answer == "unknown":
        removed, _ = known.delete()
        Question.objects.filter(photo_id=photo, hashtag_id=hashtag, kind=Question.Kind.GOLD).delete()
        return bool(removed)
    if not Question.objects.filter(campaign=campaign, photo_id=photo, hashtag_id=hashtag).exists():
        return False
    fits = answer == "fits"
    first = known.first()
    if first is None:
        GoldAnswer.objects.create(photo_id=photo, hashtag_id=hashtag, fits=fits, note=note, set_by_id=by.pk)
    elif first.fits != fits:
        known.update(fits=fits, note=note, set_by=by.pk)
    for other in Campaign.objects.taking_votes().filter(gold_share__gt=0):
        ask_known_answers(campaign=other)
    return True
