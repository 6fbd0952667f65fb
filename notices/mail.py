"""Notices by e-mail: each person chooses which events; by default none."""

from __future__ import annotations

from collections.abc import Collection

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import translation
from django.utils.translation import gettext as _

from notices.events import EVENTS
from notices.models import Notice, Reader
from people import letters
from people.installation import current
from people.profiles import language_of
from people.signin import addresses


def events_for(user: User) -> list[str]:
    """Of whose pages the person may look at."""
    return [name for name, event in EVENTS.items() if user.has_perm(event.permission)]


def chosen_by(user: User) -> list[str]:
    rows = Reader.objects.filter(user=user).values_list("mailed", flat=True)
    return list(rows.first() or [])


@transaction.atomic
def choose(*, user: User, events: Collection[str]) -> None:
    Reader.objects.get_or_create(user=user)
    Reader.objects.filter(user=user).update(mailed=sorted(events))


def write_to_readers(notice: Notice) -> None:
    """One letter to each person who wants this event, may see it, and has an address that counts."""
    if not addresses.can_send():
        return
    rows = Reader.objects.exclude(mailed=[]).filter(user__is_active=True).select_related("user")
    for reader in rows:
        person = reader.user
        if notice.event not in reader.mailed or notice.event not in events_for(person):
            continue
        if address := addresses.address_of(person):
            # Not in the language of whoever made it happen.
            with translation.override(current().language or settings.LANGUAGE_CODE), language_of(person):
                letters.write(
                    user=person,
                    to=address,
                    subject=f"[{current().name}] {notice.shown_title}",
                    body=_body(notice),
                    key=f"notice {notice.pk} to {person.pk}",
                )


def _body(notice: Notice) -> str:
    facts = {
        "notice": notice,
        "words": _(EVENTS[notice.event].words),
        "name": current().name,
        "link": settings.SITE_URL + (notice.url or reverse("notices:notices")),
        "stop": settings.SITE_URL + reverse("notices:mail"),
    }
    return render_to_string("notices/mail.txt", facts)
