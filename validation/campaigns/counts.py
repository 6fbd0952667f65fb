"""Counts the votes on each question, and decides when it has enough answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import TypeVar

from django.db import transaction
from django.db.models import Case, Count, F, Min, Q, Value, When
from django.db.models.functions import Least

from validation.models import Answer, Campaign, Question, QuestionQuerySet, Vote
from validation.models.answers import ANSWERS, COUNTERS

CHUNK = 2000  # rows at a time
SLACK = timedelta(minutes=1)
LOCKED_BY = ("photo_id", "hashtag_id", "pk")
COUNTED = (*COUNTERS.values(), "needed", "is_done", "answered_at")
Pair = tuple[int, int]  # photo, hashtag
Row = TypeVar("Row")


def count_needed(*, votes_per_photo: int, extra_votes: int, fits: int, does_not_fit: int) -> int:
    """How many answers a question needs: the campaign's number, then one more at a time, up to `extra_votes`
    more, while people disagree. They disagree if both answers were given and differ by one vote at most.
    """
    split = min(fits, does_not_fit) > 0 and abs(fits - does_not_fit) <= 1
    if not split or fits + does_not_fit < votes_per_photo:
        return votes_per_photo
    return min(votes_per_photo + extra_votes, fits + does_not_fit + 1)


def update_needed(question: Question, campaign: Campaign) -> None:
    """Set needed and is_done from the question's counts, without saving. Gold questions are never done:
    everybody is asked about them.
    """
    if question.kind == Question.Kind.GOLD:
        return
    question.needed = count_needed(
        votes_per_photo=campaign.votes_per_photo,
        extra_votes=campaign.extra_votes if question.kind in Question.MAIN else 0,
        fits=question.fits,
        does_not_fit=question.does_not_fit,
    )
    question.is_done = question.answers >= question.needed


def update_all_needed(campaign: Campaign) -> None:
    """Like `update_needed`, for every question of the campaign, after a change of its rules; saves them."""
    rows = Question.objects.of_campaign(campaign).exclude(kind=Question.Kind.GOLD)
    votes = campaign.votes_per_photo
    margin_of_one = Q(fits__lte=F("does_not_fit") + 1, does_not_fit__lte=F("fits") + 1)
    enough_to_see = Q(fits__gte=votes - F("does_not_fit"))
    split = margin_of_one & enough_to_see & Q(fits__gt=0, does_not_fit__gt=0)
    more = Least(Value(votes + campaign.extra_votes), ANSWERS + 1)
    extra = When(split & Q(kind__in=Question.MAIN), then=more)
    pks = lock(rows)
    for some in in_parts(pks, CHUNK):
        part = Question.objects.filter(pk__in=some)
        part.update(needed=Case(extra, default=Value(votes)))
        part.update(is_done=Case(When(needed__lte=ANSWERS, then=Value(True)), default=Value(False)))


def recount(pairs: Iterable[Pair]) -> int:
    """Count the votes on these photos and hashtags again, in every campaign that asks about them.

    Returns how many questions were counted. Call it in a transaction. Questions are locked in the same order
    as everywhere else, across parts too, so that two transactions cannot deadlock.
    """
    number = 0
    for some in in_parts(sorted(set(pairs)), CHUNK // 4):
        rows = Question.objects.filter(photo_id__in={photo for photo, _ in some})
        keys = set(some)
        questions = [
            one
            for one in rows.select_for_update(of=("self",)).order_by(*LOCKED_BY).select_related("campaign")
            if (one.photo_id, one.hashtag_id) in keys
        ]
        count_votes(questions)
        for one in questions:
            update_needed(one, one.campaign)
        # An upsert, because bulk_update builds a CASE expression for each row and field and takes 15 times as
        # long. The rows are locked: they are all there.
        Question.objects.bulk_create(
            questions, batch_size=500, update_conflicts=True, unique_fields=["id"], update_fields=COUNTED
        )
        number += len(questions)
    return number


@transaction.atomic
def count_votes_since(began: datetime) -> int:
    """Count again all questions that got votes since then. A vote given while make_questions was working
    could not see the new questions, so it was not counted there. Call this once they are committed.

    Starts a little earlier: a vote is dated by another machine's clock, before it is saved.
    """
    votes = Vote.objects.filter(created_at__gte=began - SLACK).order_by()
    return recount(votes.values_list("photo_id", "hashtag_id").distinct())


def lock(rows: QuestionQuerySet) -> list[int]:
    """Lock these questions in the one order that all code uses (decision 0016); returns their keys."""
    return list(rows.select_for_update(of=("self",)).order_by(*LOCKED_BY).values_list("pk", flat=True))


def delete(rows: QuestionQuerySet) -> None:
    """Delete questions and their leases. Locks the questions first, as a vote does."""
    for some in in_parts(lock(rows), CHUNK):
        Question.objects.filter(pk__in=some).delete()


def count_votes(questions: list[Question]) -> None:
    photos = {question.photo_id for question in questions}
    votes = Vote.objects.counting().filter(photo_id__in=photos).order_by()
    counts: Counter[tuple[int, int, bool, Answer]] = Counter()
    first: dict[tuple[int, int, bool], datetime] = {}
    fields = ("photo_id", "hashtag_id", "author_named", "answer")
    for photo, hashtag, named, answer, n, at in votes.values_list(*fields).annotate(
        n=Count("pk"), at=Min("created_at")
    ):
        # An authors' campaign counts all votes, others only those of voters who were not told of the author.
        for is_authors in {True, named}:
            counts[photo, hashtag, is_authors, Answer(answer)] += n
            if Answer(answer).is_judgement:
                key = photo, hashtag, is_authors
                first[key] = min(at, first.get(key, at))
    for question in questions:
        key = question.photo_id, question.hashtag_id, question.campaign.is_authors
        question.fits = question.does_not_fit = question.skips = 0
        for answer in Answer:
            question.add(answer, counts[*key, answer])
        question.answered_at = first.get(key)


def in_parts(rows: list[Row], size: int) -> Iterator[list[Row]]:
    for at in range(0, len(rows), size):
        yield rows[at : at + size]
