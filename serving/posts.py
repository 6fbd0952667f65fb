"""Checked posts: kept for moderators if the network names author and post, looked at, and forgotten."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Count, Q, QuerySet, Sum
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from formats.names import normalize_hashtag
from people import deeds
from serving import said
from serving.checking import Post
from serving.models import CheckedHashtag, CheckedPost
from serving.models.posts import LONGEST_NAME
from serving.spelling import LONGEST
from validation.campaigns.acts import create_authors_campaign
from validation.models import Campaign, Photo

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

    from trainer.models import TrainedModel

BATCH = 500  # posts forgotten in one round of a worker
AT_ONCE = 500  # posts of a file that are read together
MOST_ASKED = 5000  # posts of one campaign
WORST = 5  # hashtags that an author's sums name


class BadName(ValueError):
    """A name of an author or a post cannot be kept; the message says why."""


class Refused(ValueError):
    """Something cannot be done to posts; the message says why."""


@dataclass(frozen=True)
class AuthorSums:
    """All kept posts of one author. `worst`: hashtags, and how often each does not fit, the most first."""

    posts: int
    judged: int
    not_fitting: int
    worst: list[tuple[str, int]]

    @property
    def share(self) -> float | None:
        return self.not_fitting / self.judged if self.judged else None


def read_name(text: str) -> str:
    """The name as it is kept. Raises BadName."""
    name = text.strip()
    if not name:
        raise BadName("This field may not be blank.")
    if len(name) > LONGEST_NAME:
        raise BadName(f"This has {len(name)} characters; at most {LONGEST_NAME} are allowed.")
    if not name.isprintable():
        raise BadName("Only characters that can be printed are allowed, in one line.")
    return name


@transaction.atomic
def keep_post(
    *, account: AbstractBaseUser, author: str, name: str, post: Post, photo_sha256: str = ""
) -> CheckedPost:
    """Keep what was said of a post instead of what was kept of it before; of its photo only the hash.

    A moderator's mark stays if the same is said again, as when a request is repeated.
    """
    score = post.score
    facts = {field: getattr(score, field) for field in CheckedPost.SCORE}
    facts |= {"author": author, "share": score.share or 0.0, "photo_sha256": photo_sha256}
    row, is_new = CheckedPost.objects.select_for_update().get_or_create(
        account_id=account.pk, post=name, defaults=facts | {"checked_at": timezone.now()}
    )
    hashtags = _rows(row, post)
    if not is_new:
        if row.author != author or _said(row.hashtags.all()) != _said(hashtags):
            facts |= {"version": row.version + 1, "looked_at": None, "looked_by": None}
        else:
            hashtags = []
        for field, value in (facts | {"checked_at": timezone.now()}).items():
            setattr(row, field, value)
        row.save()
    if hashtags:
        row.hashtags.all().delete()
        CheckedHashtag.objects.bulk_create(hashtags)
    return row


def _rows(row: CheckedPost, post: Post) -> list[CheckedHashtag]:
    return [
        CheckedHashtag(
            checked=row,
            place=place,
            hashtag=answer.hashtag,
            name=normalize_hashtag(answer.hashtag)[:LONGEST],
            verdict=answer.verdict,
            probability=answer.probability,
            understood_as=answer.understood_as or "",
            reason=answer.reason,
        )
        for place, answer in enumerate(post.answers)
    ]


def _said(hashtags: QuerySet[CheckedHashtag] | list[CheckedHashtag]) -> list[tuple[object, ...]]:
    return [(row.hashtag, row.verdict, row.probability, row.understood_as) for row in hashtags]


@transaction.atomic
def mark_looked_at(*, pk: int, version: int, by: User) -> bool:
    """Mark the version of a post that somebody saw as looked at. False if it was marked already.

    Raises CheckedPost.DoesNotExist, and Refused if it was checked again since.
    """
    row = CheckedPost.objects.select_for_update().get(pk=pk)
    if row.version != version:
        words = _("“%(post)s” was checked again since you opened the page: look at it once more.")
        raise Refused(words % {"post": row.post})
    if row.looked_at:
        return False
    row.looked_at, row.looked_by = timezone.now(), by
    row.save(update_fields=["looked_at", "looked_by"])
    return True


@transaction.atomic
def delete_author(*, account: int, author: str, count: int, by: User) -> int:
    """Delete all posts of an author of whom somebody saw `count`. Returns how many there were, also if none.

    Raises Refused if others came since. The history does not name the author, who may want to be forgotten.
    """
    rows = CheckedPost.objects.filter(account=account, author=author)
    found = list(rows.select_for_update().values_list("pk", flat=True))
    if len(found) > count:
        words = ngettext(
            "There is %(n)s post of this author by now: look at it before you delete it.",
            "There are %(n)s posts of this author by now: look at them before you delete them.",
            len(found),
        )
        raise Refused(words % {"n": len(found)})
    if found:
        network = User.objects.get(pk=account)
        _delete(found)
        about = f"{len(found)} of an author of {network.get_username()}"
        deeds.record(by=by, what="delete posts", about=about)
    return len(found)


def forget_old() -> int:
    """Delete posts whose last check is older than CHECKED_POSTS_DAYS, a batch at a time. Returns how many."""
    limit = timezone.now() - timedelta(days=settings.CHECKED_POSTS_DAYS)
    old = CheckedPost.objects.filter(checked_at__lt=limit).order_by("checked_at")
    with transaction.atomic():
        found = list(old.values_list("pk", flat=True)[:BATCH])
        # A post may have been checked again since it was found.
        return _delete(found, checked_at__lt=limit) if found else 0


def _delete(pks: list[int], **still: object) -> int:
    counts = CheckedPost.objects.filter(pk__in=pks, **still).delete()[1]
    return counts.get("serving.CheckedPost", 0)


def by_score() -> QuerySet[CheckedPost]:
    """The worst first: by the share of hashtags that do not fit, then by their number."""
    return CheckedPost.objects.select_related("account", "looked_by").order_by(
        "-share", "-not_fitting", "-pk"
    )


def with_hashtag(written: str) -> QuerySet[CheckedHashtag, int]:
    """Ids of posts that have this hashtag, as it was written (but for capitals) or was understood."""
    name = written.strip().lstrip("#＃")
    has = CheckedHashtag.objects.filter(Q(hashtag__iexact=name) | Q(understood_as=name.lower()))
    return has.order_by().values_list("checked", flat=True)


def sum_author(*, account: int, author: str) -> AuthorSums:
    rows = CheckedPost.objects.filter(account=account, author=author)
    sums = rows.aggregate(posts=Count("pk"), judged=Sum("judged"), not_fitting=Sum("not_fitting"))
    wrong = CheckedHashtag.objects.filter(checked__in=rows, verdict="does_not_fit").order_by()
    worst = wrong.values_list("understood_as").annotate(n=Count("checked", distinct=True))
    return AuthorSums(
        sums["posts"],
        sums["judged"] or 0,
        sums["not_fitting"] or 0,
        list(worst.order_by("-n", "understood_as")[:WORST]),
    )


@dataclass(frozen=True)
class Askable:
    """Posts that people may be asked about. `digest` changes when another post is among them, or is checked
    again.
    """

    posts: int
    photos: list[Photo]  # that are here
    hashtags: dict[int, list[str]]  # photo's key → what the authors of its posts wrote
    digest: str


def find_askable(posts: QuerySet[CheckedPost]) -> Askable:
    """Raises Refused if they are more than MOST_ASKED."""
    rows = list(posts.order_by("pk").values_list("pk", "version", "photo_sha256")[: MOST_ASKED + 1])
    if len(rows) > MOST_ASKED:
        words = _("These are more than %(most)s posts: filter them, and ask about some at a time.")
        raise Refused(words % {"most": number_format(MOST_ASKED, force_grouping=True)})
    digest = hashlib.sha256(repr(rows).encode()).hexdigest()[:16]
    photos = list(Photo.objects.shown().filter(sha256__in={sha256 for *_, sha256 in rows if sha256}))
    by_hash = {photo.sha256: photo.pk for photo in photos}
    hashtags: dict[int, list[str]] = {photo.pk: [] for photo in photos}
    written = CheckedHashtag.objects.filter(checked__in=[pk for pk, *_ in rows])
    for sha256, name in written.values_list("checked__photo_sha256", "hashtag"):
        if sha256 in by_hash:
            hashtags[by_hash[sha256]].append(name)
    return Askable(len(rows), photos, hashtags, digest)


def ask_people(
    *, posts: QuerySet[CheckedPost], seen: str, by: User, name: str, model: TrainedModel | None, **rules: Any
) -> Campaign:
    """A campaign about the hashtags of these posts whose photos are here. The names of authors stay with the
    posts: they are not copied, and are forgotten with them.

    Raises Refused, and IntegrityError for a name that is taken.
    """
    askable = find_askable(posts)
    if askable.digest != seen:
        raise Refused(
            _("Posts have come, gone or changed since you opened the page: look at them once more.")
        )
    if not askable.photos:
        raise Refused(_("None of the photos is here: take them in first."))
    return create_authors_campaign(
        name=name, model=model, photos=askable.photos, hashtags=askable.hashtags, by=by, **rules
    )


CSV_FIELDS = (
    "account",
    "author",
    "post",
    "checked_at",
    *CheckedPost.SCORE,
    "does_not_fit",
    "people_say",
    "looked_at",
    "looked_by",
)


def csv_rows(posts: QuerySet[CheckedPost]) -> Iterator[tuple[str, ...]]:
    """A header and a row for each post; times in UTC. `share` is empty if no hashtag was judged."""
    yield CSV_FIELDS
    for row in _read(posts):
        wrong = [f"#{hashtag.hashtag}" for hashtag in row.hashtags.all() if hashtag.verdict == "does_not_fit"]
        yield (
            row.account.get_username(),
            row.author,
            row.post,
            row.checked_at.isoformat(),
            *(str(getattr(row, field)) for field in CheckedPost.SCORE[:-1]),
            str(row.share) if row.judged else "",
            " ".join(wrong),
            said.in_words(row.hashtags.all()),
            row.looked_at.isoformat() if row.looked_at else "",
            row.looked_by.get_username() if row.looked_by else "",
        )


def _read(posts: QuerySet[CheckedPost]) -> Iterator[CheckedPost]:
    """With their hashtags and what people said of them, some at a time."""
    rows = posts.prefetch_related("hashtags").iterator(chunk_size=AT_ONCE)
    while some := list(islice(rows, AT_ONCE)):
        said.add_said(some)
        yield from some
