"""Trials of a second model: start, stop, who answers a photo, and which of the two is accepted more often."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models import Sum
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.translation import gettext as _

from people.deeds import record
from serving import counting
from serving.models import AnswerTally, FeedbackTally, Trial
from serving.sequential import FEWEST, Difference, difference
from trainer.models import TrainedModel
from trainer.registry.serving import NoActiveModel, active_model

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser


class Refused(ValueError):
    """A trial cannot be started; the message says why."""


@transaction.atomic
def start_trial(
    *,
    kind: str,
    challenger: TrainedModel,
    share: float,
    by: AbstractBaseUser | None,
    champion: int | None = None,
) -> Trial:
    """Let `challenger` answer, or be compared on, a share (0 to 1) of the photos beside the active model.

    `champion` is the active model that the person saw. A repeated click gets the trial that runs already.
    Raises Refused.
    """
    list(TrainedModel.objects.select_for_update().order_by("pk").values_list("pk"))  # as promote does
    active = active_model()
    if active is None:
        raise Refused(_("No model is active, so there is nothing to compare with."))
    running = Trial.objects.filter(kind=kind, stopped_at=None).first()
    wanted = (challenger.pk, active.pk, share)
    if running and (running.challenger_id, running.champion_id, running.share) == wanted:
        return running
    if running:
        words = _("“%(trial)s” is running with %(share)s %% of the photos: stop it first.")
        raise Refused(words % {"trial": running, "share": f"{100 * running.share:.0f}"})
    if champion not in (None, active.pk):
        words = _("The active model changed meanwhile: it is “%(model)s” now. Nothing was started.")
        raise Refused(words % {"model": active})
    if challenger.pk == active.pk:
        raise Refused(_("“%(model)s” is the active model itself: choose another.") % {"model": active})
    if not challenger.is_ready:
        raise Refused(_("“%(model)s” is not exported yet.") % {"model": challenger})
    trial = Trial.objects.create(
        kind=kind, champion=active, challenger=challenger, share=share, started_by_id=by.pk if by else None
    )
    record(by=by, what="start trial", about=f"“{challenger}” on {100 * share:.0f} % of the photos")
    return trial


@transaction.atomic
def stop_trial(*, trial: Trial, by: AbstractBaseUser | None) -> bool:
    """Returns whether it was running."""
    if not Trial.objects.filter(pk=trial.pk, stopped_at=None).update(stopped_at=timezone.now()):
        return False
    record(by=by, what="stop trial", about=f"“{trial.challenger}”")
    return True


# --- who answers ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Choice:
    """Who answers a photo, and in which trial (0: none); and the models that must stay in memory."""

    model: TrainedModel
    trial: int
    shadow: Trial | None
    in_use: tuple[int, ...]


@dataclass(frozen=True)
class Chooser:
    """The active model and the trials beside it, as they are when a request begins."""

    active: TrainedModel
    trial: Trial | None
    shadow: Trial | None
    in_use: tuple[int, ...]

    def choose(self, content: bytes) -> Choice:
        """Who answers this photo. The same photo gets the same model while a trial runs."""
        if self.trial is None:
            return Choice(self.active, 0, self.shadow, self.in_use)
        is_challenged = place(self.trial, content) < self.trial.share
        model = self.trial.challenger if is_challenged else self.active
        return Choice(model, self.trial.pk, self.shadow, self.in_use)

    def choose_active(self) -> Choice:
        """The active model, outside of the trial: for photos that the challenger cannot answer."""
        return Choice(self.active, 0, self.shadow, self.in_use)


def load_chooser() -> Chooser:
    """Raises NoActiveModel."""
    active = active_model()
    if active is None or not active.is_ready:
        raise NoActiveModel("No model is active: a trainer admin promotes one on the page Models.")
    trials = Trial.objects.filter(stopped_at=None, champion=active).select_related("challenger")
    by_kind = {trial.kind: trial for trial in trials}
    return Chooser(
        active,
        by_kind.get(Trial.Kind.ANSWERS),
        by_kind.get(Trial.Kind.SHADOW),
        (active.pk, *(one.challenger_id for one in by_kind.values())),
    )


def place(trial: Trial, content: bytes) -> float:
    """A number from 0 to 1 that a photo has in a trial; in another trial it is a different number."""
    digest = hashlib.sha256(f"{trial.pk}:".encode() + content).digest()
    return int.from_bytes(digest[:6]) / 2**48


# --- results ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Side:
    model: TrainedModel
    answers: int
    suggested: int
    shown: int
    accepted: int

    @property
    def coverage(self) -> float | None:
        return self.suggested / self.answers if self.answers else None

    @property
    def acceptance(self) -> float | None:
        return self.accepted / self.shown if self.shown else None


@dataclass(frozen=True)
class Result:
    """Of a trial whose challenger answers."""

    champion: Side
    challenger: Side
    difference: Difference | None  # of the acceptances, challenger minus champion

    @property
    def sentence(self) -> str:
        if self.difference is None:
            words = _(
                "Too little feedback to compare: each side needs %(fewest)s suggestions that were accepted "
                "and %(fewest)s that were not."
            )
            return words % {"fewest": FEWEST}
        if not self.difference.is_real:
            return _("No winner yet: the difference may be chance.")
        winner = self.challenger if self.difference.value > 0 else self.champion
        words = _("“%(model)s” is accepted more often. The difference is real, however often you looked.")
        return words % {"model": winner.model}

    @property
    def sides(self) -> tuple[Side, Side]:
        return self.champion, self.challenger

    @property
    def points(self) -> str:
        """The difference in percentage points, with its interval."""
        assert self.difference
        value, low, high = (
            number_format(f"{100 * share:+.1f}")
            for share in (self.difference.value, self.difference.low, self.difference.high)
        )
        words = _("%(value)s points (%(low)s to %(high)s, 95 %% sure on all days at once)")
        return words % {"value": value, "low": low, "high": high}

    @property
    def challenger_wins(self) -> bool:
        return bool(self.difference and self.difference.low > 0)


def read_result(trial: Trial) -> Result:
    feedback = FeedbackTally.objects.filter(trial=trial.pk).exclude(hashtag="").order_by()
    counts: dict[int, Any] = {
        row["model"]: row for row in feedback.values("model").annotate(n=Sum("shown"), yes=Sum("accepted"))
    }
    answers: dict[tuple[int, bool], int] = {}
    rows = AnswerTally.objects.filter(trial=trial.pk, figure=counting.ANSWER).order_by()
    for model, name, n in rows.values_list("model", "bin").annotate(n=Sum("count")):
        answers[model, bool(name)] = answers.get((model, bool(name)), 0) + n

    def side(model: TrainedModel) -> Side:
        row = counts.get(model.pk, {"n": 0, "yes": 0})
        suggested = answers.get((model.pk, True), 0)
        return Side(model, suggested + answers.get((model.pk, False), 0), suggested, row["n"], row["yes"])

    ours, theirs = side(trial.champion), side(trial.challenger)
    return Result(ours, theirs, difference((ours.accepted, ours.shown), (theirs.accepted, theirs.shown)))


@dataclass(frozen=True)
class Comparison:
    """Of a shadow model's answers with those that were given."""

    photos: int
    same: int  # the same hashtag, or both silent
    suggested: int  # by the active model
    suggested_by_shadow: int

    @property
    def share_same(self) -> float | None:
        return self.same / self.photos if self.photos else None

    @property
    def coverage(self) -> float | None:
        return self.suggested / self.photos if self.photos else None

    @property
    def shadow_coverage(self) -> float | None:
        return self.suggested_by_shadow / self.photos if self.photos else None


def read_comparison(trial: Trial) -> Comparison:
    rows = AnswerTally.objects.filter(trial=trial.pk, model=trial.challenger_id, figure=counting.SHADOW)
    counts = dict(rows.order_by().values_list("bin").annotate(n=Sum("count")))
    both = counts.get("same", 0) + counts.get("other", 0)
    return Comparison(
        photos=sum(counts.values()),
        same=counts.get("same", 0) + counts.get("both silent", 0),
        suggested=both + counts.get("only active", 0),
        suggested_by_shadow=both + counts.get("only shadow", 0),
    )
