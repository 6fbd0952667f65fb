"""How often the models answered what, counted by day. No row is written for an answer."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from trainer.models import TrainedModel


class AnswerTally(models.Model):
    """How many answers of a day fall into one bin of one figure: serving.counting."""

    day = models.DateField()
    model = models.ForeignKey(TrainedModel, models.PROTECT, related_name="+")
    trial = models.PositiveBigIntegerField(default=0)  # 0: none
    figure = models.CharField(max_length=20)
    bin = models.CharField(max_length=50, blank=True)
    count = models.BigIntegerField(default=0)

    KEYS: ClassVar[tuple[str, ...]] = ("day", "model", "trial", "figure", "bin")
    COUNTS: ClassVar[tuple[str, ...]] = ("count",)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["day", "model", "trial", "figure", "bin"], name="one_answer_tally"
            )
        ]

    def __str__(self) -> str:
        return f"{self.day} {self.figure} {self.bin}: {self.count}"
