"""What people are asked: campaigns, what models predict, and the questions made of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet
from django.db.models.functions import Coalesce
from django.urls import reverse
from django.utils import timezone

from jobs.models import Job
from mapping.models import Hashtag, SceneClass
from trainer.models import TrainedModel
from validation.models.photos import Photo

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

    from validation.models.votes import Vote

SHARE = (MinValueValidator(0.0), MaxValueValidator(1.0))


class CampaignQuerySet(models.QuerySet["Campaign"]):
    def with_photo_counts(self) -> CampaignQuerySet:
        # Not Count("photos"): that groups by all a campaign's columns, which took 200 ms for 10,000 photos.
        inside: Any = Campaign.photos.through.objects.filter(campaign_id=OuterRef("pk")).order_by()
        counted = inside.values("campaign_id").annotate(n=Count("pk")).values("n")
        return self.annotate(photo_count=Coalesce(models.Subquery(counted), 0)).order_by("-created_at", "-pk")

    def taking_votes(self) -> CampaignQuerySet:
        return self.filter(Q(closes_at=None) | Q(closes_at__gt=timezone.now()), is_open=True)


class Campaign(models.Model):
    """Photos × a model × rules: what people are asked about, who is asked, and how often."""

    class Audience(models.TextChoices):
        MEMBERS = "members", "members with the role validator"
        LINK = "link", "members, and anybody who has the link"

    name = models.CharField(max_length=100, unique=True)
    model = models.ForeignKey(TrainedModel, models.PROTECT, related_name="campaigns")
    photos = models.ManyToManyField(Photo, related_name="campaigns")
    # Other models, scored on the votes already given; nobody is asked about them.
    rivals = models.ManyToManyField(TrainedModel, related_name="scored_in", blank=True)
    hashtags = models.ManyToManyField(Hashtag, related_name="campaigns", blank=True)  # none: all
    min_confidence = models.FloatField(default=0.0, validators=SHARE)
    votes_per_photo = models.PositiveIntegerField(default=3)
    extra_votes = models.PositiveSmallIntegerField(default=2)  # asked for where people disagree
    audit_share = models.FloatField(default=0.5, validators=SHARE)  # drawn at random, not where it teaches
    gold_share = models.FloatField(default=0.08, validators=SHARE)
    control_share = models.FloatField(default=0.05, validators=SHARE)
    # Hashtags that the model thought of and did not suggest.
    silence_share = models.FloatField(default=0.05, validators=SHARE)
    would_post_share = models.FloatField(default=0.1, validators=SHARE)  # asked after a vote
    # Nobody is asked about a photo they saw in another campaign. Off: they may be, about another hashtag.
    only_unseen = models.BooleanField(default=True)
    audience = models.CharField(max_length=10, choices=Audience, default=Audience.MEMBERS)
    link_version = models.PositiveIntegerField(default=1)  # a new one makes the links given out worthless
    language = models.CharField(max_length=10, blank=True)  # blank: the voter's own
    closes_at = models.DateTimeField(null=True, blank=True)
    is_public = models.BooleanField(default=False)  # its result may be read by whoever has that link
    is_open = models.BooleanField(default=True)
    job = models.OneToOneField(Job, models.PROTECT, null=True, blank=True, related_name="campaign")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = CampaignQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("validation:campaign", args=[self.pk])

    @property
    def active_share(self) -> float:
        return 1 - self.audit_share

    @property
    def takes_votes(self) -> bool:
        return self.is_open and (self.closes_at is None or self.closes_at > timezone.now())


class PredictionQuerySet(models.QuerySet["Prediction"]):
    def of(self, campaign: Campaign) -> PredictionQuerySet:
        """What the campaign's model says about the campaign's photos."""
        # Past the table of photos, which tells nothing here: half the time with 100,000.
        inside = Campaign.photos.through.objects.filter(
            photo_id=OuterRef("photo_id"), campaign_id=campaign.pk
        )
        return self.filter(Exists(inside), model_id=campaign.model_id)

    def of_any_campaign(self) -> PredictionQuerySet:
        asked = Campaign.photos.through.objects.filter(
            photo_id=OuterRef("photo_id"), campaign__model_id=OuterRef("model_id")
        )
        return self.filter(Exists(asked))

    def suggested(self) -> PredictionQuerySet:
        return self.filter(hashtag__isnull=False)

    def with_votes_of(self, person: AbstractBaseUser) -> PredictionQuerySet:
        return self.filter(Exists(_votes_on_outer().filter(person_id=person.pk)))

    def without_votes_of(self, person: AbstractBaseUser) -> PredictionQuerySet:
        return self.filter(~Exists(_votes_on_outer().filter(person_id=person.pk)))

    def with_answers(self) -> PredictionQuerySet:
        """Adds fits, does_not_fit and skips: how many answered so, whichever model they saw it with."""
        from validation.models.votes import Vote

        counts = {answer: _count(_votes_on_outer().filter(answer=answer)) for answer in Vote.Answer.values}
        return self.annotate(
            fits=counts["fits"], does_not_fit=counts["does_not_fit"], skips=counts["skip"]
        ).annotate(answers=F("fits") + F("does_not_fit"))


def _votes_on_outer() -> QuerySet[Vote]:
    """The votes about the photo and the hashtag of the surrounding query's row."""
    from validation.models.votes import Vote

    return Vote.objects.filter(photo_id=OuterRef("photo_id"), hashtag_id=OuterRef("hashtag_id")).order_by()


def _count(votes: QuerySet[Vote]) -> Coalesce:
    counted = votes.values("photo_id").annotate(n=Count("pk")).values("n")
    return Coalesce(models.Subquery(counted, output_field=models.IntegerField()), 0)


class Prediction(models.Model):
    """What one model says about one photo; no hashtag means it keeps silent, and reason says why."""

    photo = models.ForeignKey(Photo, models.CASCADE, related_name="predictions")
    model = models.ForeignKey(TrainedModel, models.CASCADE, related_name="predictions")
    hashtag = models.ForeignKey(Hashtag, models.PROTECT, null=True, blank=True, related_name="predictions")
    confidence = models.FloatField(null=True, blank=True)
    reason = models.CharField(max_length=200, blank=True)
    candidates = models.JSONField(default=list)
    # The scene class the photo looks most like, where the model can tell: which mapping row it came by.
    scene_class = models.ForeignKey(SceneClass, models.SET_NULL, null=True, blank=True, related_name="+")
    scene_confidence = models.FloatField(null=True, blank=True)

    objects = PredictionQuerySet.as_manager()

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(fields=["photo", "model"], name="one_prediction_per_photo_and_model"),
            models.CheckConstraint(
                name="silence_has_a_reason", condition=Q(hashtag__isnull=False) | ~Q(reason="")
            ),
        ]

    def __str__(self) -> str:
        return f"{self.photo_id}: {self.hashtag or self.reason}"


class GoldAnswer(models.Model):
    """A photo and a hashtag whose answer is known: mixed in quietly, it shows who looks."""

    photo = models.ForeignKey(Photo, models.CASCADE, related_name="gold_answers")
    hashtag = models.ForeignKey(Hashtag, models.PROTECT, related_name="gold_answers")
    fits = models.BooleanField()
    note = models.CharField(max_length=200, blank=True)
    set_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True)
    set_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["pk"]
        constraints = [models.UniqueConstraint(fields=["photo", "hashtag"], name="one_gold_answer")]

    def __str__(self) -> str:
        return f"{self.photo_id}: {self.hashtag} {'fits' if self.fits else 'does not fit'}"


class Question(models.Model):
    """A photo and a hashtag that a campaign asks about, with how the votes on the two stand.

    The counts are of all votes on this photo and hashtag that count, whichever campaign they were given in.
    Everybody takes what is open in the order of `rank`, which is random: of one stratum (hashtag, band,
    shared) what is answered is a random sample at every moment, and few are ever half answered.
    """

    class Kind(models.TextChoices):
        SUGGESTION = "suggestion", "what the model suggests"
        CONTROL = "control", "a wrong hashtag, on purpose"
        GOLD = "gold", "a known answer"
        SILENCE = "silence", "what the model thought of and did not suggest"

    class Stream(models.TextChoices):
        NONE = "", "not asked yet"
        AUDIT = "audit", "the lowest rank of all that was open"
        ACTIVE = "active", "drawn where it teaches most"

    campaign = models.ForeignKey(Campaign, models.CASCADE, related_name="questions")
    photo = models.ForeignKey(Photo, models.CASCADE, related_name="questions")
    hashtag = models.ForeignKey(Hashtag, models.PROTECT, related_name="questions")
    kind = models.CharField(max_length=10, choices=Kind)
    stream = models.CharField(max_length=6, choices=Stream, blank=True)  # by which it was first drawn
    confidence = models.FloatField(null=True, blank=True)  # of the model
    # Third of the confidences, 0 the unsure; 3 to 5 of photos that joined once people were asked, and so on.
    band = models.PositiveSmallIntegerField(default=0)
    # Another campaign asks about the same. Its answers count here too, and where two models agree is no
    # random part: a stratum of its own.
    shared = models.BooleanField(default=False)
    rank = models.FloatField()  # uniform on [0, 1), drawn once
    needed = models.PositiveIntegerField()  # answers; more where people disagree
    fits = models.PositiveIntegerField(default=0)
    does_not_fit = models.PositiveIntegerField(default=0)
    skips = models.PositiveIntegerField(default=0)
    is_done = models.BooleanField(default=False)  # as many answers as needed
    answered_at = models.DateTimeField(null=True, blank=True)  # the first answer

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(fields=["campaign", "photo", "hashtag"], name="asked_once_per_campaign")
        ]
        indexes = [
            models.Index(
                fields=["campaign", "kind", "rank"], condition=Q(is_done=False), name="question_next"
            ),
            models.Index(
                fields=["campaign", "kind", "hashtag", "band", "rank"],
                condition=Q(is_done=False),
                name="question_next_in_stratum",
            ),
            models.Index(fields=["photo", "hashtag"], name="question_of_photo"),
        ]

    def __str__(self) -> str:
        return f"{self.photo_id}: {self.hashtag_id} ({self.kind})"

    @property
    def answers(self) -> int:
        return self.fits + self.does_not_fit


class QuestionLease(models.Model):
    """A question handed out to one person. It counts as an answer to come until it ends, by itself."""

    question = models.ForeignKey(Question, models.CASCADE, related_name="leases")
    person = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="question_leases")
    given_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()

    class Meta:
        ordering = ["pk"]
        constraints = [models.UniqueConstraint(fields=["question", "person"], name="one_lease_per_person")]
        indexes = [models.Index(fields=["person", "expires_at"], name="lease_of_person")]

    def __str__(self) -> str:
        return f"{self.question_id} to {self.person_id} until {self.expires_at}"
