"""What depends on a model here: feedback about its answers, counts of them, and trials. They go with it."""

from __future__ import annotations

from collections.abc import Collection

from django.db.models import Q, Sum
from django.utils.translation import gettext as _

from serving.models import AnswerTally, Feedback, FeedbackTally, Trial
from trainer.registry.dependents import Thing


class ModelsInUse:
    def on(self, models: Collection[int]) -> list[Thing]:
        count = FeedbackTally.objects.filter(model__in=models).aggregate(n=Sum("shown"))["n"] or 0
        words = ("answer with feedback", "answers with feedback")
        return [Thing(words, count, key="feedback")] if count else []

    def refusal(self, models: Collection[int]) -> str:
        running = Trial.objects.filter(challenger__in=models, stopped_at=None).first()
        return _("The trial “%(trial)s” is running: stop it first.") % {"trial": running} if running else ""

    def remove(self, models: Collection[int]) -> None:
        Trial.objects.filter(Q(challenger__in=models) | Q(champion__in=models)).delete()
        AnswerTally.objects.filter(model__in=models).delete()
        FeedbackTally.objects.filter(model__in=models).delete()
        Feedback.objects.filter(model__in=models).delete()
