"""The history of what administrators did: who, when, from where.

A function that does such a thing calls `record` in its own transaction, so the deed and its line in the
history are there together or not at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from people.models import Deed

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

WORDS = {
    "make token": "made the token",
    "revoke token": "revoked the token",
    "make program": "made the program's account",
    "invite": "invited",
    "withdraw invitation": "withdrew the invitation",
    "join": "joined by the invitation",
    "change roles": "changed the roles of",
    "deactivate": "deactivated",
    "activate": "activated again",
    "make reset link": "made a link to a new password for",
}
_sender: ContextVar[str] = ContextVar("sender", default="")


@contextmanager
def sent_from(address: str) -> Iterator[None]:
    """Whatever is recorded inside came from this address."""
    before = _sender.set(address[:60])
    try:
        yield
    finally:
        _sender.reset(before)


def record(*, by: AbstractBaseUser | None, what: str, about: Any) -> Deed:
    """Write one line of the history. `what` is a key of WORDS; by None: a command on the server did it.

    Raises KeyError for another `what`.
    """
    WORDS[what]
    name = by.get_username() if by else ""
    return Deed.objects.create(
        by_id=by.pk if by else None,
        by_name=name,
        what=what,
        about=str(about)[:300],
        address=_sender.get(),
    )
