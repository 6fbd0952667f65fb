from __future__ import annotations

from django import forms

from serving.spelling import BadHashtags, read_hashtags
from trainer.forms import SuggestForm


class CheckForm(SuggestForm):
    """A photo and the hashtags of its author."""

    hashtags = forms.CharField(error_messages={"required": "Write at least one hashtag."})

    def clean_hashtags(self) -> list[str]:
        try:
            return read_hashtags([self.cleaned_data["hashtags"]])
        except BadHashtags as error:
            raise forms.ValidationError(str(error)) from error
