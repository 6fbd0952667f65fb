"""What somebody wants to be promised about the thresholds from a campaign's votes."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from trainer.registry.export import HIGHEST_TARGET, LOWEST_TARGET, TARGET_PRECISION
from validation.agreement.thresholds import Wish

NO_BREAK = "\N{NO-BREAK SPACE}"


class WishForm(forms.Form):
    """All fields may be left out: then it is the default."""

    KINDS = (("overall", _("all suggestions together")), ("each", _("each hashtag")))
    CONFIDENCES = tuple((str(n), f"{n}{NO_BREAK}% sure") for n in (90, 95, 99))

    target = forms.IntegerField(
        min_value=round(100 * LOWEST_TARGET),
        max_value=round(100 * HIGHEST_TARGET),
        required=False,
        label=_("Suggestions that fit, in %"),
    )
    kind = forms.ChoiceField(choices=KINDS, required=False, label=_("Promise for"))
    confidence = forms.ChoiceField(choices=CONFIDENCES, required=False, label=_("How sure"))

    def __init__(self, data: Any = None) -> None:
        defaults = {"target": str(round(100 * TARGET_PRECISION)), "kind": "overall", "confidence": "95"}
        given = {name: data[name] for name in self.base_fields if data and data.get(name)}
        super().__init__(defaults | given)

    @property
    def wish(self) -> Wish:
        """Call it after is_valid; of an invalid form it is the default."""
        if not self.is_valid():
            return Wish()
        data = self.cleaned_data
        return Wish(data["target"] / 100, data["kind"], int(data["confidence"]) / 100)
