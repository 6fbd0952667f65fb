"""Authors' hashtags in a campaign that asks whether they fit."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from mapping.models import Hashtag
from validation.models.campaigns import Campaign
from validation.models.pairs import PairQuerySet
from validation.models.photos import Photo


class PostedHashtagQuerySet(PairQuerySet["PostedHashtag"]):
    def of_campaign(self, campaign: Campaign) -> PostedHashtagQuerySet:
        return self.filter(campaign_id=campaign.pk)


class PostedHashtag(models.Model):
    """A hashtag that a photo's author wrote, as an authors' campaign understands it: what the check said
    when the photo joined, and how likely it was that people are asked. Voters never see any of this.

    Those that were not drawn have a row, too: the drawn ones stand for them. Spellings of one hashtag on a
    photo are one row.
    """

    class Verdict(models.TextChoices):  # those of serving.checking; blank: there was no check
        NONE = "", _("not checked")
        FITS = "fits", _("fits")
        DOUBTFUL = "doubtful", _("doubtful")
        DOES_NOT_FIT = "does_not_fit", _("does not fit")
        UNKNOWN = "unknown", _("unknown to the model")

    ACCUSED: ClassVar = Verdict.DOES_NOT_FIT
    DOUBTED: ClassVar = (Verdict.DOUBTFUL, Verdict.DOES_NOT_FIT)

    campaign = models.ForeignKey(Campaign, models.CASCADE, related_name="posted")
    photo = models.ForeignKey(Photo, models.CASCADE, related_name="posted")
    hashtag = models.ForeignKey(Hashtag, models.PROTECT, related_name="posted")
    written = models.CharField(max_length=100)  # by the author, in lower case
    verdict = models.CharField(max_length=12, choices=Verdict, blank=True)
    probability = models.FloatField(null=True, blank=True)  # that it fits, says the check
    chance = models.FloatField()  # of being drawn; its inverse is the sampling weight
    is_drawn = models.BooleanField()

    objects = PostedHashtagQuerySet.as_manager()

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(fields=["campaign", "photo", "hashtag"], name="posted_once_per_campaign"),
            models.CheckConstraint(name="chance_is_a_share", condition=Q(chance__gte=0, chance__lte=1)),
            models.CheckConstraint(name="drawn_by_chance", condition=Q(is_drawn=False) | Q(chance__gt=0)),
        ]

    def __str__(self) -> str:
        return f"{self.photo_id}: #{self.written}"
