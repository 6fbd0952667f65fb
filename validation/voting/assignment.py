"""Which question a person gets next. Questions are leased when a page asks for them, never in advance.

A lease counts as an answer to come until it expires, so questions with a free seat come first. Somebody for
whom none has one gets a question that others hold and have not answered: they may never do so, and an answer
too many does no harm (decision 0038). So only who has nothing to be asked about reads "all done".

The next question comes from one of two streams: audit, the lowest random rank of all open questions, and
active, the lowest rank in the stratum that teaches most (decision 0012). Controls, known answers and silent
suggestions are mixed in at random.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models import (
    Count,
    DateTimeField,
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
from validation.prepared import Prepared, PreparedDelete, PreparedInsert, PreparedUpdate, given
from validation.voting.teaching import CHANCE, what_teaches_most

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

LEASE = timedelta(minutes=10)
KEPT = timedelta(days=1)  # for which an ended lease still shows that its person was asked
COUNTED = 100  # questions left are counted up to this number: beyond it, counting is slow and of no use
GOLD_AT_HAND = 50
SECONDS = 5  # for one photo, of a careful person: a guess, told to guests before they start
PASSES = 6  # over the open questions: the first waits for no lock; each later one may lose a race for a seat

Kind, Stream = Question.Kind, Question.Stream
TO_THE_END = (*Question.MAIN, Kind.CONTROL, Kind.SILENCE)  # gold questions are never done
TO_BE_ANSWERED = Q(is_done=False, kind__in=TO_THE_END)

SEAT, OPEN = "seat", "open"  # what must still be true of a question when its lock is held

# The places of values in the prepared queries at the end of this module.
CAMPAIGN, PERSON, FRONT, NOW = (
    given("campaign"),
    given("person"),
    given("front", float),
    given("now", DateTimeField()),
)


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
    questions = HANDED_OUT.rows(campaign.only_unseen, **_values(campaign, person), photo=photo or 0)[:most]
    while len(questions) < most:
        question = _draw(campaign, person, beyond_seats=not questions)
        if question is None:
            break
        questions.append(question)
    return questions


def progress(*, campaign: Campaign, person: AbstractBaseUser) -> Progress:
    """How many questions the person answered here, and how many are left for them."""
    part = _participation(campaign, person)
    n_done = part.votes_given if part else 0
    if not campaign.takes_votes:
        return Progress(n_done, 0, n_done)
    values = _values(campaign, person)
    left = 0
    if part and part.front:
        left = len(LEFT.rows(campaign.only_unseen, True, **values, front=part.front))
    if left < COUNTED:
        left = len(LEFT.rows(campaign.only_unseen, False, **values))
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
    # Counted first: a vote of this person that arrives in between must not be counted and asked for again.
    counts = progress(campaign=campaign, person=person)
    questions = next_questions(campaign=campaign, person=person, photo=photo, most=most)
    questions.sort(key=lambda one: one.photo_id != photo)
    return Assignment(questions, counts)


def last_vote(*, campaign: Campaign, person: AbstractBaseUser) -> Vote | None:
    """What undo takes back, with its photo and hashtag."""
    return LAST_VOTE.first(campaign=campaign.pk, person=person.pk)


def answered_by(person: Any, *, only_unseen: bool) -> Q:
    """Questions whose photo this person (a key) voted on: anywhere, or, without `only_unseen`, in the same
    campaign or about the same hashtag.
    """
    votes = Vote.objects.filter(person_id=person, photo_id=OuterRef("photo_id"))
    if not only_unseen:
        votes = votes.filter(Q(campaign_id=OuterRef("campaign_id")) | Q(hashtag_id=OuterRef("hashtag_id")))
    return Q(Exists(votes))


def live_leases() -> QuestionLeaseQuerySet:
    return QuestionLease.objects.live(NOW).filter(question_id=OuterRef("pk"))


def lease(*, question: Question, person: AbstractBaseUser) -> None:
    """Lease a question to the person, starting now."""
    ADD_LEASE.run(question_id=question.pk, person_id=person.pk, expires_at=timezone.now() + LEASE)


# --- what is open -----------------------------------------------------------------------------


def _handed_out(only_unseen: bool) -> QuestionQuerySet:
    """Questions leased to the person, without photos that they have answered since in another campaign."""
    questions = (
        Question.objects.filter(campaign_id=CAMPAIGN)
        .offered()
        .filter(
            ~answered_by(PERSON, only_unseen=only_unseen),
            Q(is_done=False) | has_gold_answer() | Q(photo_id=given("photo")),
            leases__person_id=PERSON,
            leases__expires_at__gt=NOW,
        )
    )
    return questions.order_by("leases__pk").select_related("photo", "hashtag")


def _to_answer(only_unseen: bool) -> QuestionQuerySet:
    """Questions of the campaign that this person may be asked: none about a blocked hashtag, a photo of their
    own, or one they voted on (see `answered_by`).
    """
    rows = Question.objects.filter(campaign_id=CAMPAIGN).offered().exclude(photo__added_by_id=PERSON)
    return rows.exclude(answered_by(PERSON, only_unseen=only_unseen))


def _open_for(only_unseen: bool) -> QuestionQuerySet:
    """The same without photos that they hold a question about."""
    leases = QuestionLease.objects.live(NOW).filter(
        person_id=PERSON, question__photo_id=OuterRef("photo_id"), question__campaign_id=CAMPAIGN
    )
    return _to_answer(only_unseen).filter(~Exists(leases))


def _wants_answers() -> Q:
    """Condition on questions: a seat is free."""
    return Q(is_done=False, needed__gt=ANSWERS + _count_leases())


def _count_leases() -> Coalesce:
    leases = live_leases().order_by().values("question_id").annotate(n=Count("pk")).values("n")
    return Coalesce(Subquery(leases), 0)


def _has_gold(campaign: Campaign) -> bool:
    return SOME_GOLD.exists(campaign=campaign.pk)


def _participation(campaign: Campaign, person: AbstractBaseUser) -> Participation | None:
    return PARTICIPATION.first(campaign=campaign.pk, person=person.pk)


# --- drawing ----------------------------------------------------------------------------------


def _draw(campaign: Campaign, person: AbstractBaseUser, *, beyond_seats: bool) -> Question | None:
    """Try without waiting for locks first. If nothing else is left, wait: nobody should read "all done"
    because another person, who may skip, holds the last question. Only a person without any other question
    gets one `beyond_seats`, so that few are answered too often.
    """
    part = _participation(campaign, person)
    front = part.front if part else 0.0
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
    for _ in range(PASSES):  # the first may be completed, or withdrawn, while we wait for it
        find = partial(BEYOND_SEATS.first, campaign.only_unseen, **_values(campaign, person))
        question = _lease_first(find, campaign, person, if_still=OPEN)
        if question or not SOME_BEYOND.exists(campaign.only_unseen, **_values(campaign, person)):
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
    main, other = (Kind.AUTHOR, Kind.SUGGESTION) if campaign.is_authors else Question.MAIN
    rest = [main, *(kind for kind in TO_THE_END if kind not in (main, other))]
    shares = (
        (Kind.GOLD, campaign.gold_share),
        (Kind.CONTROL, campaign.control_share),
        (Kind.SILENCE, campaign.silence_share),
    )
    for kind, share in shares:
        if chance < share:
            return [kind, *(one for one in rest if one != kind)]
        chance -= share
    return [*rest]


def _has_free_seat(campaign: Campaign, person: AbstractBaseUser, front: float) -> bool:
    values = _values(campaign, person) | {"front": front}
    return any(SOME_OPEN.exists(campaign.only_unseen, is_ahead, **values) for is_ahead in (True, False))


def _take(
    campaign: Campaign, person: AbstractBaseUser, kind: str, front: float, wait: bool
) -> Question | None:
    values = _values(campaign, person) | {"kind": kind}
    if kind == Kind.GOLD:
        at_hand = OPEN_GOLD.rows(campaign.only_unseen, **_values(campaign, person))
        if not at_hand:
            return None
        find = partial(ONE.first, pk=CHANCE.choice(at_hand)[0])
        return _lease_first(find, campaign, person)
    if kind not in Question.MAIN:
        find = partial(FIRST_OPEN.first, campaign.only_unseen, "", False, wait, **values)
        return _lease_first(find, campaign, person, Stream.AUDIT, if_still=SEAT)
    values["front"] = front
    if CHANCE.random() >= campaign.audit_share:
        for hashtag, band in what_teaches_most(campaign):
            stratum = values | {"hashtag": hashtag, "band": band}
            if question := _lease_in_turn(campaign, person, Stream.ACTIVE, wait, stratum):
                return question
    question = _lease_in_turn(campaign, person, Stream.AUDIT, wait, values)
    if question and question.rank != front:
        SET_FRONT.run(campaign=campaign.pk, person=person.pk, front=question.rank)
    return question


def _lease_in_turn(
    campaign: Campaign, person: AbstractBaseUser, stream: str, wait: bool, values: dict[str, Any]
) -> Question | None:
    """The lowest rank from the person's front on, then questions that have opened again behind it. The front
    saves people with thousands of answers a search through all of them. It does not bias the sample, because
    ranks are random.
    """
    for side in ("ahead", "behind"):
        find = partial(FIRST_OPEN.first, campaign.only_unseen, side, "band" in values, wait, **values)
        if question := _lease_first(find, campaign, person, stream, if_still=SEAT):
            return question
    return None


@transaction.atomic
def _lease_first(
    find: Callable[[], Question | None],
    campaign: Campaign,
    person: AbstractBaseUser,
    stream: str = "",
    *,
    if_still: str = "",
) -> Question | None:
    """Lease the question that `find` finds and locks.

    Conditions are checked again under the lock, because before it the person may have voted, somebody else
    may have taken the last seat (`if_still` SEAT), or the question may have been completed (OPEN).
    """
    question = find()
    if question is None:
        return None
    values = {"pk": question.pk, "person": person.pk, "now": timezone.now()}
    if not STILL_OPEN.exists(campaign.only_unseen, if_still, **values):
        return None
    if stream and not question.stream:
        SET_STREAM.run(pk=question.pk, stream=stream)
    DROP_ENDED.run(person=person.pk, now=values["now"] - KEPT)
    lease(question=question, person=person)
    return question


# --- prepared queries -------------------------------------------------------------------------


def _values(campaign: Campaign, person: AbstractBaseUser) -> dict[str, Any]:
    return {"campaign": campaign.pk, "person": person.pk, "now": timezone.now()}


def _side(rows: QuestionQuerySet, is_ahead: bool) -> QuestionQuerySet:
    return rows.filter(rank__gte=FRONT) if is_ahead else rows.filter(rank__lt=FRONT)


def _left(only_unseen: bool, is_ahead: bool) -> QuerySet[Question, tuple[int]]:
    rows = _to_answer(only_unseen).filter(TO_BE_ANSWERED)
    rows = rows.filter(rank__gte=FRONT) if is_ahead else rows
    return rows.order_by().values_list("pk")[:COUNTED]


def _first_open(only_unseen: bool, side: str, in_stratum: bool, wait: bool) -> QuestionQuerySet:
    """The question of lowest rank that nobody else has locked; with `wait`, the first of all."""
    rows = _open_for(only_unseen).filter(_wants_answers(), kind=given("kind", str))
    if side:
        rows = _side(rows, side == "ahead")
    if in_stratum:
        rows = rows.filter(hashtag_id=given("hashtag"), band=given("band"))
    rows = rows.select_for_update(skip_locked=not wait, of=("self",))
    return rows.select_related("photo", "hashtag").order_by("rank")[:1]


def _still_open(only_unseen: bool, condition: str) -> QuerySet[Question, tuple[int]]:
    may_be_asked = ~answered_by(PERSON, only_unseen=only_unseen)
    if condition:
        may_be_asked &= _wants_answers() if condition == SEAT else Q(is_done=False)
    return Question.objects.offered().filter(may_be_asked, pk=given("pk")).order_by().values_list("pk")


HANDED_OUT = Prepared(_handed_out)
FIRST_OPEN = Prepared(_first_open)
STILL_OPEN = Prepared(_still_open)
LEFT = Prepared(_left)
BEYOND_SEATS = Prepared(
    lambda only_unseen: (
        _open_for(only_unseen)
        .filter(TO_BE_ANSWERED)
        .select_for_update(of=("self",))
        .select_related("photo", "hashtag")
        .order_by(_count_leases(), "rank")[:1]
    )
)
SOME_BEYOND = Prepared(
    lambda only_unseen: _open_for(only_unseen).filter(TO_BE_ANSWERED).order_by().values_list("pk")[:1]
)
SOME_OPEN = Prepared(
    lambda only_unseen, is_ahead: (
        _side(_open_for(only_unseen).filter(_wants_answers(), kind__in=TO_THE_END), is_ahead)
        .order_by()
        .values_list("pk")[:1]
    )
)
OPEN_GOLD = Prepared(
    lambda only_unseen: (
        _open_for(only_unseen).with_gold_answer().order_by("rank").values_list("pk")[:GOLD_AT_HAND]
    )
)
SOME_GOLD = Prepared(
    lambda: (
        Question.objects.filter(campaign_id=CAMPAIGN)
        .with_gold_answer()
        .offered()
        .order_by()
        .values_list("pk")[:1]
    )
)
ONE = Prepared(
    lambda: (
        Question.objects.filter(pk=given("pk"))
        .select_for_update(skip_locked=True, of=("self",))
        .select_related("photo", "hashtag")
    )
)
LAST_VOTE = Prepared(
    lambda: (
        Vote.objects.filter(campaign_id=CAMPAIGN, person_id=PERSON)
        .order_by("-pk")
        .select_related("photo", "hashtag")[:1]
    )
)
PARTICIPATION = Prepared(lambda: Participation.objects.filter(campaign_id=CAMPAIGN, person_id=PERSON))
SET_FRONT = PreparedUpdate(
    lambda: (Participation.objects.filter(campaign_id=CAMPAIGN, person_id=PERSON), {"front": FRONT})
)
SET_STREAM = PreparedUpdate(
    lambda: (Question.objects.filter(pk=given("pk")), {"stream": given("stream", str)})
)
DROP_ENDED = PreparedDelete(lambda: QuestionLease.objects.ended(NOW).filter(person_id=PERSON))
ADD_LEASE = PreparedInsert(
    QuestionLease,
    on_conflict="(question_id, person_id) DO UPDATE SET expires_at = excluded.expires_at",
)
