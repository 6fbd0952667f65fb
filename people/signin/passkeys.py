"""Forms that take a passkey. What is sent may be anything: the libraries below raise many errors for it."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from allauth.mfa.adapter import get_adapter
from allauth.mfa.webauthn.forms import (
    AddWebAuthnForm,
    AuthenticateWebAuthnForm,
    LoginWebAuthnForm,
    ReauthenticateWebAuthnForm,
)
from cryptography.exceptions import InvalidSignature
from django import forms

BROKEN = (
    AttributeError,
    IndexError,
    InvalidSignature,
    KeyError,
    RecursionError,
    TypeError,
    ValueError,
    struct.error,
)


@contextmanager
def _refusing() -> Iterator[None]:
    """Raises ValidationError for what is no passkey, or has another's signature."""
    try:
        yield
    except BROKEN as error:
        raise get_adapter().validation_error("incorrect_code") from error


class _PasskeyField(forms.JSONField):
    def to_python(self, value: Any) -> Any:
        with _refusing():  # a number of 5,000 digits is no error of JSON to Django
            return super().to_python(value)


class _Shown(forms.Form):
    credential = _PasskeyField(widget=forms.HiddenInput)

    def clean_credential(self) -> Any:
        with _refusing():
            return super().clean_credential()  # type: ignore[misc]


class AloneForm(_Shown, LoginWebAuthnForm):  # type: ignore[misc]
    """Instead of name and password."""


class SecondForm(_Shown, AuthenticateWebAuthnForm):  # type: ignore[misc]
    """After the password."""


class AgainForm(_Shown, ReauthenticateWebAuthnForm):  # type: ignore[misc]
    """Of somebody who is signed in."""


class AddForm(AddWebAuthnForm):  # type: ignore[misc]
    credential = _PasskeyField(widget=forms.HiddenInput)

    def clean(self) -> dict[str, Any]:
        with _refusing():
            return super().clean()  # type: ignore[no-any-return]
