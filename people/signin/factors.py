"""Second factors: who has one, who must have one, and taking a lost one away."""

from __future__ import annotations

import base64
import hashlib
import logging
import secrets

from allauth.mfa.models import Authenticator
from cryptography.fernet import Fernet, InvalidToken
from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.utils.translation import gettext as _

from people import accounts
from people.backend import roles_held
from people.deeds import record

FACTORS = (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)  # recovery codes alone are none
log = logging.getLogger(__name__)


def has_one(user: User) -> bool:
    return bool(Authenticator.objects.filter(user=user, type__in=FACTORS).exists())


def must_set_up(user: User) -> bool:
    """Whether one of the person's roles needs a second factor, and they have none. One query."""
    roles = settings.REQUIRE_SECOND_FACTOR
    if not roles:
        return False
    has_role = Q(Exists(roles_held(OuterRef("pk")).filter(name__in=roles)))
    if accounts.ADMINISTRATOR in roles:
        has_role |= Q(is_superuser=True)
    factor = Authenticator.objects.filter(user=OuterRef("pk"), type__in=FACTORS)
    return User.objects.filter(has_role, ~Exists(factor), pk=user.pk).exists()


@transaction.atomic
def take_away(*, person: User, by: User) -> bool:
    """Delete all second factors of somebody who has lost theirs. False if they have none.

    Raises Refused for oneself, who has the profile for this, and for a superuser.
    """
    accounts.check_may_change(person, by)
    if person.pk == by.pk:
        raise accounts.Refused(_("Change your own second factor in your profile."))
    if not Authenticator.objects.filter(user=person).delete()[0]:
        return False
    record(by=by, what="take away second factor", about=person)
    return True


# --- secrets, which the database keeps encrypted ----------------------------------------------


def _box() -> Fernet:
    digest = hashlib.sha256(f"people.signin.factors:{settings.SECRET_KEY}".encode()).digest()
    return Fernet(base64.urlsafe_b64encode(digest))


def encrypt(text: str) -> str:
    return _box().encrypt(text.encode()).decode()


def decrypt(encrypted: str) -> str:
    """After SECRET_KEY has changed: a random secret, which no code fits."""
    try:
        return _box().decrypt(encrypted.encode()).decode()
    except InvalidToken:
        log.warning("A second factor was made with another SECRET_KEY: an administrator must take it away")
        return base64.b32encode(secrets.token_bytes(20)).decode()
