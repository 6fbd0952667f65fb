"""The secret of a hook, and the signature by which its program knows that a request came from us.

`Scenetag-Signature: t=1796071928,v1=5f0c…`: the Unix time of the attempt, and the HMAC-SHA256, as hex, of
that time, a full stop and the body, with the secret as key. The time lets a receiver refuse old requests that
somebody has recorded.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets

from django.utils.crypto import salted_hmac

from notices.models import Hook

HEADER = "Scenetag-Signature"
PREFIX = "sth_"  # tells people, and scanners of leaked secrets, what such a text is


def new_salt() -> str:
    return secrets.token_urlsafe(32)


def secret_of(hook: Hook) -> str:
    """Follows from the hook's salt and SECRET_KEY: a copy of the database alone does not contain it."""
    return PREFIX + salted_hmac("notices.hooks", hook.salt, algorithm="sha256").hexdigest()


def sign(body: bytes, *, secret: str, at: int) -> str:
    """The header's value. `at` is a Unix time in seconds."""
    digest = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={digest}"
