"""A second model beside the active one: it answers a share of requests, or is only watched."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from trainer.models import TrainedModel


class Trial(models.Model):
    """While it runs and the active model is `champion`, `challenger` gets a share of the photos."""

    class Kind(models.TextChoices):
        ANSWERS = "answers", gettext_lazy("answers its share of requests")
        SHADOW = "shadow", gettext_lazy("answers nobody; it is compared only")

    kind = models.CharField(max_length=10, choices=Kind)
    champion = models.ForeignKey(TrainedModel, models.PROTECT, related_name="+")
    challenger = models.ForeignKey(TrainedModel, models.PROTECT, related_name="+")
    share = models.FloatField()  # of the photos, 0 to 1
    started_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )
    started_at = models.DateTimeField(auto_now_add=True)
    stopped_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["kind"], condition=Q(stopped_at=None), name="one_running_trial_of_a_kind"
            ),
            models.CheckConstraint(name="trial_of_two_models", condition=~Q(champion=F("challenger"))),
            models.CheckConstraint(name="trial_share", condition=Q(share__gt=0, share__lte=1)),
        ]

    def __str__(self) -> str:
        return _("%(challenger)s beside %(champion)s") % {
            "challenger": self.challenger,
            "champion": self.champion,
        }

    @property
    def is_running(self) -> bool:
        return self.stopped_at is None
