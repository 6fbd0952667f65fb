"""Hooks: made, switched off and on, tried, deleted. Each is in the history."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from notices import signatures, targets
from notices.events import EVENTS, TEST
from notices.models import Delivery, Hook, Notice
from people.deeds import record

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser


class NotMade(Exception):
    """Why no hook was made; the message is for the person who asked."""


class MadeAlready(Exception):
    """The form was sent before, and made this hook. Its secret was shown then."""

    def __init__(self, hook: Hook) -> None:
        super().__init__(str(self.__doc__))
        self.hook = hook


@transaction.atomic
def make(
    *,
    name: str,
    address: str,
    events: Collection[str],
    by: AbstractBaseUser,
    request_id: UUID | None = None,
) -> tuple[Hook, str]:
    """A new hook and its secret, which is shown once. Raises NotMade, targets.NotAllowed, and MadeAlready for
    a repeated form."""
    if not name.strip() or len(name) > 100:
        raise NotMade(_("A hook's name must have 1 to 100 characters."))
    if not events or (unknown := sorted(set(events) - EVENTS.keys())):
        words = _("There is no event “%(event)s”.") % {"event": unknown[0]} if events else ""
        raise NotMade(words or _("A hook needs an event."))
    if len(address) > 500:
        raise NotMade(_("An address has at most 500 characters."))
    targets.read(address)
    try:
        with transaction.atomic():
            hook = Hook.objects.create(
                name=name.strip(),
                address=address,
                events=[event for event in EVENTS if event in events],
                salt=signatures.new_salt(),
                created_by_id=by.pk,
                request_id=request_id,
            )
    except IntegrityError:
        before = Hook.objects.filter(request_id=request_id).first() if request_id else None
        if before is None:
            raise
        raise MadeAlready(before) from None
    record(by=by, what="make hook", about=f"{hook} to {hook.address}: {', '.join(hook.events)}")
    return hook, signatures.secret_of(hook)


@transaction.atomic
def set_enabled(*, hook: Hook, is_enabled: bool, by: AbstractBaseUser) -> bool:
    """Switch a hook on or off. False if it was so already. What waits while it is off is sent afterwards."""
    rows = Hook.objects.filter(pk=hook.pk, is_enabled=not is_enabled)
    if not rows.update(is_enabled=is_enabled, failures=0):
        return False
    record(by=by, what="switch on hook" if is_enabled else "switch off hook", about=hook)
    return True


@transaction.atomic
def delete(*, hook: Hook, by: AbstractBaseUser) -> None:
    """With its list of deliveries. Repeating it changes nothing."""
    if Hook.objects.filter(pk=hook.pk).delete()[0]:
        record(by=by, what="delete hook", about=f"{hook} to {hook.address}")


@transaction.atomic
def send_test(*, hook: Hook) -> bool:
    """Send a notice to this hook alone. False if one is on its way already, or if the hook is off. One that
    failed and waits for its next attempt is sent at once: somebody has mended something.
    """
    locked = Hook.objects.select_for_update().filter(pk=hook.pk, is_enabled=True).first()
    if locked is None:
        return False
    waiting = locked.deliveries.waiting().filter(notice__event=TEST)
    if waiting.exists():
        failed = waiting.exclude(error="").filter(due_at__gt=timezone.now())
        return bool(failed.update(due_at=timezone.now()))
    words, names = gettext_noop("A test of the hook “%(hook)s”"), {"hook": str(hook)}
    notice = Notice.objects.create(
        event=TEST, title=words % names, words=words, names=names, at=timezone.now()
    )
    Delivery.objects.create(hook=locked, notice=notice)
    return True
