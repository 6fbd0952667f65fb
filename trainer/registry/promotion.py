"""Which model is active: promote, roll back; and rename a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction
from django.utils.translation import gettext as _

from formats.texts import Text
from notices.announcements import announce
from people.deeds import record
from trainer.models import Promotion, TrainedModel
from trainer.runs.start import NotReady

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser


class ActiveModelChanged(Exception):
    """Somebody else promoted a model or rolled back after the page was loaded."""


@transaction.atomic
def promote(
    *, model: TrainedModel, by: AbstractBaseUser | None, replacing: int | None = None, typed: str = ""
) -> Promotion:
    """Make a model the active one. If it is active already, nothing changes.

    `replacing` is the promotion that was active when the person decided (0: none; None: any). `typed` must be
    the name of a model that never suggests anything. Raises NotReady for a model that is not exported, and
    without that name; ActiveModelChanged if another one is active now.
    """
    current = _locked_current()
    if not model.is_ready:
        raise NotReady(_("“%(name)s” is not exported yet.") % {"name": model})
    if current and current.model_id == model.pk:
        return current
    _check_unchanged(current, replacing)
    if never_suggests(model) and typed.strip() != model.name:
        raise NotReady(
            _("“%(name)s” never suggests anything. To promote it all the same, type its name.")
            % {"name": model}
        )
    record(by=by, what="promote", about=model)
    return _activate(model, by, before=current)


def never_suggests(model: TrainedModel) -> bool:
    """Whether it was silent about all held-out photos, or no confidence reaches any of its thresholds."""
    thresholds = model.manifest.get("thresholds", {}).values()
    is_silent = bool(thresholds) and all(threshold > 1 for threshold in thresholds)
    return is_silent or model.manifest.get("held_out", {}).get("coverage") == 0


@transaction.atomic
def roll_back(*, by: AbstractBaseUser | None, replacing: int | None = None) -> Promotion:
    """Make the previously active model active again. A second call returns to the present one.

    Raises NotReady if no other model was active before, ActiveModelChanged as `promote` does.
    """
    current = _locked_current()
    _check_unchanged(current, replacing)
    earlier = previous_model(current)
    if earlier is None:
        raise NotReady(_("No other model was active before."))
    record(by=by, what="roll back", about=earlier)
    return _activate(earlier, by, before=current)


@transaction.atomic
def rename(*, model: TrainedModel, name: str, was: str | None = None) -> None:
    """Rename a model. `was` is the name that the person saw. Raises NotReady."""
    name = name.strip()
    if not name or len(name) > 100 or "\0" in name:
        raise NotReady(_("A model's name must have 1 to 100 characters."))
    current_name = TrainedModel.objects.select_for_update().values_list("name", flat=True).get(pk=model.pk)
    if was is not None and current_name not in (was, name):
        raise NotReady(
            _("Somebody has renamed it to “%(name)s” meanwhile. Nothing was changed.")
            % {"name": current_name}
        )
    TrainedModel.objects.filter(pk=model.pk).update(name=name)
    model.name = name


def previous_model(current: Promotion | None) -> TrainedModel | None:
    if current is None:
        return None
    earlier = Promotion.objects.exclude(model_id=current.model_id).select_related("model").first()
    return earlier.model if earlier else None


def _activate(model: TrainedModel, by: AbstractBaseUser | None, *, before: Promotion | None) -> Promotion:
    announce(
        "model.promoted",
        title=Text("“%(model)s” is the active model", model=model),
        url=model.get_absolute_url(),
        model=model.pk,
        replaces=before.model_id if before else None,
    )
    return Promotion.objects.create(model=model, promoted_by_id=by.pk if by else None)


def _locked_current() -> Promotion | None:
    list(TrainedModel.objects.select_for_update().values_list("pk"))  # promotions wait for each other
    return Promotion.objects.current()


def _check_unchanged(current: Promotion | None, replacing: int | None) -> None:
    if replacing is not None and replacing != (current.pk if current else 0):
        if current is None:
            raise ActiveModelChanged(
                _("The active model changed meanwhile: no model is active now. Nothing was done.")
            )
        raise ActiveModelChanged(
            _("The active model changed meanwhile: “%(name)s” is active now. Nothing was done.")
            % {"name": current.model}
        )
