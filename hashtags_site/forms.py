"""The form of the site's own settings."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.utils.translation import gettext as _

from hashtags_site.setup import MAPPINGS, STARTERS, SUN397
from people.forms import time_zones


class SiteForm(forms.Form):
    name = forms.CharField(max_length=60, required=False)
    time_zone = forms.ChoiceField(required=False)
    language = forms.ChoiceField(required=False)
    mapping = forms.ChoiceField(choices=list(MAPPINGS.items()), widget=forms.RadioSelect, initial=SUN397)
    starter = forms.ChoiceField(choices=list(STARTERS.items()), widget=forms.RadioSelect)

    def __init__(self, *args: Any, is_first: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["time_zone"].choices = time_zones(settings.TIME_ZONE)  # type: ignore[attr-defined]
        languages = [("", _("as the browser asks for")), *settings.LANGUAGES]
        self.fields["language"].choices = languages  # type: ignore[attr-defined]
        self.fields["starter"].initial = settings.STARTER
        if not is_first:
            del self.fields["mapping"], self.fields["starter"]
