"""Questions, which are made from predictions, known answers, and leases of questions."""

from __future__ import annotations

from typing import Any, ClassVar, Self

from django.conf import settings
from django.db import models
from django.db.models import Exists, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from mapping.models import Hashtag
from validation.models.answers import JUDGED, AnswerCounts
from validation.models.campaigns import Campaign
from validation.models.pairs import PairQuerySet
from validation.models.photos import Photo


class GoldAnswerQuerySet(PairQuerySet["GoldAnswer"]):
    def shown(self) -> Self:
        """Without known answers on withdrawn photos."""
        return self.filter(photo__withdrawn_at=None)


class GoldAnswer(models.Model):
    """A photo and a hashtag whose answer is known. Mixed in unmarked, it shows who looks carefully."""

    photo = models.ForeignKey(Photo, models.CASCADE, related_name="gold_answers")
    hashtag = models.ForeignKey(Hashtag, models.PROTECT, related_name="gold_answers")
    fits = models.BooleanField()
    note = models.CharField(max_length=200, blank=True)
    set_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True)
    set_at = models.DateTimeField(auto_now_add=True)

    objects = GoldAnswerQuerySet.as_manager()

    class Meta:
        ordering = ["pk"]
        constraints = [models.UniqueConstraint(fields=["photo", "hashtag"], name="one_gold_answer")]

    def __str__(self) -> str:
        return f"{self.photo_id}: {self.hashtag} {'fits' if self.fits else 'does not fit'}"


class QuestionQuerySet(PairQuerySet["Question"]):
    def of_campaign(self, campaign: Campaign) -> Self:
        return self.filter(campaign_id=campaign.pk)

    def suggestions(self) -> Self:
        return self.filter(kind=Question.Kind.SUGGESTION)

    def main(self) -> Self:
        """What the campaign is about: the model's suggestions, or the authors' hashtags."""
        return self.filter(kind__in=Question.MAIN)

    def controls(self) -> Self:
        return self.filter(kind=Question.Kind.CONTROL)

    def gold(self) -> Self:
        return self.filter(kind=Question.Kind.GOLD)

    def silent(self) -> Self:
        return self.filter(kind=Question.Kind.SILENCE)

    def open_(self) -> Self:
        return self.filter(is_done=False)

    def judged(self) -> Self:
        return self.filter(JUDGED)

    def unjudged(self) -> Self:
        return self.filter(~JUDGED)

    def with_gold_answer(self) -> Self:
        """Questions of the kind gold, and suggestions whose answer is known."""
        return self.filter(has_gold_answer())

    def without_gold_answer(self) -> Self:
        return self.filter(~has_gold_answer())


def has_gold_answer() -> Exists:
    """Condition on questions: the answer is known."""
    return Exists(GoldAnswer.objects.on_outer_pair())


class Question(AnswerCounts):
    """A photo and a hashtag that a campaign asks about, with the counts of its votes.

    All votes on this photo and hashtag count, from any campaign, unless they are set aside. Only those given
    where voters are told of the photo's author count in such campaigns alone. Everybody gets
    open questions in the order of `rank`, which is random. So at any time the answered questions of a stratum
    (hashtag, band, shared) are a random sample, and few questions have only some of their answers.
    """

    class Kind(models.TextChoices):
        SUGGESTION = "suggestion", _("the model's suggestion")
        CONTROL = "control", _("a wrong hashtag, shown on purpose")
        GOLD = "gold", _("a known answer")
        SILENCE = "silence", _("the hashtag that a silent model ranked first")
        AUTHOR = "author", _("the author's hashtag")

    MAIN: ClassVar = (Kind.SUGGESTION, Kind.AUTHOR)

    class Stream(models.TextChoices):
        NONE = "", _("not asked yet")
        AUDIT = "audit", _("drawn at random")
        ACTIVE = "active", _("drawn where an answer teaches most")

    campaign = models.ForeignKey(Campaign, models.CASCADE, related_name="questions")
    photo = models.ForeignKey(Photo, models.CASCADE, related_name="questions")
    hashtag = models.ForeignKey(Hashtag, models.PROTECT, related_name="questions")
    kind = models.CharField(max_length=10, choices=Kind)
    stream = models.CharField(max_length=6, choices=Stream, blank=True)  # that first drew it
    confidence = models.FloatField(null=True, blank=True)  # of the model
    # Which third of the confidences; 0 is the lowest. 3 to 5 for photos added after voting began, and so on.
    # Of authors' hashtags: 1 for those added after voting began, and so on.
    band = models.PositiveSmallIntegerField(default=0)
    # Another campaign asks about the same pair, and its answers count here, too. Photos on which two models
    # agree are no random sample, so they form a stratum of their own.
    shared = models.BooleanField(default=False)
    rank = models.FloatField()  # uniform on [0, 1), drawn once
    needed = models.PositiveIntegerField()  # number of answers; more where people disagree
    is_done = models.BooleanField(default=False)  # it has as many answers as needed
    answered_at = models.DateTimeField(null=True, blank=True)  # time of the first answer

    objects = QuestionQuerySet.as_manager()

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


class QuestionLeaseQuerySet(models.QuerySet["QuestionLease"]):
    def live(self, now: Any = None) -> Self:
        return self.filter(expires_at__gt=now or timezone.now())

    def ended(self, at: Any) -> Self:
        return self.filter(expires_at__lte=at)


class QuestionLease(models.Model):
    """A question handed out to one person. Until the lease expires, it counts as an expected answer. For a
    day after, it shows that the person was asked, so that their late answer is kept.
    """

    question = models.ForeignKey(Question, models.CASCADE, related_name="leases")
    person = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="question_leases")
    given_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()

    objects = QuestionLeaseQuerySet.as_manager()

    class Meta:
        ordering = ["pk"]
        constraints = [models.UniqueConstraint(fields=["question", "person"], name="one_lease_per_person")]
        indexes = [models.Index(fields=["person", "expires_at"], name="lease_of_person")]

    def __str__(self) -> str:
        return f"{self.question_id} to {self.person_id} until {self.expires_at}"
