"""Known answers: photos and hashtags whose answer is beyond doubt, mixed in to see who looks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet, Value
from django.db.models.functions import Greatest
from django.utils import timezone

from validation.campaigns.counts import delete, lock
from validation.campaigns.questions import ask_known_answers
from validation.models import Campaign, GoldAnswer, Participation, Question, Vote

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

LEAST = 3  # answers, all the same, before a question is proposed


def clear(campaign: Campaign) -> QuerySet[Question]:
    """Questions of the campaign that everybody answered alike and that are not marked yet, clearest first."""
    alike = Q(fits__gte=LEAST, does_not_fit=0) | Q(does_not_fit__gte=LEAST, fits=0)
    rows = _unmarked(campaign).filter(alike)
    # Both kinds are needed, and those that do not fit are rare: they come first.
    rows = rows.order_by(F("does_not_fit").desc(), F("fits").desc(), "pk")
    return rows.select_related("photo", "hashtag")


def unanswered(campaign: Campaign) -> QuerySet[Question]:
    """Questions nobody has answered yet, in random order: somebody must know some answers before a crowd can
    be measured by them.
    """
    return (
        _unmarked(campaign).filter(fits=0, does_not_fit=0).select_related("photo", "hashtag").order_by("rank")
    )


def _unmarked(campaign: Campaign) -> QuerySet[Question]:
    known = GoldAnswer.objects.filter(photo_id=OuterRef("photo_id"), hashtag_id=OuterRef("hashtag_id"))
    kinds = (Question.Kind.SUGGESTION, Question.Kind.SILENCE)
    return Question.objects.filter(~Exists(known), campaign=campaign, kind__in=kinds)


def marked() -> QuerySet[GoldAnswer]:
    return (
        GoldAnswer.objects.filter(photo__withdrawn_at=None).select_related("photo", "hashtag").order_by("-pk")
    )


@transaction.atomic
def decide(
    *, campaign: Campaign, by: AbstractBaseUser, photo: int, hashtag: int, answer: str, note: str = ""
) -> bool:
    """Mark what is known of a photo and a hashtag ("fits", "does_not_fit"), or take the mark away
    ("unknown"). Whoever answered a mark that is changed or taken away is not measured by it any more.

    Campaigns that are open ask about it from now on. False if neither the campaign asks about it nor it is
    marked: the page was out of date. Repeating it changes nothing.
    """
    asked = Question.objects.filter(photo_id=photo, hashtag_id=hashtag)
    lock(asked)  # votes on it wait, or have been counted
    known = GoldAnswer.objects.filter(photo_id=photo, hashtag_id=hashtag)
    before = known.first()
    if answer == "unknown":
        if before is None:
            return False
        _measure_nobody_by(before)
        known.delete()
        delete(asked.filter(kind=Question.Kind.GOLD))
        return True
    if not asked.filter(campaign=campaign).exists():
        return False
    fits = answer == "fits"
    if before is None:
        GoldAnswer.objects.create(photo_id=photo, hashtag_id=hashtag, fits=fits, note=note, set_by_id=by.pk)
    elif before.fits != fits:
        _measure_nobody_by(before)
        known.update(fits=fits, note=note, set_by=by.pk, set_at=timezone.now())
    for other in Campaign.objects.taking_votes().filter(gold_share__gt=0):
        ask_known_answers(campaign=other)
    return True


def _measure_nobody_by(known: GoldAnswer) -> None:
    """A mark that was wrong: what people answered since it was set tells nothing of how well they look."""
    votes = Vote.objects.answered().filter(photo_id=known.photo_id, hashtag_id=known.hashtag_id)
    for person, where, answer in votes.filter(created_at__gte=known.set_at).values_list(
        "person_id", "campaign_id", "answer"
    ):
        right = (answer == Vote.Answer.FITS) == known.fits
        Participation.objects.filter(person_id=person, campaign_id=where).update(
            gold=Greatest(F("gold") - 1, Value(0)),
            gold_right=Greatest(F("gold_right") - int(right), Value(0)),
        )
