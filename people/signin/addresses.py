"""E-mail addresses of people. One counts once its owner has confirmed it, or an administrator entered it."""

from __future__ import annotations

from allauth.account.models import EmailAddress
from allauth.socialaccount.models import SocialAccount
from django.conf import settings
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from people import accounts
from people.deeds import record


def can_send() -> bool:
    """Whether the settings name a mail server."""
    return bool(settings.EMAIL_URL)


def address_of(user: User) -> str:
    """Empty if the person has none that counts."""
    row = EmailAddress.objects.filter(user=user, verified=True).order_by("-primary", "pk").first()
    return row.email if row else ""


def owner_of(address: str) -> User | None:
    """The person with this address who may sign in."""
    rows = EmailAddress.objects.filter(email=address.lower(), verified=True)
    return accounts.people().filter(pk__in=rows.values("user"), is_active=True).first()


@transaction.atomic
def set_address(*, person: User, address: str, by: User) -> bool:
    """Give a person this address, or none. False if nothing changes.

    Raises Refused if it is another person's, and for a superuser.
    """
    accounts.check_may_change(person, by)
    address = address.lower()
    before = address_of(person)
    if before == address:
        return False
    EmailAddress.objects.filter(user=person).delete()
    SocialAccount.objects.filter(user=person).delete()  # it was linked by the earlier address
    if address:
        try:
            with transaction.atomic():
                EmailAddress.objects.create(user=person, email=address, verified=True, primary=True)
        except IntegrityError:
            raise accounts.Refused(
                _("%(address)s is another person’s address. Nothing was changed.") % {"address": address}
            ) from None
    User.objects.filter(pk=person.pk).update(email=address)
    record(by=by, what="set address", about=f"{person}: {before or 'none'} → {address or 'none'}")
    return True
