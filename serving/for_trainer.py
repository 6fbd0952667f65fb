"""What depends on a model here: the feedback about its answers. It goes with the model."""

from __future__ import annotations

from collections.abc import Collection

from django.db.models import Sum

from serving.models import Feedback, FeedbackTally
from trainer.registry.dependents import Thing


class ModelsInUse:
    def on(self, models: Collection[int]) -> list[Thing]:
        count = FeedbackTally.objects.filter(model__in=models).aggregate(n=Sum("shown"))["n"] or 0
        words = ("answer with feedback", "answers with feedback")
        return [Thing(words, count, key="feedback")] if count else []

    def refusal(self, models: Collection[int]) -> str:
        return ""

    def remove(self, models: Collection[int]) -> None:
        FeedbackTally.objects.filter(model__in=models).delete()
        Feedback.objects.filter(model__in=models).delete()
