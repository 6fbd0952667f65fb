"""Forms of the trainer's pages, other than the settings of a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django import forms
from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.http import QueryDict
from django.template.defaultfilters import filesizeformat
from django.utils.datastructures import MultiValueDict
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from mapping.models import Release
from trainer.engine.presets import DEFAULT_PRESET, PRESETS
from trainer.models import PhotoSet, TrainingRun
from trainer.runs import notes
from trainer.server_folders import browser_roots, is_allowed_in_browser, is_folder


class PhotoSetForm(forms.Form):
    """Either a folder on the server or an uploaded tar."""

    name = forms.CharField(max_length=100)
    folder = forms.CharField(max_length=400, required=False)
    tar = forms.FileField(required=False)

    def clean_folder(self) -> Path | None:
        text = self.cleaned_data["folder"].strip()
        if not text:
            return None
        folder = Path(text)
        # Say whether a folder exists only below the allowed ones: the rest of the disk stays private.
        if not is_allowed_in_browser(folder):
            roots = ", ".join(str(root) for root in browser_roots())
            raise forms.ValidationError(
                gettext(
                    "Only folders below %(roots)s can be registered here. On the server itself, "
                    "“manage.py register_photos” takes any folder."
                )
                % {"roots": roots}
            )
        if not is_folder(folder):
            raise forms.ValidationError(gettext("There is no folder %(folder)s.") % {"folder": folder})
        return folder

    def clean_tar(self) -> UploadedFile[Any] | None:
        tar: UploadedFile[Any] | None = self.cleaned_data["tar"]
        if tar and (tar.size or 0) > settings.MAX_ARCHIVE_BYTES:
            limit = filesizeformat(settings.MAX_ARCHIVE_BYTES)
            raise forms.ValidationError(
                gettext(
                    "The tar is %(size)s; the limit is %(limit)s. On the server itself, "
                    "“manage.py register_photos” takes a tar of any size."
                )
                % {"size": filesizeformat(tar.size or 0), "limit": limit}
            )
        return tar

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if not self.errors and bool(data.get("folder")) == bool(data.get("tar")):
            raise forms.ValidationError(gettext("Give either a folder on the server or a tar to upload."))
        return data


class RunForm(forms.Form):
    photo_set = forms.ModelChoiceField(PhotoSet.objects.none(), empty_label=None)
    release = forms.ModelChoiceField(Release.objects.all(), empty_label=None)
    preset = forms.ChoiceField(choices=[(p.name, p.title) for p in PRESETS.values()], initial=DEFAULT_PRESET)
    name = forms.CharField(max_length=100, required=False)
    based_on = forms.ModelChoiceField(TrainingRun.objects.defer("report", "live", "right"), required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        usable = PhotoSet.objects.with_photos()
        self.fields["photo_set"].queryset = usable  # type: ignore[attr-defined]


class NotesForm(forms.Form):
    """What people write about a run. The tags in use are ticked, new ones are typed."""

    name = forms.CharField(max_length=100)
    tags = forms.MultipleChoiceField(required=False, widget=forms.CheckboxSelectMultiple)
    new_tags = forms.CharField(max_length=400, required=False)
    notes = forms.CharField(max_length=5000, required=False, widget=forms.Textarea)

    def __init__(
        self,
        data: QueryDict | None = None,
        files: MultiValueDict[str, UploadedFile[Any]] | None = None,
        *,
        run: TrainingRun,
        own_tags: list[str],
    ) -> None:
        initial = {"name": run.name, "notes": run.notes, "tags": own_tags}
        super().__init__(data, files, initial=initial)
        # Those that were ticked belong to it, too: another page may have taken the last one from its run.
        ticked = data.getlist("tags") if data else []
        offered = dict.fromkeys([*own_tags, *notes.tags_in_use(), *ticked])
        self.fields["tags"].choices = [(tag, tag) for tag in offered]  # type: ignore[attr-defined]

    def clean_notes(self) -> str:
        return str(self.cleaned_data["notes"]).replace("\r\n", "\n")

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        try:
            data["all_tags"] = notes.read_tags(" ".join([*data.get("tags", []), data.get("new_tags", "")]))
        except notes.BadTag as error:
            self.add_error("new_tags", str(error))
        return data

    def read(self) -> dict[str, Any]:
        """The arguments of describe_run."""
        data = self.cleaned_data
        return {"name": data["name"], "notes": data["notes"], "tags": data["all_tags"]}


class ReleaseField(forms.ModelChoiceField):  # type: ignore[type-arg]
    """Names releases in the reader's language."""

    def label_from_instance(self, obj: Release) -> str:
        return gettext("release %(number)s") % {"number": obj.number}


class SweepForm(forms.Form):
    """Several runs at once: presets × splits × seeds, with the same changes for all of them."""

    CHANGES = ("epochs", "image_size", "batch_size", "weights", "num_workers")

    photo_set = forms.ModelChoiceField(PhotoSet.objects.none(), empty_label=None)
    release = ReleaseField(Release.objects.all(), empty_label=None)
    presets = forms.MultipleChoiceField(
        choices=[(p.name, p.title) for p in PRESETS.values()],
        error_messages={"required": _("Choose at least one recipe.")},
    )
    splits = forms.ChoiceField(
        choices=[
            ("", _("each recipe's own")),
            ("sun", _("SUN397's ten partitions")),
            ("fold5", _("five folds")),
            ("fold10", _("ten folds")),
        ],
        required=False,
    )
    seeds = forms.IntegerField(min_value=1, max_value=20, required=False)
    name = forms.CharField(max_length=100, required=False)
    epochs = forms.IntegerField(required=False)
    image_size = forms.IntegerField(required=False)
    batch_size = forms.IntegerField(required=False)
    weights = forms.CharField(max_length=300, required=False)
    num_workers = forms.IntegerField(required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["photo_set"].queryset = PhotoSet.objects.with_photos()  # type: ignore[attr-defined]

    def default_name(self) -> str:
        """A name for the sweep, made from its presets."""
        names = set(self.cleaned_data["presets"])
        for table in (3, 4):
            if names == {p.name for p in PRESETS.values() if p.thesis and p.table == table}:
                return f"table {table} of the thesis"
        titles = [p.title for p in PRESETS.values() if p.name in names]
        return titles[0] if len(titles) == 1 else f"{len(titles)} recipes"


class SuggestForm(forms.Form):
    photo = forms.FileField(
        error_messages={
            "required": _("Choose a photo first."),
            "empty": _("This file is empty."),
        }
    )

    def clean_photo(self) -> UploadedFile[Any]:
        photo: UploadedFile[Any] = self.cleaned_data["photo"]
        if (photo.size or 0) > settings.MAX_PHOTO_BYTES:
            limit = filesizeformat(settings.MAX_PHOTO_BYTES)
            raise forms.ValidationError(
                gettext("“%(name)s” is larger than %(limit)s.") % {"name": photo.name, "limit": limit}
            )
        return photo
