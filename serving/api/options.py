"""How a photo is to be judged, and how much of it is told: what a request for hashtags may ask for."""

from __future__ import annotations

from typing import Any, NamedTuple

from rest_framework import serializers
from rest_framework.request import Request

from serving.api.fields import read_fields
from serving.api.photos import FIELD
from trainer.engine.serving.judge import MOST_HASHTAGS
from trainer.engine.serving.prepare import MOST_COPIES, Preparation


class OptionsSerializer(serializers.Serializer[Any]):
    max = serializers.IntegerField(
        default=1, min_value=1, max_value=MOST_HASHTAGS, help_text="Up to so many hashtags for a photo."
    )
    crop = serializers.BooleanField(
        default=False, help_text="Judge only the square in the middle, whatever the model's own rule."
    )
    tta = serializers.IntegerField(
        default=0,
        min_value=0,
        max_value=MOST_COPIES,
        help_text="Average with so many distorted copies. Each takes as long as the photo itself.",
    )
    probabilities = serializers.ChoiceField(
        ["all"], required=False, help_text="`all`: tell the probability of every label that is offered."
    )


class Options(NamedTuple):
    most: int
    preparation: Preparation
    with_probabilities: bool

    @classmethod
    def read(cls, request: Request) -> Options:
        """Raises ValidationError."""
        fields = read_fields(request, OptionsSerializer, files=[FIELD])
        preparation = Preparation(crop=fields["crop"], copies=fields["tta"])
        return cls(fields["max"], preparation, "probabilities" in fields)
