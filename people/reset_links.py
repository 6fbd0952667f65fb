"""Links to a new password. One that an administrator made ends when they are none any more."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.contrib.auth.tokens import PasswordResetTokenGenerator
from django.db import transaction
from django.urls import reverse
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode
from django.utils.translation import gettext as _

from people.accounts import Refused, administrators, check_may_change
from people.deeds import record


class ResetTokens(PasswordResetTokenGenerator):
    """Django's, with the key of its maker in front ("12.…"), which is signed, too. Nothing is in front of one
    that somebody asked for by e-mail.
    """

    key_salt = "people.reset_links"

    def __init__(self, maker: int | None = None) -> None:
        super().__init__()
        self.maker = maker

    def make_token(self, user: Any) -> str:
        token = super().make_token(user)
        return token if self.maker is None else f"{self.maker}.{token}"

    def check_token(self, user: Any, token: str | None) -> bool:
        maker, dot, signed = (token or "").rpartition(".")
        if not dot:
            return super().check_token(user, token)
        if not (maker.isascii() and maker.isdecimal() and len(maker) < 10):
            return False
        is_administrator = administrators().filter(pk=int(maker)).exists()
        return is_administrator and ResetTokens(int(maker)).check_token(user, signed)

    def _make_hash_value(self, user: Any, timestamp: int) -> str:
        value: str = super()._make_hash_value(user, timestamp)
        return value if self.maker is None else f"{value} {self.maker}"


@transaction.atomic
def make_link(*, person: User, by: User) -> str:
    """The address at which the person chooses a new password, for an administrator to hand over: once, within
    PASSWORD_RESET_TIMEOUT, only until they sign in with the old one, and only while `by` is an administrator.
    Raises Refused.
    """
    check_may_change(person, by)
    if not person.is_active:
        raise Refused(_("%(person)s is deactivated.") % {"person": person})
    record(by=by, what="make reset link", about=person)
    return _path(person, ResetTokens(by.pk))


@transaction.atomic
def make_link_for_mail(*, person: User) -> str:
    """The same, for an e-mail that somebody asked for who is not signed in."""
    record(by=None, what="ask for new password", about=person)
    return _path(person, ResetTokens())


def _path(person: User, tokens: ResetTokens) -> str:
    uid = urlsafe_base64_encode(force_bytes(person.pk))
    return reverse("people:reset", args=[uid, tokens.make_token(person)])
