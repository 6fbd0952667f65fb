"""E-mails on their way. They are rows, written in the transaction of what they are about, and sent by a
thread of the workers: a mail server that is slow or away holds up nobody.

A letter that cannot be sent is tried again; then it has failed, and the log, `manage.py doctor` and the
person's page of e-mails say so. Its text is deleted when it is sent or has failed, because it may hold a link
to a new password.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from smtplib import SMTPException

from django.contrib.auth.models import User
from django.core.mail import EmailMessage, get_connection
from django.db.models import F
from django.utils import timezone

from people.models import Letter

TAKEN = timedelta(minutes=2)  # after which the letter of a worker that died is due again
# Between attempts. After the last one, seven hours after the first, the letter has failed.
PAUSES = tuple(timedelta(seconds=s) for s in (30, 300, 1800, 3600, 18000))
KEPT = timedelta(days=30)  # what was sent, or failed
MOST = 20  # in a round
SHOWN = 200  # characters of an error
log = logging.getLogger(__name__)


def write(*, user: User, to: str, subject: str, body: str, key: str = "") -> None:
    """To be sent once this transaction is committed; of the same `key` only one."""
    fields = {"user": user, "to": to, "subject": subject[:300], "body": body}
    if key:
        Letter.objects.get_or_create(key=key, defaults=fields)
    else:
        Letter.objects.create(**fields)


def deliver_due() -> int:
    """Try what is due; the number of attempts. Each is taken just before it is sent: a slow mail server must
    not hold one for longer than it is taken for, or another worker sends it, too.
    """
    rows = Letter.objects.due().select_related("user").order_by("due_at", "pk")[:MOST]
    count = 0
    for letter in list(rows):
        if _take(letter):
            _note(letter, _send(letter) if letter.user.is_active else "The account is deactivated.")
            count += 1
    return count


def forget_old() -> None:
    Letter.objects.exclude(state=Letter.State.WAITING).filter(written_at__lt=timezone.now() - KEPT).delete()


def _take(letter: Letter) -> bool:
    row = Letter.objects.due().filter(pk=letter.pk, due_at=letter.due_at)
    return bool(row.update(due_at=timezone.now() + TAKEN, attempts=F("attempts") + 1))


def _send(letter: Letter) -> str:
    """What is wrong; empty if the mail server took it."""
    message = EmailMessage(letter.subject, letter.body, to=[letter.to], connection=get_connection())
    try:
        message.send()
    except (SMTPException, OSError, ValueError) as error:
        return f"{type(error).__name__}: {error}"[:SHOWN]
    return ""


def _note(letter: Letter, error: str) -> None:
    row, attempts = Letter.objects.filter(pk=letter.pk), letter.attempts + 1
    if not error:
        row.update(state=Letter.State.SENT, error="", body="")
    elif attempts > len(PAUSES) or not letter.user.is_active:
        row.update(state=Letter.State.FAILED, error=error, body="")
        log.error("The e-mail “%s” to %s was not sent: %s", letter.subject, letter.user, error)
    else:
        row.update(error=error, due_at=timezone.now() + PAUSES[attempts - 1])
