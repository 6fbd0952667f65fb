"""The forms that make a hook, and choose e-mails."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from notices import targets
from notices.events import EVENTS


class HookForm(forms.Form):
    name = forms.CharField(
        label=gettext_lazy("Name"),
        max_length=100,
        help_text=gettext_lazy("Who is told: “Chat of the team”, “Upload service”."),
    )
    address = forms.CharField(max_length=500, widget=forms.URLInput({"placeholder": "https://"}))
    events = forms.MultipleChoiceField(
        choices=[(name, gettext_lazy(event.words)) for name, event in EVENTS.items()],
        widget=forms.CheckboxSelectMultiple,
    )
    request_id = forms.UUIDField()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("initial", {"request_id": uuid4(), "events": list(EVENTS)})
        super().__init__(*args, **kwargs)

    def clean_address(self) -> str:
        address: str = self.cleaned_data["address"]
        try:
            targets.read(address)
        except targets.NotAllowed as error:
            raise forms.ValidationError(str(error)) from error
        return address


class MailForm(forms.Form):
    events = forms.MultipleChoiceField(required=False, widget=forms.CheckboxSelectMultiple)

    def __init__(self, *args: Any, offered: list[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["events"].choices = [(name, _(EVENTS[name].words)) for name in offered]  # type: ignore[attr-defined]
