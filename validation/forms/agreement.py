"""What the agreement pages are filtered by."""

from __future__ import annotations

from django import forms

from validation.agreement.blame import PARTIES
from validation.agreement.results import BINS
from validation.models import Campaign


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
    tenth = forms.IntegerField(min_value=0, max_value=BINS - 1, required=False)
    silent = forms.BooleanField(required=False)  # what the model thought of and did not suggest
    owed = forms.ChoiceField(choices=list(PARTIES.items()), required=False)  # to whom a disagreement is
    won = forms.ChoiceField(choices=[("ours", "ours"), ("theirs", "theirs")], required=False)
    against = forms.CharField(max_length=30, required=False)  # whom: a rival's or release's key
