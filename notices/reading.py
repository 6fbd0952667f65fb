"""Which notices a person may see, and which of them are new to them."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import QuerySet

from notices.events import EVENTS
from notices.models import Notice, Reader

MOST = 99  # that are counted


def visible_to(user: User) -> QuerySet[Notice]:
    """Of events whose pages the person may look at; the newest first."""
    return Notice.objects.filter(
        event__in=[name for name in EVENTS if user.has_perm(EVENTS[name].permission)]
    )


def unread_by(user: User) -> QuerySet[Notice]:
    """What happened since the person came, or last marked the list as read."""
    last = Reader.objects.filter(user=user).values_list("last_notice", flat=True).first() or 0
    return visible_to(user).filter(pk__gt=last, at__gte=user.date_joined)


def count_unread(user: User) -> int:
    """At most MOST + 1."""
    return unread_by(user)[: MOST + 1].count()


@transaction.atomic
def mark_read(*, user: User, last_notice: int) -> None:
    """Up to the notice that was on the person's page; a page that is older than another changes nothing."""
    Reader.objects.get_or_create(user=user)
    newest = Notice.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    last = min(last_notice, newest)
    Reader.objects.filter(user=user, last_notice__lt=last).update(last_notice=last)
