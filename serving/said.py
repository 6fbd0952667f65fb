"""What people said, in campaigns about authors' hashtags, of the hashtags of checked posts."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from django.db.models import Exists, OuterRef, Q, QuerySet, TextChoices
from django.utils.translation import pgettext_lazy

from serving.models import CheckedHashtag, CheckedPost
from validation.models import Campaign, PostedHashtag, Question
from validation.models.answers import FITTING, JUDGED, NOT_FITTING


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
    """Put `said` on each hashtag of these posts: what people said, or None. Two queries."""
    rows = list(posts)
    hashes = {post.photo_sha256 for post in rows} - {""}
    counts = {
        (sha256, name): Said(fits, misfits)
        for sha256, name, fits, misfits in _judged(Q(photo__sha256__in=hashes)).values_list(
            "photo__sha256", "hashtag__name", "fits", "does_not_fit"
        )
    }
    # A photo's hash and a word → the hashtag that was asked about.
    understood: dict[tuple[str, str], str] = {}
    posted = PostedHashtag.objects.filter(photo__sha256__in=hashes)
    for sha256, written, name in posted.values_list("photo__sha256", "written", "hashtag__name"):
        understood |= {(sha256, written): name, (sha256, name): name}
    for post in rows:
        for row in post.hashtags.all():
            names = (understood.get((post.photo_sha256, word)) for word in (row.name, row.understood_as))
            found = (counts.get((post.photo_sha256, name)) for name in names if name)
            row.said = next((said for said in found if said), None)  # type: ignore[attr-defined]


def with_said(posts: QuerySet[CheckedPost], wanted: str) -> QuerySet[CheckedPost]:
    """Those of the posts about whose hashtags people said so."""
    if wanted == Wanted.AGAINST:
        return posts.filter(pk__in=_hashtags(NOT_FITTING).values("checked"))
    if wanted == Wanted.FALSELY_ACCUSED:
        accused = _hashtags(FITTING).filter(verdict="does_not_fit")
        return posts.filter(pk__in=accused.values("checked"))
    return posts.exclude(pk__in=_hashtags(JUDGED).values("checked"))


def _hashtags(said: Q) -> QuerySet[CheckedHashtag]:
    """Checked hashtags of which people said this. Names are compared as in add_said."""
    same = PostedHashtag.objects.filter(
        Q(written=OuterRef("name")) | Q(hashtag__name=OuterRef("understood_as")),
        Exists(
            _judged(said).filter(
                campaign_id=OuterRef("campaign_id"),
                photo_id=OuterRef("photo_id"),
                hashtag_id=OuterRef("hashtag_id"),
            )
        ),
        photo__sha256=OuterRef("checked__photo_sha256"),
    )
    return CheckedHashtag.objects.filter(Exists(same)).order_by()


def _judged(condition: Q) -> QuerySet[Question]:
    """Of authors' campaigns, where each question has all votes on its photo and hashtag."""
    return Question.objects.judged().filter(condition, campaign__kind=Campaign.Kind.AUTHORS)


def in_words(hashtags: Collection[CheckedHashtag]) -> str:
    """As in a file: "#bar 4/5 #snow 0/3", the people that find each fitting, of those asked."""
    said = ((row, row.said) for row in hashtags)  # type: ignore[attr-defined]
    return " ".join(f"#{row.hashtag} {one.fits}/{one.people}" for row, one in said if one)
