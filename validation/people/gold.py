"""Gold answers: known answers to some questions, mixed in to see who looks carefully."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models import F, Q, QuerySet, Value
from django.db.models.functions import Greatest
from django.utils import timezone

from validation.campaigns.counts import delete, lock
from validation.campaigns.questions import ask_known_answers
from validation.models import Answer, Campaign, GoldAnswer, Participation, Question, QuestionQuerySet, Vote

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

LEAST = 3  # equal answers before a question is proposed


def clear(campaign: Campaign) -> QuestionQuerySet:
    """Questions that everybody answered alike and that are not marked yet, those with most answers first."""
    alike = Q(fits__gte=LEAST, does_not_fit=0) | Q(does_not_fit__gte=LEAST, fits=0)
    rows = _unmarked(campaign).filter(alike)
    # Both kinds are needed. Those that do not fit are rare, so they come first.
    rows = rows.order_by(F("does_not_fit").desc(), F("fits").desc(), "pk")
    return rows.select_related("photo", "hashtag")


def unanswered(campaign: Campaign) -> QuestionQuerySet:
    """Questions without an answer, in random order: an admin marks some before the crowd can be measured."""
    return _unmarked(campaign).unjudged().select_related("photo", "hashtag").order_by("rank")


def _unmarked(campaign: Campaign) -> QuestionQuerySet:
    kinds = (*Question.MAIN, Question.Kind.SILENCE)
    return Question.objects.of_campaign(campaign).without_gold_answer().offered().filter(kind__in=kinds)


def marked() -> QuerySet[GoldAnswer]:
    return GoldAnswer.objects.shown().select_related("photo", "hashtag").order_by("-pk")


@transaction.atomic
def decide(
    *, campaign: Campaign, by: AbstractBaseUser, photo: int, hashtag: int, answer: str, note: str = ""
) -> bool:
    """Mark the known answer for a photo and a hashtag ("fits", "does_not_fit"), or remove it ("unknown").
    If an answer is changed or removed, nobody is measured by it any more.

    All open campaigns ask about it from now on. False if the campaign does not ask about it and it is not
    marked: then the page was out of date. Safe to repeat.
    """
    questions = Question.objects.on_pair(photo, hashtag)
    lock(questions)  # votes on it wait, or are counted already
    marks = GoldAnswer.objects.on_pair(photo, hashtag)
    before = marks.first()
    if answer == "unknown":
        if before is None:
            return False
        _measure_nobody_by(before)
        marks.delete()
        delete(questions.gold())
        return True
    if not questions.of_campaign(campaign).exists():
        return False
    mark(photo=photo, hashtag=hashtag, fits=answer == "fits", note=note, by=by)
    return True


def mark(*, photo: int, hashtag: int, fits: bool, note: str, by: AbstractBaseUser) -> None:
    """Call it in a transaction that has locked the questions about the photo and the hashtag."""
    marks = GoldAnswer.objects.on_pair(photo, hashtag)
    before = marks.first()
    if before is None:
        GoldAnswer.objects.create(photo_id=photo, hashtag_id=hashtag, fits=fits, note=note, set_by_id=by.pk)
    elif before.fits != fits:
        _measure_nobody_by(before)
        marks.update(fits=fits, note=note, set_by=by.pk, set_at=timezone.now())
    for other in Campaign.objects.taking_votes().filter(gold_share__gt=0):
        ask_known_answers(campaign=other)


def _measure_nobody_by(mark: GoldAnswer) -> None:
    """Take answers to a wrong mark out of people's counts: they say nothing about how well somebody looks."""
    votes = Vote.objects.judgements().on_pair(mark.photo_id, mark.hashtag_id)
    for person, where, answer in votes.filter(created_at__gte=mark.set_at).values_list(
        "person_id", "campaign_id", "answer"
    ):
        right = Answer(answer).fits == mark.fits
        Participation.objects.filter(person_id=person, campaign_id=where).update(
            gold=Greatest(F("gold") - 1, Value(0)),
            gold_right=Greatest(F("gold_right") - int(right), Value(0)),
        )
