"""Forms of the sign-in, with our names of fields and our rules."""

from __future__ import annotations

import unicodedata
from typing import Any

from allauth.account.adapter import get_adapter
from allauth.account.forms import LoginForm, ResetPasswordForm
from django import forms
from django.http import HttpRequest

from people.signin import addresses


class SignInForm(LoginForm):  # type: ignore[misc]
    def add_prefix(self, field_name: str) -> str:
        """Password managers and programs know the field by this name."""
        return "username" if field_name == "login" else str(super().add_prefix(field_name))

    def clean_login(self) -> str:
        """As names are stored."""
        return unicodedata.normalize("NFKC", super().clean_login())


class ResetForm(ResetPasswordForm):  # type: ignore[misc]
    def clean_email(self) -> str:
        """Only to an address that counts, and only to people."""
        email: str = self.cleaned_data["email"].lower()
        person = addresses.owner_of(email)
        self.users = [person] if person else []
        return email

    def save(self, request: HttpRequest, **kwargs: Any) -> str:
        """With our own link, which an administrator can make, too."""
        for person in self.users:
            get_adapter().send_password_reset_mail(person, self.cleaned_data["email"], {})
        return str(self.cleaned_data["email"])


class AddressForm(forms.Form):
    """An administrator enters somebody's address."""

    address = forms.EmailField(required=False, max_length=254)
