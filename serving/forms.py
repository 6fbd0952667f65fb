"""The filter of the page In use."""

from __future__ import annotations

from django import forms

from trainer.models import TrainedModel

PERIODS = [(7, "7 days"), (30, "30 days"), (90, "90 days"), (365, "a year")]
DEFAULT = 30


class PeriodForm(forms.Form):
    """Unknown values mean no filter."""

    days = forms.TypedChoiceField(choices=PERIODS, coerce=int, required=False, label="The last")
    model = forms.ModelChoiceField(
        TrainedModel.objects.defer("card"), required=False, empty_label="All models", label="Model"
    )

    def read(self) -> tuple[int, TrainedModel | None]:
        self.is_valid()
        return self.cleaned_data.get("days") or DEFAULT, self.cleaned_data.get("model")
