"""The people who vote: how carefully each looks, who is paused, and whose votes are set aside.

Nothing here deletes a vote. Votes that were set aside can be brought back, and the history of each standing
records who decided what, when and why.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.contrib.auth import get_user_model
from django.db import transaction
from django.db.models import Sum
from django.utils.translation import gettext_noop

from people.deeds import record
from validation.campaigns.counts import recount
from validation.models import Campaign, Participation, Standing, Vote
from validation.prepared import Prepared, given

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

LEAST_RIGHT = 0.85  # of the known answers
# Known answers before anybody is paused. With this number and LEAST_RIGHT a person who is right 95 times in
# 100 is paused by bad luck 3 times in 100 (decision 0014).
ENOUGH_GOLD = 14
ENOUGH_ANSWERS = 20  # before anybody is flagged as fast
MOST_FAST = 0.3
ENOUGH_CONTROLS = 5
MOST_CONTROL_FITS = 0.6  # share of controls that a person may find fitting
ENOUGH_FOR_ALWAYS = 50
ALWAYS = 0.98
CARELESS = gettext_noop("fewer than 85\N{NO-BREAK SPACE}% of the known answers right")  # LEAST_RIGHT


@dataclass(frozen=True)
class PersonRow:
    """One person in one campaign, with their standing, which is the same in all campaigns."""

    person_id: int
    name: str
    is_guest: bool
    fits: int
    does_not_fit: int
    skips: int
    fast: int
    gold: int
    gold_right: int
    control: int
    control_fits: int
    standing: Standing | None

    @property
    def answers(self) -> int:
        return self.fits + self.does_not_fit

    @property
    def fits_share(self) -> float | None:
        return self.fits / self.answers if self.answers else None

    @property
    def gold_share(self) -> float | None:
        return self.gold_right / self.gold if self.gold else None

    @property
    def is_paused(self) -> bool:
        return bool(self.standing and self.standing.is_paused)

    @property
    def is_set_aside(self) -> bool:
        return bool(self.standing and self.standing.is_set_aside)

    @property
    def is_fast(self) -> bool:
        return self.answers >= ENOUGH_ANSWERS and self.fast / self.answers > MOST_FAST

    @property
    def says_always_yes(self) -> bool:
        """Says yes to wrong hashtags, too; or, if none were shown, to nearly everything."""
        if self.control >= ENOUGH_CONTROLS:
            return self.control_fits / self.control > MOST_CONTROL_FITS
        return self.answers >= ENOUGH_FOR_ALWAYS and self.fits / self.answers > ALWAYS

    @property
    def is_careless(self) -> bool:
        return self.gold >= ENOUGH_GOLD and self.gold_right / self.gold < LEAST_RIGHT


def people(campaign: Campaign) -> list[PersonRow]:
    """Everybody who answered in the campaign: first those who need a look, then by number of answers."""
    rows = Participation.objects.filter(campaign=campaign).select_related("person__standing", "person__guest")
    table = [
        PersonRow(
            row.person_id,
            row.person.get_username(),
            getattr(row.person, "guest", None) is not None,
            row.fits,
            row.does_not_fit,
            row.skips,
            row.fast,
            row.gold,
            row.gold_right,
            row.control,
            row.control_fits,
            getattr(row.person, "standing", None),
        )
        for row in rows
    ]
    return sorted(table, key=lambda one: (not _needs_a_look(one), -one.answers, one.person_id))


def _needs_a_look(row: PersonRow) -> bool:
    return row.is_paused or row.is_fast or row.says_always_yes or row.is_careless


PAUSED = Prepared(
    lambda: Standing.objects.filter(person_id=given("person"), is_paused=True).order_by().values_list("pk")
)
HELD = Prepared(
    lambda: (
        get_user_model()
        .objects.filter(pk=given("person"))
        .select_for_update(of=("self",), no_key=True)
        .values_list("pk")
    )
)


# --- standing ---------------------------------------------------------------------------------


def is_paused(person: AbstractBaseUser) -> bool:
    return PAUSED.exists(person=person.pk)


def hold(person: AbstractBaseUser) -> None:
    """Lock the person until the transaction ends, so that votes and decisions about them do not overlap.

    Call it before questions are locked. Rows that refer to the person do not wait.
    """
    if not HELD.exists(person=person.pk):
        raise get_user_model().DoesNotExist


def pause_if_careless(person: AbstractBaseUser) -> bool:
    """Pause a person who gets too many known answers wrong, over all campaigns, unless an admin trusts them.
    True if that paused them.
    """
    totals = Participation.objects.filter(person_id=person.pk).aggregate(
        n=Sum("gold"), right=Sum("gold_right")
    )
    if not totals["n"] or totals["n"] < ENOUGH_GOLD or totals["right"] / totals["n"] >= LEAST_RIGHT:
        return False
    if Standing.objects.filter(person_id=person.pk, is_trusted=True).exists():
        return False
    return _change(person, by=None, reason=CARELESS, is_paused=True)


def pause(*, person: AbstractBaseUser, by: AbstractBaseUser, reason: str = "") -> bool:
    """Ask the person no more questions. False if they are paused already."""
    changes = {"is_paused": True, "is_trusted": False}
    return _change(person, by=by, what="pause", reason=reason or gettext_noop("paused by hand"), **changes)


def unpause(*, person: AbstractBaseUser, by: AbstractBaseUser) -> bool:
    """Let the person vote again, and trust them: they are not paused by known answers again. False if they
    are not paused, or if their votes are set aside, which must be brought back first.
    """
    if Standing.objects.filter(person_id=person.pk, is_set_aside=True).exists():
        return False
    return _change(person, by=by, what="unpause", reason="", is_paused=False, is_trusted=True)


@transaction.atomic
def set_aside(*, person: AbstractBaseUser, by: AbstractBaseUser, reason: str = "") -> bool:
    """Pause the person and stop counting their votes, in all campaigns. False if that was done already."""
    changes = {"is_paused": True, "is_set_aside": True}
    if not _change(
        person, by=by, what="set aside", reason=reason or gettext_noop("set aside by hand"), **changes
    ):
        return False
    _count_votes_of(person, set_aside=True)
    return True


@transaction.atomic
def bring_back(*, person: AbstractBaseUser, by: AbstractBaseUser) -> bool:
    """Count votes again that were set aside; the person stays paused. False if none were."""
    if not Standing.objects.filter(person_id=person.pk, is_set_aside=True).exists():
        return False
    if not _change(
        person, by=by, what="bring back", reason=gettext_noop("votes brought back"), is_set_aside=False
    ):
        return False
    _count_votes_of(person, set_aside=False)
    return True


def _count_votes_of(person: AbstractBaseUser, *, set_aside: bool) -> None:
    votes = Vote.objects.filter(person_id=person.pk)
    votes.update(set_aside=set_aside)
    recount(list(votes.order_by().values_list("photo_id", "hashtag_id")))


@transaction.atomic
def _change(
    person: AbstractBaseUser, *, by: AbstractBaseUser | None, what: str = "", reason: str, **fields: bool
) -> bool:
    hold(person)
    standing = Standing.objects.filter(person_id=person.pk).first() or Standing(person_id=person.pk)
    if all(getattr(standing, field) == value for field, value in fields.items()):
        return False
    for field, value in fields.items():
        setattr(standing, field, value)
    standing.reason = reason
    standing._history_user = by  # type: ignore[attr-defined]
    standing.save()
    if by:
        record(by=by, what=what, about=person.get_username())
    return True
