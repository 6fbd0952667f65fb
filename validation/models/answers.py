"""What each answer to a question means. Whatever counts votes asks here, conditions in SQL included."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_noop


class Answer(models.TextChoices):
    """The answers to: does this hashtag fit this photo? What each counts as is said in MEANINGS."""

    FITS = "fits", "fits"
    DOES_NOT_FIT = "does_not_fit", "does not fit"
    SKIP = "skip", "skip"

    @property
    def fits(self) -> bool | None:
        return MEANINGS[self].fits

    @property
    def is_judgement(self) -> bool:
        """Whether it speaks for or against the hashtag. What does neither is in no rate and fills no seat."""
        return self.fits is not None

    @property
    def takes_reason(self) -> bool:
        return MEANINGS[self].takes_reason

    @property
    def words(self) -> str:
        return MEANINGS[self].words

    @property
    def button(self) -> Button:
        return MEANINGS[self].button

    @property
    def counter(self) -> str:
        """The column of AnswerCounts that a vote with this answer adds one to."""
        return COUNTERS[self.fits]


ARROWS = {"left": "←", "down": "↓", "up": "↑", "right": "→"}


@dataclass(frozen=True)
class Button:
    """How an answer is given on the ballot."""

    label: str
    key: str
    swipes: tuple[str, ...] = ()  # keys of ARROWS; the arrow keys do the same

    @property
    def keys(self) -> str:
        return " ".join([*(f"Arrow{swipe.capitalize()}" for swipe in self.swipes), self.key])

    @property
    def sign(self) -> str:
        return ARROWS[self.swipes[0]] if self.swipes else self.key


@dataclass(frozen=True)
class Meaning:
    fits: bool | None  # what it says about the hashtag; None: neither for nor against it
    words: str  # on the voters' pages, translated there
    button: Button
    takes_reason: bool = False  # whether the voter is asked why


# In the order of the buttons on the ballot.
MEANINGS = {
    Answer.DOES_NOT_FIT: Meaning(
        fits=False,
        words=gettext_noop("does not fit"),
        button=Button(gettext_noop("Does not fit"), "d", ("left",)),
        takes_reason=True,
    ),
    Answer.SKIP: Meaning(
        fits=None, words=gettext_noop("skipped"), button=Button(gettext_noop("Skip"), "s", ("down", "up"))
    ),
    Answer.FITS: Meaning(
        fits=True, words=gettext_noop("fits"), button=Button(gettext_noop("Fits"), "f", ("right",))
    ),
}
COUNTERS = {True: "fits", False: "does_not_fit", None: "skips"}

JUDGEMENTS = [answer for answer in Answer if answer.is_judgement]
IN_FAVOUR = [answer for answer in Answer if answer.fits is True]
AGAINST = [answer for answer in Answer if answer.fits is False]
WITH_REASON = [answer for answer in Answer if answer.takes_reason]


class AnswerCounts(models.Model):
    """How many votes of each sort a row stands for: those of one question, or of one person."""

    fits = models.PositiveIntegerField(default=0)
    does_not_fit = models.PositiveIntegerField(default=0)
    skips = models.PositiveIntegerField(default=0)

    class Meta:
        abstract = True

    @property
    def answers(self) -> int:
        """Skips left out."""
        return self.fits + self.does_not_fit

    @property
    def votes_given(self) -> int:
        return self.answers + self.skips

    def add(self, answer: Answer, step: int) -> None:
        """Count one vote more (+1) or less (−1); does not save."""
        setattr(self, answer.counter, max(0, getattr(self, answer.counter) + step))


# The same in SQL, of rows with AnswerCounts.
ANSWERS = F("fits") + F("does_not_fit")
VOTES_GIVEN = ANSWERS + F("skips")
JUDGED = Q(fits__gt=0) | Q(does_not_fit__gt=0)
FITTING = Q(fits__gt=F("does_not_fit"))
TIED = Q(fits=F("does_not_fit"), fits__gt=0)
NOT_FITTING = Q(fits__lt=F("does_not_fit"))
