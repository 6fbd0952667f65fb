from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from formats.names import normalize_hashtag
from mapping.acts import Decision, HashtagBlocked
from mapping.lexicon import wordnet
from mapping.models import OTHER, Hashtag, MappingEntry


class EntryForm(forms.Form):
    """A curator's decision about one class. If WordNet is present, it gives the words of the senses."""

    version = forms.IntegerField(widget=forms.HiddenInput)
    sense = forms.CharField(required=False, max_length=100)
    synset = forms.CharField(required=False, max_length=100)
    hypernym_sense = forms.CharField(required=False, max_length=100)
    hypernym = forms.CharField(required=False, max_length=100)
    hashtag = forms.CharField(required=False, max_length=50)
    another = forms.CharField(required=False, max_length=50)  # typed, if there is no button for it
    note = forms.CharField(required=False, max_length=500)

    def __init__(self, *args: Any, kept: Hashtag | None = None, **kwargs: Any) -> None:
        """kept: the present hashtag of the class, which may stay even if it is blocked."""
        super().__init__(*args, **kwargs)
        self.kept = kept

    @classmethod
    def of(cls, entry: MappingEntry) -> EntryForm:
        fields = ("version", "sense", "synset", "hypernym_sense", "hypernym", "note")
        return cls(initial={name: getattr(entry, name) for name in fields} | {"hashtag": entry.label or ""})

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        self._clean_hashtag(data)
        for key_field, word_field in (("sense", "synset"), ("hypernym_sense", "hypernym")):
            key = data.get(key_field)
            if not key:
                continue
            try:
                sense = wordnet.sense(key)
            except wordnet.WordNetMissing:
                continue  # keep the key as it is; the user typed the words
            if sense is None:
                self.add_error(key_field, gettext("WordNet has no noun sense “%(key)s”.") % {"key": key})
            else:
                data[word_field] = sense.word
        return data

    def _clean_hashtag(self, data: dict[str, Any]) -> None:
        name = normalize_hashtag(data.pop("another", "") or data.get("hashtag", ""))
        if not name:
            self.add_error("hashtag", gettext("Choose a hashtag, or other."))
        elif name == OTHER:
            data["hashtag"] = name
        elif (row := Hashtag.objects.filter(name=name).first()) is None:
            self.add_error("hashtag", gettext("“%(name)s” is not a known hashtag.") % {"name": name})
        elif row.blocked and row != self.kept:
            self.add_error("hashtag", f"{HashtagBlocked(row)}.")
        else:
            data["hashtag"] = name

    def decision(self) -> Decision:
        data = {name: value for name, value in self.cleaned_data.items() if name != "version"}
        return Decision(**data)


class PublishForm(forms.Form):
    seen = forms.CharField(widget=forms.HiddenInput)
    note = forms.CharField(
        max_length=500,
        error_messages={"required": _("Say in a note what changed, and why.")},
        help_text=_("What changed, and why. The note appears beside every run that trains on this release."),
    )


class OpinionForm(forms.Form):
    name = forms.CharField(
        max_length=100,
        error_messages={"required": _("An opinion needs a name, so that people can select it.")},
    )
    note = forms.CharField(required=False, max_length=500)
