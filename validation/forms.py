from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.core.files.uploadedfile import UploadedFile
from django.core.validators import MaxValueValidator, MinValueValidator

from trainer import serving
from trainer.models import TrainedModel
from validation.models import Campaign

if TYPE_CHECKING:
    _CampaignModelForm = forms.ModelForm[Campaign]
else:  # Django's own class takes no type argument
    _CampaignModelForm = forms.ModelForm


class ManyFilesInput(forms.ClearableFileInput):
    allow_multiple_selected = True


class ManyFilesField(forms.FileField):
    """Any number of files; what they hold is checked where they are taken in."""

    widget = ManyFilesInput(attrs={"accept": "image/jpeg,image/png,image/webp"})

    def clean(self, data: Any, initial: Any = None) -> list[UploadedFile[Any]]:
        return [file for file in data or [] if file]


class CampaignForm(_CampaignModelForm):
    photos_of = forms.ModelChoiceField(
        Campaign.objects.all(),
        required=False,
        label="Photos of another campaign",
        empty_label="None",
        help_text="Its votes count here too: another model can be scored at once on answers already given.",
    )
    uploads = ManyFilesField(
        required=False, label="Photos", help_text="JPEG, PNG or WebP, up to 100 files at once."
    )
    licence = forms.CharField(max_length=100, required=False, help_text="For example CC BY 4.0")
    licence_url = forms.URLField(
        max_length=500, required=False, label="Licence's page", assume_scheme="https"
    )
    source_url = forms.URLField(
        max_length=500,
        required=False,
        label="Source",
        assume_scheme="https",
        help_text="Where the photos come from. Shown under each of them.",
    )

    class Meta:
        model = Campaign
        fields = ["name", "model", "votes_per_photo"]
        help_texts = {
            "votes_per_photo": "People who answer about each photo. More photos tell more than more votes.",
        }

    field_order = ["name", "model", "uploads", "photos_of", "votes_per_photo"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.label_suffix = ""
        model = self.fields["model"]
        assert isinstance(model, forms.ModelChoiceField)
        model.queryset = TrainedModel.objects.exclude(manifest={})
        model.empty_label = None
        model.initial = serving.active_model()
        per_photo = self.fields["votes_per_photo"]
        per_photo.widget.attrs.update(min=1, max=100)
        assert isinstance(per_photo, forms.IntegerField)
        per_photo.validators.append(MinValueValidator(1))
        per_photo.validators.append(MaxValueValidator(100))

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if not cleaned.get("uploads") and not cleaned.get("photos_of"):
            self.add_error("uploads", "Choose photos to upload, or another campaign to take them from.")
        return cleaned


class ResultsFilter(forms.Form):
    """What the agreement pages are about. Anything it does not know means no filter."""

    SAID = (
        ("", "Anything"),
        ("fits", "Fits"),
        ("does_not_fit", "Does not fit"),
        ("tie", "Tie"),
        ("open", "No answer yet"),
    )
    campaign = forms.ModelChoiceField(
        Campaign.objects.all(), required=False, empty_label="All campaigns", label="Campaign"
    )
    hashtag = forms.CharField(max_length=50, required=False)
    said = forms.ChoiceField(choices=SAID, required=False, label="Most people said")
    scene = forms.CharField(max_length=100, required=False)
    tenth = forms.IntegerField(min_value=0, max_value=9, required=False)
