"""Forms of the pages about tokens and people."""

from __future__ import annotations

from datetime import datetime, time
from typing import Any
from uuid import uuid4

from django import forms
from django.contrib.auth.models import User
from django.utils import timezone

from people.scopes import SCOPES
from people.tokens import RATE, programs

NEW = "new"


class TokenForm(forms.Form):
    name = forms.CharField(max_length=100, help_text="What it is for: “Upload page”, “Nightly export”.")
    account = forms.ChoiceField()
    new_account = forms.CharField(max_length=150, required=False)
    scopes = forms.MultipleChoiceField(choices=list(SCOPES.items()), widget=forms.CheckboxSelectMultiple)
    rate = forms.CharField(max_length=20, required=False)
    ends = forms.DateField(required=False)
    request_id = forms.UUIDField()

    def __init__(self, *args: Any, by: User, **kwargs: Any) -> None:
        kwargs.setdefault("initial", {"request_id": uuid4(), "scopes": ["suggest", "check", "feedback"]})
        super().__init__(*args, **kwargs)
        self.owners = {str(user.pk): user for user in (*programs(), by)}
        choices = [(pk, str(user)) for pk, user in self.owners.items()]
        choices[-1] = (str(by.pk), f"{by} (you)")
        self.fields["account"].choices = [(NEW, "a new program’s account"), *choices]  # type: ignore[attr-defined]

    def clean_rate(self) -> str:
        rate: str = self.cleaned_data["rate"].replace(" ", "")
        if rate and not RATE.fullmatch(rate):
            raise forms.ValidationError("Write a rate as 120/minute; second, hour and day can be used, too.")
        return rate

    def clean_ends(self) -> datetime | None:
        """The end of that day."""
        day = self.cleaned_data["ends"]
        if day is None:
            return None
        end = timezone.make_aware(datetime.combine(day, time.max))
        if end <= timezone.now():
            raise forms.ValidationError("This day is over.")
        return end

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if data.get("account") == NEW and not data.get("new_account"):
            self.add_error("new_account", "Give the new account a name.")
        return data

    @property
    def owner(self) -> User | None:
        """The chosen account; None for a new one."""
        return self.owners.get(self.cleaned_data["account"])
