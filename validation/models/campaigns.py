"""Campaigns and their rules."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Count, OuterRef, Q
from django.db.models.functions import Coalesce
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from jobs.models import Job
from mapping.models import Hashtag
from trainer.models import TrainedModel
from validation.models.photos import Photo

SHARE = (MinValueValidator(0.0), MaxValueValidator(1.0))


class CampaignQuerySet(models.QuerySet["Campaign"]):
    def with_photo_counts(self) -> CampaignQuerySet:
        # Not Count("photos"): that groups by all columns of a campaign and took 200 ms for 10,000 photos.
        photos: Any = Campaign.photos.through.objects.filter(campaign_id=OuterRef("pk")).order_by()
        counts = photos.values("campaign_id").annotate(n=Count("pk")).values("n")
        return self.annotate(photo_count=Coalesce(models.Subquery(counts), 0)).order_by("-created_at", "-pk")

    def predicted(self) -> CampaignQuerySet:
        """Those about what a model suggests: only their questions count as agreement with it."""
        return self.filter(kind=Campaign.Kind.PREDICTED)

    def real(self) -> CampaignQuerySet:
        """Without the made-up one, which counts nowhere but on its own pages."""
        return self.filter(is_made_up=False)

    def made_up(self) -> CampaignQuerySet:
        return self.filter(is_made_up=True)

    def taking_votes(self) -> CampaignQuerySet:
        """Real ones: nobody is asked in the made-up one."""
        return self.real().filter(Q(closes_at=None) | Q(closes_at__gt=timezone.now()), is_open=True)


class Campaign(models.Model):
    """Photos × a model × rules: what people are asked about, who is asked, and how often.

    An authors' campaign asks about the hashtags that authors wrote. Its model checks them; it may have none.
    """

    class Kind(models.TextChoices):
        PREDICTED = "predicted", _("does the suggested hashtag fit?")
        AUTHORS = "authors", _("does the author's hashtag fit?")

    class Asks(models.TextChoices):
        ALL = "all", _("all of them")
        DOUBTED = "doubted", _("those that the check doubts, and a random share of the others")
        AUDIT = "audit", _("a random share of all")

    class Audience(models.TextChoices):
        MEMBERS = "members", _("members with the role validator")
        LINK = "link", _("members and anyone with the link")

    name = models.CharField(max_length=100, unique=True)
    kind = models.CharField(max_length=10, choices=Kind, default=Kind.PREDICTED)
    model = models.ForeignKey(TrainedModel, models.PROTECT, null=True, blank=True, related_name="campaigns")
    # Which of the authors' hashtags people are asked about. Set once: the sampling weights follow from it.
    asks = models.CharField(max_length=10, choices=Asks, default=Asks.ALL)
    asked_share = models.FloatField(default=0.1, validators=SHARE)  # of those that are drawn at random
    asks_words = models.BooleanField(default=False)  # also about words that are not in the vocabulary
    photos = models.ManyToManyField(Photo, related_name="campaigns")
    # Other models, scored on the votes already given; nobody is asked about them.
    rivals = models.ManyToManyField(TrainedModel, related_name="scored_in", blank=True)
    hashtags = models.ManyToManyField(Hashtag, related_name="campaigns", blank=True)  # none chosen: all
    min_confidence = models.FloatField(default=0.0, validators=SHARE)
    votes_per_photo = models.PositiveIntegerField(default=3)
    extra_votes = models.PositiveSmallIntegerField(default=2)  # asked for where people disagree
    audit_share = models.FloatField(default=0.5, validators=SHARE)  # drawn at random: the audit stream
    gold_share = models.FloatField(default=0.08, validators=SHARE)
    control_share = models.FloatField(default=0.05, validators=SHARE)
    # Silent suggestions: hashtags that the model ranked first but did not suggest.
    silence_share = models.FloatField(default=0.05, validators=SHARE)
    would_post_share = models.FloatField(default=0.1, validators=SHARE)  # asked after a vote
    # Nobody is asked about a photo that they saw in another campaign. If off, they may be asked about another
    # hashtag of it.
    only_unseen = models.BooleanField(default=True)
    audience = models.CharField(max_length=10, choices=Audience, default=Audience.MEMBERS)
    link_version = models.PositiveIntegerField(default=1)  # a new version makes earlier links invalid
    language = models.CharField(max_length=10, blank=True)  # blank: the voter's own
    closes_at = models.DateTimeField(null=True, blank=True)
    is_public = models.BooleanField(default=False)  # anybody with the public link may read its result
    is_open = models.BooleanField(default=True)
    is_archived = models.BooleanField(default=False)  # closed, and not in the list unless asked for
    # Its votes are made up, and so are its guests and photos' rows; nothing else says so: validation.made_up
    is_made_up = models.BooleanField(default=False)
    job = models.OneToOneField(Job, models.PROTECT, null=True, blank=True, related_name="campaign")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = CampaignQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.CheckConstraint(
                name="predicted_by_a_model", condition=Q(kind="authors") | Q(model__isnull=False)
            ),
            models.UniqueConstraint(
                fields=["is_made_up"], condition=Q(is_made_up=True), name="one_made_up_campaign"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("validation:campaign", args=[self.pk])

    @property
    def is_authors(self) -> bool:
        return self.kind == self.Kind.AUTHORS

    @property
    def predictor(self) -> TrainedModel:
        """The model that suggests the hashtags. An authors' campaign has none."""
        if self.model is None or self.is_authors:
            raise TypeError(f"No model suggests the hashtags of “{self}”.")
        return self.model

    @property
    def active_share(self) -> float:
        return 1 - self.audit_share

    @property
    def takes_votes(self) -> bool:
        is_in_time = self.closes_at is None or self.closes_at > timezone.now()
        return self.is_open and is_in_time and not self.is_made_up
