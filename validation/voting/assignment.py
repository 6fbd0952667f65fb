"""Which question a person gets next. Questions are leased when a page asks for them, never in advance.

A lease counts as an answer to come until it expires, so questions with a free seat come first. Somebody for
whom none has one gets a question that others hold and have not answered: they may never do so, and an answer
too many does no harm (decision 0036). So only who has nothing to be asked about reads "all done".

The next question comes from one of two streams: audit, the lowest random rank of all open questions, and
active, the lowest rank in the stratum that teaches most (decision 0012). Controls, known answers and silent
suggestions are mixed in at random.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models import (
    Count,
    Exists,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
)
from django.db.models.functions import Coalesce
from django.utils import timezone

from validation.models import Campaign, Participation, Question, QuestionLease, QuestionQuerySet, Vote
from validation.models.answers import ANSWERS
from validation.models.questions import QuestionLeaseQuerySet, has_gold_answer
from validation.voting.teaching import CHANCE, what_teaches_most

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

LEASE = timedelta(minutes=10)
KEPT = timedelta(days=1)  # for which an ended lease still shows that its person was asked
COUNTED = 100  # questions left are counted up to this number: beyond it, counting is slow and of no use
SECONDS = 5  # for one photo, of a careful person: a guess, told to guests before they start
GOLD_AT_HAND = 50
PASSES = 6  # over the open questions: the first waits for no lock; each later one may lose a race for a seat

Kind, Stream = Question.Kind, Question.Stream
TO_THE_END = (Kind.SUGGESTION, Kind.CONTROL, Kind.SILENCE)  # gold questions are never done
TO_BE_ANSWERED = Q(is_done=False, kind__in=TO_THE_END)


@dataclass(frozen=True)
class Progress:
    """How far one person is in one campaign. `done` counts known answers, and `total` expects its share of
    them, so that the numbers do not reveal which question was one.
    """

    done: int
    left: int  # COUNTED at most
    total: int

    @property
    def is_capped(self) -> bool:
        return self.left >= COUNTED


def next_questions(
    *, campaign: Campaign, person: AbstractBaseUser, photo: int | None = None, most: int = 1
) -> list[Question]:
    """Up to `most` questions for this person, leased to them; empty if nothing is left.

    Questions that were leased before and not answered come first, in their order: a reload avoids none. Those
    that others have completed since are left out, except the one about `photo`, whose answer was undone.
    """
    if not campaign.takes_votes:
        return []
    questions = _handed_out(campaign, person, photo)[:most]
    while len(questions) < most:
        question = _draw(campaign, person, beyond_seats=not questions)
        if question is None:
            break
        questions.append(question)
    return questions


def progress(*, campaign: Campaign, person: AbstractBaseUser) -> Progress:
    """How many questions the person answered here, and how many are left for them."""
    part = Participation.objects.filter(campaign=campaign, person_id=person.pk).first()
    n_done = part.votes_given if part else 0
    if not campaign.takes_votes:
        return Progress(n_done, 0, n_done)
    rows = _to_answer(campaign, person).filter(TO_BE_ANSWERED)
    left = rows.filter(rank__gte=part.front).order_by()[:COUNTED].count() if part and part.front else 0
    if left < COUNTED:
        left = rows.order_by()[:COUNTED].count()
    plain = n_done - (part.gold if part else 0)
    gold = round((plain + left) * campaign.gold_share) if campaign.gold_share and _has_gold(campaign) else 0
    return Progress(n_done, left, max(n_done + left, plain + left + gold) if left else n_done)


@dataclass(frozen=True)
class Effort:
    """What waits for somebody who has not come yet."""

    photos: int  # COUNTED at most

    @property
    def is_capped(self) -> bool:
        return self.photos >= COUNTED

    @property
    def minutes(self) -> int:
        return max(1, round(self.photos * SECONDS / 60))


def effort(campaign: Campaign) -> Effort:
    rows = Question.objects.of_campaign(campaign).offered().filter(TO_BE_ANSWERED).order_by()
    return Effort(rows[:COUNTED].count())


@dataclass(frozen=True)
class Assignment:
    """One person's questions and progress in one campaign, for the page."""

    questions: list[Question]  # the current one and those that follow; empty: all done
    progress: Progress
    last_vote: Vote | None  # what undo takes back

    @property
    def question(self) -> Question | None:
        return self.questions[0] if self.questions else None

    @property
    def done(self) -> int:
        return self.progress.done

    @property
    def total(self) -> int:
        return self.progress.total

    @property
    def number(self) -> int:
        return min(self.done + 1, self.total)


def assign(
    *, campaign: Campaign, person: AbstractBaseUser, photo: int | None = None, most: int = 2
) -> Assignment:
    """The next questions; after an undo the one about this photo first, if it is leased to the person."""
    questions = next_questions(campaign=campaign, person=person, photo=photo, most=most)
    questions.sort(key=lambda one: one.photo_id != photo)
    last = own_votes(campaign=campaign, person=person).first()
    return Assignment(questions, progress(campaign=campaign, person=person), last)


def own_votes(*, campaign: Campaign, person: AbstractBaseUser) -> QuerySet[Vote]:
    """The person's votes in the campaign, newest first."""
    return Vote.objects.filter(campaign=campaign, person_id=person.pk).order_by("-pk")


def answered_by(person: AbstractBaseUser, *, only_unseen: bool) -> Q:
    """Questions whose photo this person voted on: anywhere, or, without `only_unseen`, in the same campaign
    or about the same hashtag.
    """
    votes = Vote.objects.filter(person_id=person.pk, photo_id=OuterRef("photo_id"))
    if not only_unseen:
        votes = votes.filter(Q(campaign_id=OuterRef("campaign_id")) | Q(hashtag_id=OuterRef("hashtag_id")))
    return Q(Exists(votes))


def live_leases(question_ref: str = "pk") -> QuestionLeaseQuerySet:
    return QuestionLease.objects.live().filter(question_id=OuterRef(question_ref))


def lease(*, question: Question, person: AbstractBaseUser) -> None:
    """Lease a question to the person, starting now."""
    QuestionLease.objects.update_or_create(
        question=question, person_id=person.pk, defaults={"expires_at": timezone.now() + LEASE}
    )


# --- what is open -----------------------------------------------------------------------------


def _handed_out(campaign: Campaign, person: AbstractBaseUser, photo: int | None) -> list[Question]:
    """Questions leased to the person, without photos that they have answered since in another campaign."""
    questions = (
        Question.objects.of_campaign(campaign)
        .offered()
        .filter(
            ~answered_by(person, only_unseen=campaign.only_unseen),
            Q(is_done=False) | has_gold_answer() | Q(photo_id=photo),
            leases__person_id=person.pk,
            leases__expires_at__gt=timezone.now(),
        )
    )
    return list(questions.order_by("leases__pk").select_related("photo", "hashtag"))


def _to_answer(campaign: Campaign, person: AbstractBaseUser) -> QuestionQuerySet:
    """Questions of the campaign that this person may be asked: none about a blocked hashtag, a photo of their
    own, or one they voted on (see `answered_by`).
    """
    rows = Question.objects.of_campaign(campaign).offered().exclude(photo__added_by_id=person.pk)
    return rows.exclude(answered_by(person, only_unseen=campaign.only_unseen))


def _open_for(campaign: Campaign, person: AbstractBaseUser) -> QuestionQuerySet:
    """The same without photos that they hold a question about."""
    leases = QuestionLease.objects.live().filter(
        person_id=person.pk, question__photo_id=OuterRef("photo_id"), question__campaign=campaign
    )
    return _to_answer(campaign, person).filter(~Exists(leases))


def _wants_answers() -> Q:
    """Condition on questions: a seat is free."""
    return Q(is_done=False, needed__gt=ANSWERS + _count_leases())


def _count_leases() -> Coalesce:
    leases = live_leases().order_by().values("question_id").annotate(n=Count("pk")).values("n")
    return Coalesce(Subquery(leases), 0)


def _has_gold(campaign: Campaign) -> bool:
    return Question.objects.of_campaign(campaign).with_gold_answer().offered().exists()


# --- drawing ----------------------------------------------------------------------------------


def _draw(campaign: Campaign, person: AbstractBaseUser, *, beyond_seats: bool) -> Question | None:
    """Try without waiting for locks first. If nothing else is left, wait: nobody should read "all done"
    because another person, who may skip, holds the last question. Only a person without any other question
    gets one `beyond_seats`, so that few are answered too often.
    """
    fronts = Participation.objects.filter(campaign=campaign, person_id=person.pk).values_list(
        "front", flat=True
    )
    front = fronts.first() or 0.0
    for number in range(PASSES):
        if question := _draw_by_kind(campaign, person, front, wait=number > 0):
            return question
        if not _has_free_seat(campaign, person, front):
            break
    return _draw_beyond_seats(campaign, person) if beyond_seats else None


def _draw_beyond_seats(campaign: Campaign, person: AbstractBaseUser) -> Question | None:
    """A question whose missing answers are all expected from others: of those that the fewest hold, the one
    with the lowest rank.
    """
    rows = _open_for(campaign, person).filter(TO_BE_ANSWERED).order_by(_count_leases(), "rank")
    for _ in range(PASSES):  # the first may be completed, or withdrawn, while we wait for it
        question = _lease_first(rows, person, if_still=Q(is_done=False), wait=True)
        if question or not rows.exists():
            return question
    return None


def _draw_by_kind(
    campaign: Campaign, person: AbstractBaseUser, front: float, *, wait: bool
) -> Question | None:
    for kind in _order_of_kinds(campaign, CHANCE.random()):
        if kind == Kind.GOLD and not _has_free_seat(campaign, person, front):
            continue  # known answers are only mixed among other questions
        if question := _take(campaign, person, kind, front, wait):
            return question
    return None


def _order_of_kinds(campaign: Campaign, chance: float) -> list[str]:
    """The kind that was drawn at random, then all kinds that can be completed, in case it has no question."""
    shares = (
        (Kind.GOLD, campaign.gold_share),
        (Kind.CONTROL, campaign.control_share),
        (Kind.SILENCE, campaign.silence_share),
    )
    for kind, share in shares:
        if chance < share:
            return [kind, *(one for one in TO_THE_END if one != kind)]
        chance -= share
    return list(TO_THE_END)


def _has_free_seat(campaign: Campaign, person: AbstractBaseUser, front: float) -> bool:
    rows = _open_for(campaign, person).filter(_wants_answers(), kind__in=TO_THE_END)
    return rows.filter(rank__gte=front).exists() or rows.filter(rank__lt=front).exists()


def _take(
    campaign: Campaign, person: AbstractBaseUser, kind: str, front: float, wait: bool
) -> Question | None:
    if kind == Kind.GOLD:
        rows = _open_for(campaign, person).with_gold_answer()
        at_hand = list(rows.order_by("rank").values_list("pk", flat=True)[:GOLD_AT_HAND])
        return _lease_first(Question.objects.filter(pk=CHANCE.choice(at_hand)), person) if at_hand else None
    rows = _open_for(campaign, person).filter(_wants_answers(), kind=kind)
    if kind != Kind.SUGGESTION:
        return _lease_first(rows.order_by("rank"), person, Stream.AUDIT, wait=wait)
    if CHANCE.random() >= campaign.audit_share:
        for hashtag, band in what_teaches_most(campaign):
            stratum = rows.filter(hashtag=hashtag, band=band)
            if question := _lease_in_turn(stratum, person, Stream.ACTIVE, front, wait):
                return question
    question = _lease_in_turn(rows, person, Stream.AUDIT, front, wait)
    if question and question.rank != front:
        Participation.objects.filter(campaign=campaign, person_id=person.pk).update(front=question.rank)
    return question


def _lease_in_turn(
    rows: QuestionQuerySet, person: AbstractBaseUser, stream: str, front: float, wait: bool
) -> Question | None:
    """The lowest rank from the person's front on, then questions that have opened again behind it. The front
    saves people with thousands of answers a search through all of them. It does not bias the sample, because
    ranks are random.
    """
    ahead = _lease_first(rows.filter(rank__gte=front).order_by("rank"), person, stream, wait=wait)
    return ahead or _lease_first(rows.filter(rank__lt=front).order_by("rank"), person, stream, wait=wait)


@transaction.atomic
def _lease_first(
    rows: QuestionQuerySet,
    person: AbstractBaseUser,
    stream: str = "",
    *,
    if_still: Q | None = None,
    wait: bool = False,
) -> Question | None:
    """Lease the first of these questions that nobody else has locked; with `wait`, the first of all.

    Conditions are checked again under the lock, because before it the person may have voted, or `if_still`
    may have become false: with a stream, somebody else may have taken the last seat.
    """
    free = rows.select_for_update(skip_locked=not wait, of=("self",))
    question = free.select_related("photo", "hashtag", "campaign").first()
    if question is None:
        return None
    may_be_asked = ~answered_by(person, only_unseen=question.campaign.only_unseen)
    if stream:
        may_be_asked &= _wants_answers()
    if if_still is not None:
        may_be_asked &= if_still
    if not Question.objects.offered().filter(may_be_asked, pk=question.pk).exists():
        return None
    if stream and not question.stream:
        Question.objects.filter(pk=question.pk).update(stream=stream)
    QuestionLease.objects.ended(KEPT).filter(person_id=person.pk).delete()
    lease(question=question, person=person)
    return question
