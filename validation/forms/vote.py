"""The forms of the voters' pages, and the form that marks a gold photo."""

from __future__ import annotations

from typing import Any

from django import forms

from formats.numbers import LARGEST
from mapping.models import Hashtag
from trainer.models import ScenePhoto
from validation.models import Answer, Vote

LONGEST = 3600.0  # seconds; a person who takes longer was not looking at the page


class VoteForm(forms.Form):
    """A vote: the photo and hashtag, the answer, and the idempotency key that the page made."""

    photo = forms.IntegerField(min_value=1, max_value=LARGEST)
    hashtag = forms.IntegerField(min_value=1, max_value=LARGEST)
    answer = forms.ChoiceField(choices=Answer.choices)
    request_id = forms.UUIDField()
    seconds = forms.FloatField(required=False, min_value=0)

    def arguments(self) -> dict[str, Any]:
        """The arguments of record_vote."""
        values = {key: self.cleaned_data[key] for key in ("photo", "hashtag", "answer", "request_id")}
        seconds = self.cleaned_data["seconds"]
        return values | {"seconds": seconds if seconds is not None and seconds <= LONGEST else None}


class UndoForm(forms.Form):
    request_id = forms.UUIDField()


class MoreForm(forms.Form):
    """What a person adds to their vote: a reason, or whether they would post the hashtag."""

    request_id = forms.UUIDField()
    reason = forms.ChoiceField(choices=[pair for pair in Vote.Reason.choices if pair[0]], required=False)
    would_post = forms.ChoiceField(choices=[("yes", "yes"), ("no", "no")], required=False)

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if bool(cleaned.get("reason")) == bool(cleaned.get("would_post")):
            raise forms.ValidationError("Send exactly one of reason and would_post.")
        return cleaned

    def values(self) -> tuple[str, bool | None]:
        """Why the hashtag does not fit, and whether the person would post it. One of the two has a value."""
        words = {"yes": True, "no": False}
        return self.cleaned_data["reason"], words.get(self.cleaned_data["would_post"])


class GoldPhotoForm(forms.Form):
    """The same on a photo of a photo set, which is taken in for it."""

    scene_photo = forms.ModelChoiceField(ScenePhoto.objects.select_related("photo_set", "scene_class"))
    hashtag = forms.ModelChoiceField(Hashtag.objects.unblocked())
    answer = forms.ChoiceField(choices=[(one, one) for one in ("fits", "does_not_fit")])

    def clean_answer(self) -> bool:
        return bool(self.cleaned_data["answer"] == "fits")


class GoldForm(forms.Form):
    """A known answer: the photo and hashtag, and whether it fits; "unknown" removes the mark."""

    photo = forms.IntegerField(min_value=1, max_value=LARGEST)
    hashtag = forms.IntegerField(min_value=1, max_value=LARGEST)
    answer = forms.ChoiceField(choices=[(one, one) for one in ("fits", "does_not_fit", "unknown")])
    note = forms.CharField(max_length=200, required=False)
