"""The forms of the voters' pages, and the one that marks a gold answer."""

from __future__ import annotations

from typing import Any

from django import forms

from validation.models import Answer, Vote

LARGEST = 2**63 - 1  # number that a database takes
LONGEST = 3600.0  # seconds; whoever left the page open was not looking


def number(words: str) -> int | None:
    """A whole number from an address or a field; None for what is none, or too long for a database."""
    return int(words) if words.isdecimal() and len(words) <= 18 else None


class VoteForm(forms.Form):
    """A ballot: which photo and hashtag, the answer, and the page's own idempotency key."""

    photo = forms.IntegerField(min_value=1, max_value=LARGEST)
    hashtag = forms.IntegerField(min_value=1, max_value=LARGEST)
    answer = forms.ChoiceField(choices=Answer.choices)
    request_id = forms.UUIDField()
    seconds = forms.FloatField(required=False, min_value=0)

    def given(self) -> dict[str, Any]:
        """What record_vote takes."""
        given = {key: self.cleaned_data[key] for key in ("photo", "hashtag", "answer", "request_id")}
        seconds = self.cleaned_data["seconds"]
        return given | {"seconds": seconds if seconds is not None and seconds <= LONGEST else None}


class UndoForm(forms.Form):
    request_id = forms.UUIDField()


class MoreForm(forms.Form):
    """What somebody adds to a vote: one of the two."""

    request_id = forms.UUIDField()
    reason = forms.ChoiceField(choices=[pair for pair in Vote.Reason.choices if pair[0]], required=False)
    would_post = forms.ChoiceField(choices=[("yes", "yes"), ("no", "no")], required=False)

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if bool(cleaned.get("reason")) == bool(cleaned.get("would_post")):
            raise forms.ValidationError("Exactly one of reason and would_post.")
        return cleaned

    def said(self) -> tuple[str, bool | None]:
        """Why it does not fit, and whether the person would post it: one of the two is said."""
        words = {"yes": True, "no": False}
        return self.cleaned_data["reason"], words.get(self.cleaned_data["would_post"])


class GoldForm(forms.Form):
    """A known answer: which photo and hashtag, and whether it fits; "unknown" takes the mark away."""

    photo = forms.IntegerField(min_value=1, max_value=LARGEST)
    hashtag = forms.IntegerField(min_value=1, max_value=LARGEST)
    answer = forms.ChoiceField(choices=[(one, one) for one in ("fits", "does_not_fit", "unknown")])
    note = forms.CharField(max_length=200, required=False)
