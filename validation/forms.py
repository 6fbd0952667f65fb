from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

from django import forms
from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.core.validators import MaxValueValidator, MinValueValidator

from mapping.models import Hashtag, SceneClass
from trainer import serving
from trainer.models import TrainedModel
from validation.blame import PARTIES
from validation.forms_vote import LARGEST
from validation.intake import is_junk
from validation.intake_sources import allowed_folder
from validation.models import Campaign, Photo
from validation.photos import WORDS

if TYPE_CHECKING:
    _CampaignModelForm = forms.ModelForm[Campaign]
else:  # Django's own class takes no type argument
    _CampaignModelForm = forms.ModelForm


AT_ONCE = 100  # files that are taken in while the page waits; a job takes more


class ManyFilesInput(forms.ClearableFileInput):
    allow_multiple_selected = True


class ManyFilesField(forms.FileField):
    """Any number of files; what they hold is checked where they are taken in."""

    widget = ManyFilesInput(attrs={"accept": "image/jpeg,image/png,image/webp,image/heic"})

    def clean(self, data: Any, initial: Any = None) -> list[UploadedFile[Any]]:
        return [file for file in data or [] if file]


class PercentField(forms.FloatField):
    """A share that people write as a percentage: 8 is 0.08. Blank: as it was."""

    widget = forms.NumberInput(attrs={"min": 0, "max": 100, "step": "any"})

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(min_value=0, max_value=100, required=False, **kwargs)

    def prepare_value(self, value: Any) -> Any:
        return f"{100 * value:.4g}" if isinstance(value, float) else value

    def clean(self, value: Any) -> float | None:
        percent = super().clean(value)
        return None if percent is None else float(percent) / 100


class RulesForm(_CampaignModelForm):
    """What may change while a campaign runs."""

    min_confidence = PercentField(
        label="Least confidence, %",
        help_text="Suggestions the model is less sure of are not asked about. 0: all.",
    )
    audit_share = PercentField(
        label="Drawn at random, %",
        help_text="The rest is drawn where an answer teaches most: rare hashtags, unsure photos.",
    )
    gold_share = PercentField(
        label="Known answers, %",
        help_text="Mixed in quietly; who gets fewer than 85 % of them right is paused.",
    )
    control_share = PercentField(
        label="Wrong hashtags on purpose, %",
        help_text="Show how readily people say yes, so that the result can be corrected for it.",
    )
    silence_share = PercentField(
        label="Silent suggestions, %",
        help_text="What the model thought of but did not suggest: shows how rightly it keeps silent.",
    )
    would_post_share = PercentField(
        label="Asked whether they would post it, %", help_text="After the vote, and apart from it."
    )

    class Meta:
        model = Campaign
        fields = [
            "name",
            "votes_per_photo",
            "extra_votes",
            "hashtags",
            "min_confidence",
            "audit_share",
            "gold_share",
            "control_share",
            "silence_share",
            "would_post_share",
            "only_unseen",
            "rivals",
            "audience",
            "language",
            "closes_at",
        ]
        labels = {
            "extra_votes": "More votes where people disagree",
            "hashtags": "Hashtags asked about",
            "only_unseen": "Only photos new to the voter",
            "rivals": "Rival models",
            "audience": "Who may vote",
            "closes_at": "Closes",
        }
        help_texts = {
            "votes_per_photo": "People who answer about each photo. More photos tell more than more votes.",
            "extra_votes": "One at a time on a tie or a margin of one, at most so many.",
            "hashtags": "None chosen: all.",
            "only_unseen": "Nobody is asked about a photo they saw in another campaign. Off: they "
            "may be, about another hashtag. For a small crowd.",
            "rivals": "Scored on the votes already given; nobody is asked about them.",
            "language": "Blank: the voter's own.",
            "closes_at": "Blank: until somebody closes it. UTC.",
        }
        widgets = {
            "hashtags": forms.CheckboxSelectMultiple,
            "rivals": forms.CheckboxSelectMultiple,
            "audience": forms.RadioSelect,
            "language": forms.Select,
            "closes_at": forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.label_suffix = ""
        for name, least, most in (("votes_per_photo", 1, 100), ("extra_votes", 0, 20)):
            number = self.fields[name]
            assert isinstance(number, forms.IntegerField)
            number.widget.attrs.update(min=least, max=most)
            number.validators += [MinValueValidator(least), MaxValueValidator(most)]
        self.fields["extra_votes"].required = False
        languages = [("", "The voter's own"), *settings.LANGUAGES]
        self.fields["language"] = forms.ChoiceField(choices=languages, required=False)
        self.fields["audience"] = forms.ChoiceField(
            choices=Campaign.Audience.choices,
            widget=forms.RadioSelect,
            label="Who may vote",
            required=False,
            initial=Campaign.Audience.MEMBERS,
        )
        rivals = self.fields["rivals"]
        assert isinstance(rivals, forms.ModelMultipleChoiceField)
        rivals.queryset = TrainedModel.objects.exclude(manifest={}).exclude(pk=self.instance.model_id)
        if not rivals.queryset.exists():
            rivals.help_text = "There is no other model yet."

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        mixed_in = sum(cleaned.get(f"{kind}_share") or 0 for kind in ("gold", "control", "silence"))
        if mixed_in > 0.5:
            self.add_error(
                "control_share",
                "With the known answers and the silent suggestions that is more than half: "
                "little would be learned.",
            )
        return cleaned

    def rules(self) -> dict[str, Any]:
        """What create_campaign and change_rules take beside the name; what was left blank stays as it is."""
        said = {field: self.cleaned_data[field] for field in RulesForm.Meta.fields if field != "name"}
        may_be_blank = ("language", "closes_at", "hashtags", "rivals")
        return {
            field: value for field, value in said.items() if field in may_be_blank or value not in ("", None)
        }


class CampaignForm(RulesForm):
    photos_of = forms.ModelChoiceField(
        Campaign.objects.all(),
        required=False,
        label="Photos of another campaign",
        empty_label="None",
        help_text="Its votes count here too: another model can be scored at once on answers already given.",
    )
    uploads = ManyFilesField(
        required=False, label="Photos", help_text="JPEG, PNG, WebP or HEIC, up to 100 files at once."
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

    class Meta(RulesForm.Meta):
        fields = ["model", *RulesForm.Meta.fields]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        model = self.fields["model"]
        assert isinstance(model, forms.ModelChoiceField)
        model.queryset = TrainedModel.objects.exclude(manifest={})
        model.empty_label = None
        model.initial = serving.active_model()

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        if len(cleaned.get("uploads") or []) > AT_ONCE:
            self.add_error(
                "uploads", f"More than {AT_ONCE} files: take them in first (Campaigns, Photos taken in)."
            )
        if not cleaned.get("uploads") and not cleaned.get("photos_of"):
            self.add_error("uploads", "Choose photos to upload, or another campaign to take them from.")
        return cleaned


class GoldForm(forms.Form):
    """A known answer: which photo and hashtag, and whether it fits; "unknown" takes the mark away."""

    photo = forms.IntegerField(min_value=1, max_value=LARGEST)
    hashtag = forms.IntegerField(min_value=1, max_value=LARGEST)
    answer = forms.ChoiceField(choices=[(one, one) for one in ("fits", "does_not_fit", "unknown")])
    note = forms.CharField(max_length=200, required=False)


class IntakeForm(forms.Form):
    """Many photos on the same terms, from one of three places."""

    request_id = forms.UUIDField(required=False, initial=uuid4, widget=forms.HiddenInput)
    name = forms.CharField(max_length=100, help_text="So that you find it again.")
    uploads = ManyFilesField(
        required=False,
        label="Photos",
        help_text=f"{WORDS}, up to {settings.DATA_UPLOAD_MAX_NUMBER_FILES:,} files at once.",
    )
    archive = forms.FileField(
        required=False,
        label="Or a zip archive",
        widget=forms.FileInput(attrs={"accept": ".zip"}),
        help_text="Nothing is unpacked to the names inside; what is no photo is refused by name.",
    )
    folder = forms.CharField(
        max_length=500, required=False, label="Or a folder on the server", help_text="Below its PHOTO_ROOTS."
    )
    table = forms.FileField(
        required=False,
        label="Table of the files (CSV)",
        widget=forms.FileInput(attrs={"accept": ".csv,text/csv"}),
        help_text="Columns: file, hashtags (as their authors wrote them), author, source_url, licence, "
        "licence_url, consent. Only file must be there.",
    )
    campaign = forms.ModelChoiceField(
        Campaign.objects.filter(is_open=True),
        required=False,
        empty_label="None for now",
        label="Add them to a campaign",
    )
    near_duplicates = forms.BooleanField(
        required=False, label="Add photos that are nearly the same as others, too"
    )
    consent = forms.ChoiceField(choices=Photo.Consent.choices, required=False, label="Consent")
    author = forms.CharField(max_length=200, required=False)
    licence = forms.CharField(max_length=100, required=False, help_text="For example CC BY 4.0")
    licence_url = forms.URLField(
        max_length=500, required=False, label="Licence's page", assume_scheme="https"
    )
    source_url = forms.URLField(max_length=500, required=False, label="Source", assume_scheme="https")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.label_suffix = ""

    def clean_folder(self) -> str:
        folder = self.cleaned_data["folder"].strip()
        try:
            return allowed_folder(folder) if folder else ""
        except ValueError as error:
            raise forms.ValidationError(str(error)) from error

    def clean_archive(self) -> UploadedFile[Any] | None:
        archive: UploadedFile[Any] | None = self.cleaned_data["archive"]
        if archive and (archive.size or 0) > settings.MAX_ARCHIVE_BYTES:
            limit = f"{settings.MAX_ARCHIVE_BYTES / 2**20:.0f} MB"
            raise forms.ValidationError(f"Larger than {limit}: let it be put into a folder on the server.")
        return archive

    def clean_uploads(self) -> list[UploadedFile[Any]]:
        uploads = [file for file in self.cleaned_data["uploads"] if not is_junk(file.name or "")]
        large = [file.name for file in uploads if (file.size or 0) > settings.MAX_PHOTO_BYTES]
        if large:
            limit = f"{settings.MAX_PHOTO_BYTES / 2**20:.0f} MB"
            more = f" and {len(large) - 5} more" if len(large) > 5 else ""
            names = ", ".join(str(name) for name in large[:5])
            raise forms.ValidationError(f"Larger than {limit}, so nothing was taken in: {names}{more}.")
        return uploads

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        chosen = [name for name in ("uploads", "archive", "folder") if cleaned.get(name)]
        if len(chosen) != 1 and not self.errors:
            self.add_error("uploads", "Choose photos, or an archive, or a folder: one of the three.")
        return cleaned


class CorrectionForm(forms.Form):
    """What a photo shows: a scene class, or a hashtag alone, or neither (other)."""

    scene = forms.ModelChoiceField(
        SceneClass.objects.all(),
        to_field_name="key",
        required=False,
        label="Scene class",
        widget=forms.TextInput,
    )
    hashtag = forms.ModelChoiceField(
        Hashtag.objects.all(), to_field_name="name", required=False, empty_label="other", label="Or a hashtag"
    )
    seen = forms.IntegerField(required=False, widget=forms.HiddenInput)


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
    silent = forms.BooleanField(required=False)  # what the model thought of and did not suggest
    owed = forms.ChoiceField(choices=list(PARTIES.items()), required=False)  # to whom a disagreement is
    won = forms.ChoiceField(choices=[("ours", "ours"), ("theirs", "theirs")], required=False)
    against = forms.CharField(max_length=30, required=False)  # whom: a rival's or release's key
