"""The form that checks hashtags, the filter of the page In use, and the form that starts a trial."""

from __future__ import annotations

from typing import Any

from django import forms

from serving.models import Trial
from serving.spelling import BadHashtags, read_hashtags
from trainer.forms import SuggestForm
from trainer.models import TrainedModel

PERIODS = [(7, "7 days"), (30, "30 days"), (90, "90 days"), (365, "a year")]
DEFAULT = 30
READY = TrainedModel.objects.exclude(manifest={}).defer("card")


class CheckForm(SuggestForm):
    """A photo and the hashtags of its author."""

    hashtags = forms.CharField(error_messages={"required": "Write at least one hashtag."})

    def clean_hashtags(self) -> list[str]:
        try:
            return read_hashtags([self.cleaned_data["hashtags"]])
        except BadHashtags as error:
            raise forms.ValidationError(str(error)) from error


class PeriodForm(forms.Form):
    """Unknown values mean no filter."""

    days = forms.TypedChoiceField(choices=PERIODS, coerce=int, required=False, label="The last")
    model = forms.ModelChoiceField(
        TrainedModel.objects.defer("card"), required=False, empty_label="All models", label="Model"
    )

    def read(self) -> tuple[int, TrainedModel | None]:
        self.is_valid()
        return self.cleaned_data.get("days") or DEFAULT, self.cleaned_data.get("model")


class TrialForm(forms.Form):
    kind = forms.ChoiceField(choices=Trial.Kind.choices, label="The other model")
    challenger = forms.ModelChoiceField(
        TrainedModel.objects.exclude(manifest={}).defer("card"), label="Model"
    )
    share = forms.IntegerField(
        min_value=1, max_value=100, initial=10, label="Share of the photos, in per cent"
    )
    champion = forms.IntegerField(min_value=1, required=False, widget=forms.HiddenInput)

    def choice(self) -> dict[str, Any]:
        data = self.cleaned_data
        return {**data, "share": data["share"] / 100}
