"""Checked posts of authors, which a moderator looks through. No photo is kept."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q

LONGEST_NAME = 100  # letters of an author's or a post's name


class CheckedPost(models.Model):
    """The newest check of one post. `account` is the network that asked; names are the network's own."""

    account = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", db_index=False)
    author = models.CharField(max_length=LONGEST_NAME)
    post = models.CharField(max_length=LONGEST_NAME)
    # Of the photo's file, which is not kept: it tells the photo apart if it is taken in. Empty: not known.
    photo_sha256 = models.CharField(max_length=64, blank=True, db_index=True)
    checked_at = models.DateTimeField(db_index=True)
    version = models.PositiveIntegerField(default=1)  # rises when another check says something else
    judged = models.PositiveSmallIntegerField()
    fitting = models.PositiveSmallIntegerField()
    doubtful = models.PositiveSmallIntegerField()
    not_fitting = models.PositiveSmallIntegerField()
    share = models.FloatField()  # not_fitting / judged; 0 if none was judged
    looked_at = models.DateTimeField(null=True, blank=True)  # by a moderator, in this version
    looked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )

    SCORE: ClassVar[tuple[str, ...]] = ("judged", "fitting", "doubtful", "not_fitting", "share")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["account", "post"], name="one_check_of_a_post"),
            models.CheckConstraint(
                name="judged_hashtags_have_a_verdict",
                condition=Q(judged=F("fitting") + F("doubtful") + F("not_fitting")),
            ),
            models.CheckConstraint(
                name="looked_by_has_time", condition=Q(looked_by=None) | Q(looked_at__isnull=False)
            ),
        ]
        indexes = [
            models.Index(F("share").desc(), F("not_fitting").desc(), F("id").desc(), name="posts_by_score"),
            models.Index(fields=["account", "author"], name="posts_of_an_author"),
        ]

    def __str__(self) -> str:
        return f"{self.post} by {self.author}"


class CheckedHashtag(models.Model):
    """One hashtag of a checked post, as its author wrote it."""

    checked = models.ForeignKey(CheckedPost, models.CASCADE, related_name="hashtags", db_index=False)
    place = models.PositiveSmallIntegerField()  # among those of the post, from 0
    hashtag = models.CharField(max_length=100)
    name = models.CharField(
        max_length=100, db_default=""
    )  # the same as campaigns spell it: without capitals and blanks
    verdict = models.CharField(max_length=12)  # serving.checking.VERDICTS
    probability = models.FloatField(null=True, blank=True)
    understood_as = models.CharField(max_length=50, blank=True, db_index=True)  # empty: nothing is known
    reason = models.CharField(max_length=200)

    class Meta:
        ordering = ["place"]
        constraints = [models.UniqueConstraint(fields=["checked", "place"], name="one_hashtag_a_place")]

    def __str__(self) -> str:
        return f"#{self.hashtag}: {self.verdict}"
