"""Tokens of programs: made, shown once, found by their hash, revoked."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Collection
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from django.contrib.auth.hashers import UNUSABLE_PASSWORD_PREFIX
from django.contrib.auth.models import Group, User
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from people.deeds import record
from people.models import Token
from people.scopes import SCOPES

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

PROGRAMS = "network"  # the role of a program's account
PREFIX = "st_"  # tells people, and scanners of leaked secrets, what such a text is
BYTES = 30  # of chance in a key
START = len(PREFIX) + 4  # characters of a key that are kept
RATE = re.compile(r"[1-9]\d{0,4}/(second|minute|hour|day)")  # each request of a period is remembered


class NotMade(Exception):
    """Why no token was made; the message is for the person who asked."""


class MadeAlready(Exception):
    """The form was sent before, and made this token. Its key was shown then."""

    def __init__(self, token: Token) -> None:
        super().__init__(str(self.__doc__))
        self.token = token


def digest_of(key: str) -> str:
    """What is stored of a key. A key is random and long, so a fast hash will do: trying finds none."""
    return hashlib.sha256(key.encode()).hexdigest()


def find(key: str) -> Token | None:
    """The token of a key, with its owner, also if it ended; None if there is no such token."""
    return Token.objects.select_related("owner").filter(digest=digest_of(key)).first()


@transaction.atomic
def make(
    *,
    name: str,
    owner: AbstractBaseUser,
    scopes: Collection[str],
    by: AbstractBaseUser | None,
    rate: str = "",
    expires_at: datetime | None = None,
    request_id: UUID | None = None,
) -> tuple[Token, str]:
    """A new token and its key, which nobody can read again. Raises NotMade, and MadeAlready for a repeated
    form."""
    if not name.strip() or len(name) > 100:
        raise NotMade(_("A token's name must have 1 to 100 characters."))
    if not scopes or (unknown := sorted(set(scopes) - SCOPES.keys())):
        raise NotMade(
            _("There is no scope “%(scope)s”.") % {"scope": unknown[0]}
            if scopes
            else _("A token needs a scope.")
        )
    if rate and not RATE.fullmatch(rate):
        raise NotMade(_("“%(rate)s” is no rate such as 120/minute.") % {"rate": rate})
    if expires_at and expires_at <= timezone.now():
        raise NotMade(_("The token would have ended already."))
    key = PREFIX + secrets.token_urlsafe(BYTES)
    try:
        with transaction.atomic():
            token = Token.objects.create(
                name=name.strip(),
                owner_id=owner.pk,
                digest=digest_of(key),
                start=key[:START],
                scopes=[scope for scope in SCOPES if scope in scopes],
                rate=rate,
                expires_at=expires_at,
                created_by_id=by.pk if by else None,
                request_id=request_id,
            )
    except IntegrityError:
        before = Token.objects.filter(request_id=request_id).first() if request_id else None
        if before is None:
            raise
        raise MadeAlready(before) from None
    record(by=by, what="make token", about=f"{token} of {owner.get_username()}: {', '.join(token.scopes)}")
    return token, key


@transaction.atomic
def revoke(*, token: Token, by: AbstractBaseUser | None) -> bool:
    """End a token for good. False if it was revoked before."""
    rows = Token.objects.filter(pk=token.pk, revoked_at=None)
    if not rows.update(revoked_at=timezone.now(), revoked_by=by.pk if by else None):
        return False
    record(by=by, what="revoke token", about=f"{token} of {token.owner.get_username()}")
    return True


# --- accounts of programs ---------------------------------------------------------------------


def programs() -> QuerySet[User]:
    """Accounts that no person can sign in with, of the role for programs."""
    users = User.objects.filter(
        groups__name=PROGRAMS, is_active=True, password__startswith=UNUSABLE_PASSWORD_PREFIX
    )
    return users.order_by("username")


@transaction.atomic
def make_program(*, name: str, by: AbstractBaseUser | None) -> User:
    """An account for a program. Raises NotMade if the name is taken or is none, and Group.DoesNotExist."""
    role = Group.objects.get(name=PROGRAMS)
    name = User.normalize_username(name.strip())
    if not re.fullmatch(r"[\w.@+-]{1,150}", name):
        raise NotMade(_("An account's name consists of letters, digits and @ . + - _ only."))
    if User.objects.filter(username__iexact=name).exists():
        raise NotMade(_("There is an account “%(name)s” already.") % {"name": name})
    user = User.objects.create_user(username=name)  # without a password
    user.groups.add(role)
    record(by=by, what="make program", about=name)
    return user
