"""What people said, in campaigns about authors' hashtags, of the hashtags of checked posts."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import Exists, OuterRef, QuerySet, Subquery, TextChoices
from django.db.models.functions import Coalesce
from django.utils.translation import pgettext_lazy

from serving.models import CheckedHashtag, CheckedPost
from validation.models import Campaign, PostedHashtag, Question
from validation.models.answers import FITTING, NOT_FITTING


class Wanted(TextChoices):
    """Posts by what most people say of at least one of their hashtags."""

    AGAINST = "against", pgettext_lazy("people", "find a hashtag unfitting")
    FALSELY_ACCUSED = "falsely_accused", pgettext_lazy("people", "find an accused one fitting")
    UNASKED = "unasked", pgettext_lazy("people", "have not answered")


@dataclass(frozen=True)
class Said:
    """How many people found a hashtag fitting on the photo, and how many not."""

    fits: int
    does_not_fit: int

    @property
    def people(self) -> int:
        return self.fits + self.does_not_fit


def add_said(posts: Iterable[CheckedPost]) -> None:
    """Put `said` on each hashtag of these posts: what people said, or None. One query."""
    rows = list(posts)
    heard = {row.pk: row for row in _heard().filter(checked__in=rows)}
    for post in rows:
        for row in post.hashtags.all():
            one = heard.get(row.pk)
            row.said = Said(one.fits, one.does_not_fit) if one else None  # type: ignore[attr-defined]


def with_said(posts: QuerySet[CheckedPost], wanted: str) -> QuerySet[CheckedPost]:
    """Those of the posts about whose hashtags people said so."""
    if wanted == Wanted.AGAINST:
        return posts.filter(pk__in=_heard().filter(NOT_FITTING).values("checked"))
    if wanted == Wanted.FALSELY_ACCUSED:
        accused = _heard().filter(FITTING, verdict="does_not_fit")
        return posts.filter(pk__in=accused.values("checked"))
    return posts.exclude(pk__in=_heard().values("checked"))


def _heard() -> QuerySet[CheckedHashtag, Any]:
    """Checked hashtags that people answered about, with their answers: `fits` and `does_not_fit`.

    Of authors' campaigns, where each question has all votes on its photo and hashtag. If people answered
    about several hashtags, the one counts that has this name; then the one that a campaign took this name
    for; then the one that the check took it for.
    """
    questions = (
        Question.objects.judged()
        .filter(campaign__kind=Campaign.Kind.AUTHORS, photo__sha256=OuterRef("checked__photo_sha256"))
        .order_by("pk")
    )
    taken_for = PostedHashtag.objects.on_outer_pair().filter(
        campaign_id=OuterRef("campaign_id"), written=OuterRef(OuterRef("name"))
    )
    found = (
        questions.filter(hashtag__name=OuterRef("name")),
        questions.filter(Exists(taken_for)),
        questions.filter(hashtag__name=OuterRef("understood_as")),
    )
    fits, does_not_fit = (
        Coalesce(*(Subquery(rows.values(name)[:1]) for rows in found)) for name in ("fits", "does_not_fit")
    )
    heard = CheckedHashtag.objects.annotate(fits=fits, does_not_fit=does_not_fit)
    return heard.filter(fits__isnull=False).order_by()


def in_words(hashtags: Collection[CheckedHashtag]) -> str:
    """As in a file: "#bar 4/5 #snow 0/3", the people that find each fitting, of those asked."""
    said = ((row, row.said) for row in hashtags)  # type: ignore[attr-defined]
    return " ".join(f"#{row.hashtag} {one.fits}/{one.people}" for row, one in said if one)
