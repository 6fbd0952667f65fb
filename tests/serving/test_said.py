"""What people said of checked hashtags, where they were asked about the word and about its meaning, too."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from mapping.models import Hashtag
from serving.models import CheckedHashtag, CheckedPost
from serving.said import Said, Wanted, add_said, with_said
from tests.validation.conftest import taken_in
from validation.models import Campaign, PostedHashtag, Question

pytestmark = [pytest.mark.django_db, pytest.mark.postgres]
UserFor = Callable[..., User]


@pytest.fixture
def post(user_for: UserFor) -> CheckedPost:
    """With one hashtag: #beaches, which the check took for #beach, and accused."""
    score = {"judged": 1, "fitting": 0, "doubtful": 0, "not_fitting": 1, "share": 1.0}
    row = CheckedPost.objects.create(
        account=user_for("network"),
        author="anna",
        post="1",
        photo_sha256=taken_in(1).sha256,
        checked_at=timezone.now(),
        **score,
    )
    CheckedHashtag.objects.create(
        checked=row, place=0, hashtag="Beaches", name="beaches", verdict="does_not_fit", understood_as="beach"
    )
    return row


def answered(written: str, hashtag: str, *, fits: int, does_not_fit: int) -> None:
    """A campaign in which people said so of what an author wrote."""
    row, _ = Hashtag.objects.get_or_create(
        name=hashtag, defaults={"posts": 1, "source": "test", "counted_on": ""}
    )
    campaign = Campaign.objects.create(
        name=f"{written} as {hashtag}", kind=Campaign.Kind.AUTHORS, asks_words=True
    )
    pair = {"campaign": campaign, "photo": taken_in(1), "hashtag": row}
    PostedHashtag.objects.create(**pair, written=written, chance=1, is_drawn=True)
    counts = {"fits": fits, "does_not_fit": does_not_fit}
    Question.objects.create(**pair, **counts, kind=Question.Kind.AUTHOR, rank=0.5, needed=1)


def shown() -> tuple[Said | None, list[str]]:
    """What the page says of the hashtag, and the filters that find its post."""
    posts = CheckedPost.objects.prefetch_related("hashtags")
    [row] = posts
    add_said([row])
    filters = [str(wanted) for wanted in Wanted if with_said(posts, wanted).exists()]
    return row.hashtags.all()[0].said, filters  # type: ignore[attr-defined]


def test_the_word_counts_before_its_meaning_on_the_page_and_in_each_filter(post: CheckedPost) -> None:
    assert shown() == (None, ["unasked"])
    answered("beach", "beach", fits=0, does_not_fit=3)
    assert shown() == (Said(0, 3), ["against"])
    answered("beaches", "beaches", fits=2, does_not_fit=1)
    assert shown() == (Said(2, 1), ["falsely_accused"])


def test_what_a_campaign_took_the_word_for_counts_before_what_the_check_took_it_for(
    post: CheckedPost,
) -> None:
    answered("beaches", "coast", fits=3, does_not_fit=0)
    answered("beach", "beach", fits=0, does_not_fit=3)
    assert shown() == (Said(3, 0), ["falsely_accused"])


def test_a_word_that_an_author_wrote_otherwise_is_found_by_both(post: CheckedPost) -> None:
    answered("#beaches!", "beaches", fits=0, does_not_fit=1)
    assert shown() == (Said(0, 1), ["against"])


def test_a_word_that_nobody_has_answered_leaves_its_meaning(post: CheckedPost) -> None:
    answered("beaches", "beaches", fits=0, does_not_fit=0)
    answered("beach", "beach", fits=1, does_not_fit=0)
    assert shown() == (Said(1, 0), ["falsely_accused"])
