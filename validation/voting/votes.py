"""Record a vote once, undo it, add to it. All counts change in the same transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from django.db import transaction
from django.db.models import DateTimeField, F, Min, Q, UUIDField, Value
from django.db.models.functions import Greatest
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from prometheus_client import Counter

from mapping.models import Hashtag
from validation.campaigns import ends
from validation.campaigns.counts import LOCKED_BY, update_needed
from validation.models import (
    Answer,
    Campaign,
    GoldAnswer,
    Participation,
    Photo,
    Question,
    QuestionLease,
    TakenBack,
    Vote,
)
from validation.models.answers import WITH_REASON
from validation.people import crowd
from validation.prepared import Prepared, PreparedDelete, PreparedInsert, PreparedUpdate, given
from validation.voting import assignment

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

WITHDRAWN = gettext_noop(
    "This photo has been withdrawn from the campaign, so your answer was not kept. Here is the next one."
)
ENOUGH = gettext_noop(
    "Others have answered this in the meantime, so your answer was not needed. Here is the next one."
)
PAUSED = gettext_noop("Your voting is paused. Your answers are kept, and an admin will look at them.")
OUT_OF_DATE = gettext_noop("This page was out of date, so your answer was not kept. Please answer again.")
OWN = gettext_noop("You added this photo yourself, so your answer was not kept. Here is the next one.")
VOTES = Counter("scenetag_votes", "Votes kept; those taken back are not subtracted.", ["answer"])
FAST = 0.7  # seconds: nobody can look at a photo, read a hashtag and judge in less


class VoteRefused(Exception):
    """A vote that is not kept; the message says why."""


class CampaignClosed(VoteRefused):
    """The campaign is closed and takes no more votes. Earlier votes are kept."""


class PersonPaused(VoteRefused):
    """The person is paused. Their earlier votes are kept."""


@transaction.atomic
def record_vote(
    *,
    campaign: Campaign,
    photo: Photo | int,
    hashtag: Hashtag | int,
    person: AbstractBaseUser,
    answer: str,
    request_id: UUID,
    seconds: float | None = None,
) -> Vote:
    """Keep one person's answer. `seconds` is from seeing the photo to answering, as the page measured it.

    Raises CampaignClosed, PersonPaused or VoteRefused. A repeat returns the first vote, even if the answer or
    request id differs: to change a vote, undo it and vote again. So a double click, a resent form and a
    second window never count twice. A copy that arrives after the undo is refused.
    """
    photo_id = photo if isinstance(photo, int) else photo.pk
    hashtag_id = hashtag if isinstance(hashtag, int) else hashtag.pk
    if answer not in Answer.values:
        raise VoteRefused(f"“{answer}” is not an answer.")
    crowd.hold(person)  # serialises copies of one request, and an undo
    pair = {"photo": photo_id, "hashtag": hashtag_id}
    earlier = EARLIER.first(**pair, person=person.pk)
    if earlier is not None:
        DROP_LEASES.run(**pair, person=person.pk)
        earlier.is_repeat = True
        return earlier
    _check_open(campaign)
    if crowd.is_paused(person):
        raise PersonPaused(PAUSED)
    questions = _lock_questions(photo_id, hashtag_id)
    question = next((one for one in questions if one.campaign_id == campaign.pk), None)
    if question is None:
        raise VoteRefused(WITHDRAWN)
    if question.photo.added_by_id == person.pk:
        raise VoteRefused(OWN)
    if TAKEN_BACK.exists(request=request_id):
        raise VoteRefused(OUT_OF_DATE)
    gold_answer = GOLD.first(**pair)
    if Answer(answer).is_judgement and gold_answer is None and not _has_room(question, person):
        raise VoteRefused(ENOUGH)
    vote = Vote(
        photo_id=photo_id,
        hashtag_id=hashtag_id,
        person_id=person.pk,
        campaign=campaign,
        answer=answer,
        request_id=request_id,
        author_named=campaign.is_authors,
        seconds=seconds,
        created_at=timezone.now(),
    )
    vote.pk = ADD_VOTE.run(**{name: getattr(vote, name) for name in VOTED})
    if vote.pk is None:  # the request id belongs to another question, or to somebody else
        raise VoteRefused(OUT_OF_DATE)
    vote._state.adding = False
    if not campaign.is_made_up:
        transaction.on_commit(VOTES.labels(answer).inc)
    _count(questions, vote, +1)
    done = [one.campaign for one in questions if one.is_done and one.campaign.takes_votes]

    def tell() -> None:  # no partial: Django asks for its name when it fails, and the voter would see a 500
        ends.tell_if_judged(done)

    transaction.on_commit(tell, robust=True)
    DROP_LEASES.run(**pair, person=person.pk)
    _add_to_participation(campaign, vote, question, gold_answer, +1)
    if gold_answer is not None:
        crowd.pause_if_careless(person)
    return vote


@transaction.atomic
def undo_vote(*, campaign: Campaign, person: AbstractBaseUser, request_id: UUID) -> Vote | None:
    """Take back the person's last vote in the campaign and return it; None if it is not the last (any more).

    The request id names the vote that the page offered to undo, so a repeated click does not take back a
    second vote, and nobody can take back the vote of somebody else. The question is leased to the person
    again. Raises CampaignClosed or PersonPaused.
    """
    crowd.hold(person)
    _check_open(campaign)
    if crowd.is_paused(person):
        raise PersonPaused(PAUSED)
    last = assignment.last_vote(campaign=campaign, person=person)
    if last is None or last.request_id != request_id:
        return None
    questions = _lock_questions(last.photo_id, last.hashtag_id)
    count, _ = Vote.objects.filter(pk=last.pk).delete()
    if not count:
        return None
    TakenBack.objects.create(request_id=last.request_id, person_id=person.pk)
    _count(questions, last, -1)
    question = next((one for one in questions if one.campaign_id == campaign.pk), None)
    gold_answer = GoldAnswer.objects.on_pair(last.photo_id, last.hashtag_id).first()
    _add_to_participation(campaign, last, question, gold_answer, -1)
    if question is not None:
        assignment.lease(question=question, person=person)
    return last


def say_more(
    *,
    campaign: Campaign,
    person: AbstractBaseUser,
    request_id: UUID,
    reason: str = "",
    would_post: bool | None = None,
) -> bool:
    """Add a reason or "would post" to one's own vote. False if there is no such vote (any more), or if its
    answer takes no reason. Raises CampaignClosed.
    """
    _check_open(campaign)
    votes = Vote.objects.filter(campaign=campaign, person_id=person.pk, request_id=request_id)
    changes: dict[str, object] = {}
    if reason:
        votes = votes.filter(answer__in=WITH_REASON)
        changes["reason"] = reason
    if would_post is not None:
        changes["would_post"] = would_post
    return bool(changes and votes.update(**changes))


def _check_open(campaign: Campaign) -> None:
    if not OPEN_CAMPAIGN.exists(campaign=campaign.pk, now=timezone.now()):
        raise CampaignClosed(
            _("“%(campaign)s” has been closed, so your last answer was not kept.") % {"campaign": campaign}
        )


def _lock_questions(photo_id: int, hashtag_id: int) -> list[Question]:
    """All campaigns' questions about this photo and hashtag, locked in the order of counts.LOCKED_BY."""
    return LOCKED.rows(photo=photo_id, hashtag=hashtag_id)


def _has_room(question: Question, person: AbstractBaseUser) -> bool:
    """Whether the vote is kept: the person was asked, or a seat is free. Who was asked has looked, so their
    answer counts also if others have completed the question meanwhile.
    """
    now, leases = timezone.now(), HOLDERS.rows(question=question.pk)
    if question.kind == Question.Kind.GOLD or any(holder == person.pk for holder, _ in leases):
        return True
    return question.answers + sum(ends > now for _, ends in leases) < question.needed


def _count(questions: list[Question], vote: Vote, step: int) -> None:
    """Update the counts of the questions: step is +1 for a new vote, −1 for a deleted one."""
    answer = Answer(vote.answer)
    for one in questions:
        if vote.author_named and not one.campaign.is_authors:
            continue
        one.add(answer, step)
        update_needed(one, one.campaign)
        if not one.answers:
            one.answered_at = None
        elif step > 0:
            one.answered_at = one.answered_at or vote.created_at
        elif one.answered_at == vote.created_at:
            others = Vote.objects.counting().counting_in(one.campaign).judgements()
            others = others.on_pair(vote.photo_id, vote.hashtag_id)
            one.answered_at = others.aggregate(first=Min("created_at"))["first"]
        changed = ("fits", "does_not_fit", "skips", "needed", "is_done", "answered_at")
        SET_COUNTS.run(pk=one.pk, **{field: getattr(one, field) for field in changed})


def _add_to_participation(
    campaign: Campaign, vote: Vote, question: Question | None, gold_answer: GoldAnswer | None, step: int
) -> None:
    """Update the person's counts. A gold answer counts only if it was marked before the vote."""
    answer = Answer(vote.answer)
    changes = {answer.counter: step}
    if answer.is_judgement:
        if vote.seconds is not None and vote.seconds < FAST:
            changes["fast"] = step
        if gold_answer is not None and vote.created_at >= gold_answer.set_at:
            changes["gold"] = step
            changes["gold_right"] = step * (answer.fits == gold_answer.fits)
        if question is not None and question.kind == Question.Kind.CONTROL:
            changes["control"] = step
            changes["control_fits"] = step * (answer.fits is True)
    if step > 0:
        ADD_PART.run(person_id=vote.person_id, campaign_id=campaign.pk, **changes)
        return
    row, _ = Participation.objects.get_or_create(person_id=vote.person_id, campaign=campaign)
    Participation.objects.filter(pk=row.pk).update(
        last_at=timezone.now(),
        **{field: Greatest(F(field) + by, Value(0)) for field, by in changes.items()},
    )


# --- prepared queries -------------------------------------------------------------------------

PHOTO, HASHTAG, PERSON = given("photo"), given("hashtag"), given("person")
NOW = given("now", DateTimeField())
VOTED = (
    "photo_id",
    "hashtag_id",
    "person_id",
    "campaign_id",
    "answer",
    "request_id",
    "author_named",
    "seconds",
    "created_at",
)
COUNTED = ("fits", "does_not_fit", "skips", "fast", "gold", "gold_right", "control", "control_fits")

EARLIER = Prepared(lambda: Vote.objects.on_pair(PHOTO, HASHTAG).filter(person_id=PERSON))
GOLD = Prepared(lambda: GoldAnswer.objects.on_pair(PHOTO, HASHTAG))
TAKEN_BACK = Prepared(
    lambda: TakenBack.objects.filter(request_id=given("request", UUIDField())).values_list("pk")
)
OPEN_CAMPAIGN = Prepared(
    lambda: (
        Campaign.objects.filter(Q(closes_at=None) | Q(closes_at__gt=NOW), pk=given("campaign"), is_open=True)
        .order_by()
        .values_list("pk")
    )
)
LOCKED = Prepared(
    lambda: (
        Question.objects.on_pair(PHOTO, HASHTAG)
        .order_by(*LOCKED_BY)
        .select_for_update(of=("self",))
        .select_related("campaign", "photo")
    )
)
HOLDERS = Prepared(
    lambda: QuestionLease.objects.filter(question_id=given("question")).values_list("person_id", "expires_at")
)
DROP_LEASES = PreparedDelete(
    lambda: QuestionLease.objects.filter(
        person_id=PERSON, question__in=Question.objects.on_pair(PHOTO, HASHTAG).order_by()
    )
)
SET_COUNTS = PreparedUpdate(
    lambda: (
        Question.objects.filter(pk=given("pk")),
        {
            field: given(field, Question._meta.get_field(field))
            for field in ("fits", "does_not_fit", "skips", "needed", "is_done", "answered_at")
        },
    )
)
ADD_VOTE = PreparedInsert(Vote, on_conflict="DO NOTHING")
_TABLE = Participation._meta.db_table
_SUMS = ", ".join(f"{field} = {_TABLE}.{field} + excluded.{field}" for field in COUNTED)
ADD_PART = PreparedInsert(
    Participation,
    on_conflict=f"(person_id, campaign_id) DO UPDATE SET last_at = excluded.last_at, {_SUMS}",
)
