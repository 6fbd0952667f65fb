"""The filter of the agreement pages."""

from __future__ import annotations

from django import forms
from django.db.models import Q
from django.http import QueryDict
from django.utils.translation import gettext_lazy as _

from formats.numbers import read_number
from validation.agreement.blame import PARTIES
from validation.agreement.results import BINS
from validation.models import Campaign


class ResultsFilter(forms.Form):
    """What the agreement pages show. Unknown values mean no filter."""

    MAJORITIES = (
        ("", _("Anything")),
        ("fits", _("Fits")),
        ("does_not_fit", _("Does not fit")),
        ("tie", _("Tie")),
        ("open", _("No answer yet")),
    )
    campaign = forms.ModelChoiceField(
        Campaign.objects.real().predicted(),
        required=False,
        empty_label=_("All campaigns"),
        label=_("Campaign"),
    )
    hashtag = forms.CharField(max_length=50, required=False)
    said = forms.ChoiceField(choices=MAJORITIES, required=False, label=_("Most people said"))
    scene = forms.CharField(max_length=100, required=False)
    tenth = forms.IntegerField(min_value=0, max_value=BINS - 1, required=False)
    silent = forms.BooleanField(required=False)  # silent suggestions instead of suggestions
    owed = forms.ChoiceField(choices=list(PARTIES.items()), required=False)  # the party that is blamed
    won = forms.ChoiceField(choices=[("ours", "ours"), ("theirs", "theirs")], required=False)
    against = forms.CharField(max_length=30, required=False)  # the key of a rival or release

    def __init__(self, data: QueryDict) -> None:
        """The made-up campaign is among the choices only where it is chosen: its banner stands there."""
        super().__init__(data)
        field = self.fields["campaign"]
        assert isinstance(field, forms.ModelChoiceField)
        chosen = read_number(data.get("campaign")) or 0
        field.queryset = Campaign.objects.filter(Q(is_made_up=False) | Q(pk=chosen))
