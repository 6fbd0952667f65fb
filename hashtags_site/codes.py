"""Forms that take a code of a second factor, with the limit on guesses."""

from __future__ import annotations

from typing import Any

from allauth.mfa.base.forms import AuthenticateForm, ReauthenticateForm
from allauth.mfa.totp.forms import ActivateTOTPForm

from hashtags_site.guessing import CodeTries


class _Limited:
    """Raises TooManyGuesses before it looks at a code."""

    user: Any

    def clean_code(self) -> str:
        tries = CodeTries(self.user)
        tries.take()
        code: str = super().clean_code()  # type: ignore[misc]
        tries.give_back()
        return code


class SignInCode(_Limited, AuthenticateForm):  # type: ignore[misc]
    """At the sign-in, after the password."""


class AgainCode(_Limited, ReauthenticateForm):  # type: ignore[misc]
    """Of somebody who is signed in."""


class FirstCode(_Limited, ActivateTOTPForm):  # type: ignore[misc]
    """Shows that the app has the secret."""
