"""The forms of an intake and of a correction."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from django import forms
from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.contrib.humanize.templatetags.humanize import intcomma
from django.core.files.uploadedfile import UploadedFile
from django.utils.functional import lazy
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from formats.texts import text_of
from mapping.models import Hashtag, HashtagQuerySet, SceneClass
from notices.words import shown
from validation.forms.fields import DroppedField
from validation.models import Campaign, Correction, Intake, Photo
from validation.models.photos import PhotoQuerySet
from validation.names import name_some
from validation.photos.intake_files import is_junk
from validation.photos.intake_sources import allowed_folder
from validation.photos.store import WORDS
from validation.photos.uploads import kind_of, megabytes


class ManyFilesInput(forms.ClearableFileInput):
    allow_multiple_selected = True


class ManyFilesField(forms.FileField):
    """Any number of files. Their content is checked when they are taken in."""

    widget = ManyFilesInput(attrs={"accept": "image/jpeg,image/png,image/webp,image/heic"})

    def clean(self, data: Any, initial: Any = None) -> list[UploadedFile[Any]]:
        return [file for file in data or [] if file]


class IntakeForm(forms.Form):
    """Many photos on the same terms, from one of four sources."""

    request_id = forms.UUIDField(required=False, initial=uuid4, widget=forms.HiddenInput)
    name = forms.CharField(max_length=100, label=_("Name"), help_text=_("A name to find it by."))
    uploads = ManyFilesField(
        required=False,
        label=_("Photos"),
        help_text=format_lazy(
            _("{formats}, up to {n} files at once."),
            formats=WORDS,
            n=lazy(intcomma, str)(settings.DATA_UPLOAD_MAX_NUMBER_FILES),
        ),
    )
    archive = forms.FileField(
        required=False,
        label=_("Or a zip archive"),
        widget=forms.FileInput(attrs={"accept": ".zip"}),
        help_text=_("Files that are not photos are refused and listed by name."),
    )
    dropped = DroppedField()
    folder = forms.CharField(
        max_length=500,
        required=False,
        label=_("Or a folder on the server"),
        help_text=_("It must be below one of the server's PHOTO_ROOTS."),
    )
    table = forms.FileField(
        required=False,
        label=_("Table of the files (CSV)"),
        widget=forms.FileInput(attrs={"accept": ".csv,text/csv"}),
        help_text=_(
            "Columns: file, hashtags (as their authors wrote them), author, source_url, licence, "
            "licence_url, consent. Only file is required."
        ),
    )
    campaign = forms.ModelChoiceField(
        Campaign.objects.real().filter(is_open=True),
        required=False,
        empty_label=_("None for now"),
        label=_("Add them to a campaign"),
    )
    near_duplicates = forms.BooleanField(required=False, label=_("Also add near duplicates of other photos"))
    consent = forms.ChoiceField(choices=Photo.Consent.choices, required=False, label=_("Consent"))
    author = forms.CharField(max_length=200, required=False, label=_("Author"))
    licence = forms.CharField(
        max_length=100,
        required=False,
        label=_("Licence"),
        help_text=_("For example CC BY 4.0"),
    )
    licence_url = forms.URLField(
        max_length=500, required=False, label=_("Licence's page"), assume_scheme="https"
    )
    source_url = forms.URLField(max_length=500, required=False, label=_("Source"), assume_scheme="https")

    def __init__(self, *args: Any, owner: AbstractBaseUser, **kwargs: Any) -> None:
        """owner: whose dropped files may be taken in."""
        super().__init__(*args, **kwargs)
        self.label_suffix = ""
        dropped = self.fields["dropped"]
        assert isinstance(dropped, DroppedField)
        dropped.offer_to(owner)

    def clean_folder(self) -> str:
        folder = self.cleaned_data["folder"].strip()
        try:
            return allowed_folder(folder) if folder else ""
        except ValueError as error:
            raise forms.ValidationError(shown(text_of(error))) from error

    def clean_archive(self) -> UploadedFile[Any] | None:
        archive: UploadedFile[Any] | None = self.cleaned_data["archive"]
        if archive and (archive.size or 0) > settings.MAX_ARCHIVE_BYTES:
            limit = megabytes(settings.MAX_ARCHIVE_BYTES)
            raise forms.ValidationError(
                _(
                    "The archive is larger than %(limit)s. Ask the server's administrator to put it "
                    "into a folder."
                )
                % {"limit": limit}
            )
        return archive

    def clean_uploads(self) -> list[UploadedFile[Any]]:
        uploads = [file for file in self.cleaned_data["uploads"] if not is_junk(file.name or "")]
        large = [file.name for file in uploads if (file.size or 0) > settings.MAX_PHOTO_BYTES]
        if large:
            limit = megabytes(settings.MAX_PHOTO_BYTES)
            names = name_some([str(name) for name in large], most=5)
            raise forms.ValidationError(
                _("Nothing was taken in, because these files are larger than %(limit)s: %(names)s.")
                % {"limit": limit, "names": names}
            )
        return uploads

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        sources = [name for name in ("uploads", "archive", "folder") if cleaned.get(name)]
        dropped = list(cleaned.get("dropped") or ())
        has_photos = any(kind_of(upload.name) != "table" for upload in dropped)
        if len(sources) + has_photos == 1 or self.errors:
            return cleaned
        if has_photos:
            self.add_error("dropped", _("Either these or a folder, not both: untick what you do not mean."))
        elif dropped and not sources:
            self.add_error("dropped", _("This is only a table: add the photos that it is about."))
        else:
            self.add_error("uploads", _("Choose either photos, an archive or a folder: one of the three."))
        return cleaned


class PhotoFilter(forms.Form):
    """Which photos are meant: all that fit every field."""

    q = forms.CharField(max_length=200, required=False, label=_("Author, file name or source"))
    intake = forms.ModelChoiceField(
        Intake.objects.all(),
        required=False,
        empty_label=_("Any"),
        label=_("Intake"),
    )
    since = forms.DateField(
        required=False,
        label=_("Added from"),
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
    )
    until = forms.DateField(
        required=False, label=_("Until"), widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
    )
    unused = forms.BooleanField(required=False, label=_("In no campaign yet"))

    def photos(self) -> PhotoQuerySet:
        """The photos that fit. Call it after is_valid() returned True."""
        data = self.cleaned_data
        return Photo.objects.found(
            text=data["q"].strip(),
            intake=data["intake"].pk if data["intake"] else None,
            **{name: data[name] for name in ("since", "until", "unused")},
        )


class CorrectionForm(forms.Form):
    """What a photo shows: a scene class, only a hashtag, or neither (other)."""

    scene = forms.ModelChoiceField(
        SceneClass.objects.all(),
        to_field_name="key",
        required=False,
        label=_("Scene class"),
        widget=forms.TextInput,
    )
    hashtag = forms.ModelChoiceField(
        Hashtag.objects.all(),
        to_field_name="name",
        required=False,
        empty_label=_("other"),
        label=_("Or a hashtag"),
    )
    seen = forms.IntegerField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, correction: Correction | None, **kwargs: Any) -> None:
        """correction: the present one, whose hashtag may be kept even if it was blocked since."""
        super().__init__(*args, **kwargs)
        field = self.fields["hashtag"]
        assert isinstance(field, forms.ModelChoiceField)
        field.queryset = self.hashtags(correction)

    @staticmethod
    def hashtags(correction: Correction | None) -> HashtagQuerySet:
        return Hashtag.objects.unblocked(kept=[correction.hashtag_id] if correction else [])
