"""Models: exported from runs, promoted and rolled back; the starter model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction

from trainer.models import Promotion, TrainedModel
from trainer.runs.start import NotReady

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser


class ActiveModelChanged(Exception):
    """Somebody promoted or rolled back since the page was shown; look again before deciding."""


@transaction.atomic
def promote(*, model: TrainedModel, by: AbstractBaseUser | None, replacing: int | None = None) -> Promotion:
    """Make a model the active one; asked twice, once.

    `replacing` is the promotion that was active when the person decided (0: none; None: whichever).
    Raises NotReady for a model that is not exported, ActiveModelChanged when another one is active now.
    """
    current = _locked_current()
    if not model.is_ready:
        raise NotReady(f"“{model}” is not exported yet.")
    if current and current.model_id == model.pk:
        return current
    _same(current, replacing)
    return Promotion.objects.create(model=model, promoted_by_id=by.pk if by else None)


@transaction.atomic
def roll_back(*, by: AbstractBaseUser | None, replacing: int | None = None) -> Promotion:
    """Make the model active again that was so before the present one. A second time: forth again.

    Raises NotReady when there was none, ActiveModelChanged as `promote` does.
    """
    current = _locked_current()
    _same(current, replacing)
    earlier = previous_model(current)
    if earlier is None:
        raise NotReady("No other model was active before.")
    return Promotion.objects.create(model=earlier, promoted_by_id=by.pk if by else None)


@transaction.atomic
def rename(*, model: TrainedModel, name: str, was: str | None = None) -> None:
    """Call a model otherwise. `was`: the name the person saw. Raises NotReady."""
    name = name.strip()
    if not name or len(name) > 100 or "\0" in name:
        raise NotReady("A model's name has 1 to 100 characters.")
    now = TrainedModel.objects.select_for_update().values_list("name", flat=True).get(pk=model.pk)
    if was is not None and now not in (was, name):
        raise NotReady(f"Somebody named it “{now}” meanwhile. Nothing was changed.")
    TrainedModel.objects.filter(pk=model.pk).update(name=name)
    model.name = name


def previous_model(current: Promotion | None) -> TrainedModel | None:
    if current is None:
        return None
    earlier = Promotion.objects.exclude(model_id=current.model_id).select_related("model").first()
    return earlier.model if earlier else None


def _locked_current() -> Promotion | None:
    list(TrainedModel.objects.select_for_update().values_list("pk"))  # promotions wait for each other
    return Promotion.objects.current()


def _same(current: Promotion | None, replacing: int | None) -> None:
    if replacing is not None and replacing != (current.pk if current else 0):
        active = f"“{current.model}” is active" if current else "no model is active"
        raise ActiveModelChanged(f"The active model changed meanwhile: {active} now. Nothing was done.")


# --- the starter model ------------------------------------------------------------------------
