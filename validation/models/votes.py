"""People's answers."""

from __future__ import annotations

import uuid
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Self

from django.conf import settings
from django.db import models
from django.db.models import Exists, Q
from django.utils.translation import gettext_lazy as _

from mapping.models import Hashtag
from validation.models.answers import JUDGEMENTS, WITH_REASON, Answer
from validation.models.campaigns import Campaign
from validation.models.pairs import PairQuerySet
from validation.models.photos import Photo

if TYPE_CHECKING:
    from validation.models.predictions import PredictionQuerySet


class VoteQuerySet(PairQuerySet["Vote"]):
    def about(self, predictions: PredictionQuerySet) -> Self:
        """The votes on these photos and hashtags, whichever model had suggested them."""
        return self.filter(Exists(predictions.on_outer_pair()))

    def judgements(self) -> Self:
        """Without skips."""
        return self.filter(answer__in=JUDGEMENTS)

    def counting(self) -> Self:
        """Without votes that are set aside."""
        return self.filter(set_aside=False)

    def counting_in(self, campaign: Campaign) -> Self:
        """Without those that say nothing about a model's suggestion, where the campaign asks about those: who
        was told that the author wrote the hashtag may find it fitting more readily.
        """
        return self if campaign.is_authors else self.filter(author_named=False)


class Vote(models.Model):
    """One person's answer to: does this hashtag fit this photo? It is not about any model."""

    class Reason(models.TextChoices):
        NONE = "", _("no reason given")
        WRONG_SCENE = "wrong_scene", _("wrong scene")
        TOO_GENERAL = "too_general", _("too general")
        TOO_SPECIFIC = "too_specific", _("too specific")
        UNCLEAR = "unclear", _("photo unclear")

    photo = models.ForeignKey(Photo, models.CASCADE, related_name="votes")
    hashtag = models.ForeignKey(Hashtag, models.PROTECT, related_name="votes")
    person = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="votes")
    campaign = models.ForeignKey(  # where it was given; the vote outlives it
        Campaign, models.SET_NULL, null=True, blank=True, related_name="votes"
    )
    answer = models.CharField(max_length=12, choices=Answer)
    reason = models.CharField(max_length=12, choices=Reason, blank=True)  # why the hashtag does not fit
    would_post = models.BooleanField(null=True, blank=True)  # asked after some votes only
    author_named = models.BooleanField(default=False)  # the voter was told that the author wrote the hashtag
    seconds = models.FloatField(null=True, blank=True)  # from seeing the photo to answering
    set_aside = models.BooleanField(default=False)  # counts nowhere, like all votes of this person
    request_id = models.UUIDField(default=uuid.uuid4, unique=True)  # the browser's idempotency key
    created_at = models.DateTimeField(auto_now_add=True)

    is_repeat = False  # not stored: the vote was there before the request that brought it

    objects = VoteQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(fields=["photo", "hashtag", "person"], name="one_vote_per_person"),
            models.CheckConstraint(
                name="reason_of_a_disagreement",
                condition=reduce(or_, (Q(answer=answer.value) for answer in WITH_REASON), Q(reason="")),
            ),
        ]
        indexes = [
            models.Index(fields=["person", "photo"], name="vote_of_person_on_photo"),
            models.Index(fields=["person", "campaign", "-id"], name="vote_of_person_latest"),
            models.Index(
                fields=["campaign", "would_post"],
                condition=Q(would_post__isnull=False),
                name="vote_that_would_post",
            ),
            models.Index(fields=["campaign", "reason"], condition=~Q(reason=""), name="vote_with_reason"),
        ]

    def __str__(self) -> str:
        return f"{self.person_id} on {self.photo_id}: {self.answer}"


class TakenBack(models.Model):
    """The idempotency key of a vote that was taken back. If the vote was sent twice over a bad connection,
    the second copy may arrive after the undo and must not restore the vote.
    """

    request_id = models.UUIDField(unique=True)
    person = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return str(self.request_id)
