"""Keeps what networks report about answers: once, in whatever order it comes.

Of two events of one answer the later by its own time holds, and `shown` never holds against what followed it.
For equal times the kind decides, and then the hashtag. So any order of the same events, with any repetitions,
leads to the same row.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from serving.answer_ids import Answer, NoSuchAnswer, read_id
from serving.models import Feedback, FeedbackTally
from serving.models.tallies import add_counts
from trainer.models import TrainedModel

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

CLOCKS = timedelta(minutes=5)  # by which the clocks of a network and of this site may differ
BATCH = 500  # rows a statement
ORDER = {event: place for place, event in enumerate(Feedback.Event.values)}


class Refused(ValueError):
    """An event cannot be kept. `field` is the one that is wrong."""

    def __init__(self, field: str, words: str) -> None:
        super().__init__(words)
        self.field = field


@dataclass(frozen=True)
class Event:
    """What somebody did with an answer. `hashtag` is what it was replaced by, and empty for other events."""

    answer: Answer
    event: str
    at: datetime
    hashtag: str = ""


def read_event(*, answer: str, event: str, at: datetime, hashtag: str, account: int) -> Event:
    """Check what can be checked without the database. Raises Refused.

    `answer` is an id, `account` who sends it. `hashtag` is spelt as we store hashtags.
    """
    try:
        given = read_id(answer)
    except NoSuchAnswer as error:
        raise Refused("answer", str(error)) from error
    if given.account != account:
        raise Refused("answer", "This answer was given to another account.")
    now, days = timezone.now(), settings.FEEDBACK_DAYS
    if now - given.given_at > timedelta(days=days):
        raise Refused(
            "answer", f"This answer is of {given.given_at:%Y-%m-%d}: after {days} days it is too late."
        )
    if at > now + CLOCKS:
        raise Refused("at", "This time is in the future.")
    if at < given.given_at - CLOCKS:
        raise Refused("at", f"This is before the answer was given, at {given.given_at:%Y-%m-%dT%H:%M:%SZ}.")
    is_replaced = event == Feedback.Event.REPLACED
    if is_replaced and not hashtag:
        raise Refused("hashtag", "Name the hashtag that it was replaced by.")
    if hashtag and not is_replaced:
        raise Refused("hashtag", "Only `replaced` has a hashtag.")
    if is_replaced and hashtag == given.hashtag:
        raise Refused("hashtag", f"#{hashtag} was suggested: send `accepted`.")
    if not given.hashtag and not is_replaced:
        raise Refused(
            "event", "The answer was silence: only `replaced` can follow, with the hashtag that was used."
        )
    return Event(given, event, at, hashtag)


def missing_models(events: Iterable[Event]) -> set[int]:
    """Models that gave these answers and are deleted since."""
    named = {event.answer.model for event in events}
    return named - set(TrainedModel.objects.filter(pk__in=named).values_list("pk", flat=True))


@transaction.atomic
def keep(*, events: Sequence[Event], account: AbstractBaseUser) -> int:
    """Keep events of this account's answers. Returns the number of answers about which something is new.

    An answer belongs to one account, so its events never meet those of another: batches of the same account
    wait for each other here.
    """
    User.objects.select_for_update(no_key=True).values_list("pk").get(pk=account.pk)
    last: dict[object, Event] = {}
    for event in events:
        known = last.get(event.answer.key)
        if known is None or _rank(event.event, event.at, event.hashtag) > _rank(
            known.event, known.at, known.hashtag
        ):
            last[event.answer.key] = event
    rows = Feedback.objects.in_bulk(list(last))
    changed: list[Feedback] = []
    tallies: dict[tuple[object, ...], list[int]] = defaultdict(lambda: [0] * len(FeedbackTally.COUNTS))
    for key in sorted(last):  # type: ignore[type-var]
        event, row = last[key], rows.get(key)
        if row and _rank(row.event, row.at, row.replaced_by) >= _rank(event.event, event.at, event.hashtag):
            continue
        given = event.answer
        day = timezone.localdate(given.given_at)
        counts = tallies[day, given.model, given.trial, given.hashtag]
        if row is None:
            counts[0] += 1
        elif row.event != Feedback.Event.SHOWN:
            counts[FeedbackTally.COUNTS.index(row.event)] -= 1
        if event.event != Feedback.Event.SHOWN:
            counts[FeedbackTally.COUNTS.index(event.event)] += 1
        changed.append(_row(event))
    Feedback.objects.bulk_create(
        changed,
        batch_size=BATCH,
        update_conflicts=True,
        unique_fields=["answer"],
        update_fields=["event", "at", "replaced_by"],
    )
    add_counts(FeedbackTally, tallies)
    return len(changed)


def _rank(event: str, at: datetime, hashtag: str) -> tuple[bool, datetime, int, str]:
    return event != Feedback.Event.SHOWN, at, ORDER[event], hashtag


def _row(event: Event) -> Feedback:
    given = event.answer
    return Feedback(
        answer=given.key,
        account_id=given.account,
        model_id=given.model,
        trial=given.trial,
        hashtag=given.hashtag,
        confidence=given.confidence,
        answered_at=given.given_at,
        event=event.event,
        at=event.at,
        replaced_by=event.hashtag,
    )
