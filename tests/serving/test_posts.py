"""Checked posts: kept by POST /api/v1/check, shown to moderators by score, looked at, exported, forgotten."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from jobs import keeper
from people.models import Deed
from serving.checking import Answer, Post
from serving.models import CheckedHashtag, CheckedPost
from serving.models.posts import LONGEST_NAME
from serving.posts import BATCH, by_score, forget_old, keep_post
from tests.serving.api.test_check import GREEN, RED
from tests.serving.conftest import Send
from tests.trainer.conftest import jpeg
from trainer.models import TrainedModel

CHECK, PAGE, DELETE = "/api/v1/check", "/in-use/posts/", "/in-use/posts/delete/"
pytestmark = [pytest.mark.django_db, pytest.mark.postgres]
ClientFor = Callable[..., Client]


def made(
    user: User, name: str, *, wrong: int = 0, right: int = 0, author: str = "anna", tag: str = "snow"
) -> CheckedPost:
    """A kept post with so many hashtags of each verdict."""
    bad = [Answer(f"{tag}{n}", "does_not_fit", 0.01, "No.", f"{tag}{n}") for n in range(wrong)]
    good = [Answer(f"bar{n}", "fits", 0.9, "Yes.", f"bar{n}") for n in range(right)]
    return keep_post(account=user, author=author, name=name, post=Post("x.jpg", (*bad, *good)))


@pytest.fixture
def network(user_for: Callable[..., User]) -> User:
    return user_for("network")


def shown(client: Client, query: str = "") -> list[str]:
    return [post.post for post in client.get(PAGE + query).context["page"]]


# --- keeping


def test_a_check_with_author_and_post_is_kept_without_its_photo(
    send: Send, checking_model: TrainedModel, network: User
) -> None:
    fields = {"hashtags": "#Beaches #bar #love", "author": " anna ", "post": "7"}
    answer = send(CHECK, [("x.jpg", jpeg(RED))], **fields).json()
    assert answer == send(CHECK, [("x.jpg", jpeg(RED))], hashtags=fields["hashtags"]).json()
    row = CheckedPost.objects.get()
    assert (row.account, row.author, row.post) == (network, "anna", "7")
    assert (row.judged, row.fitting, row.not_fitting, row.share) == (2, 1, 1, 0.5)
    kept = row.hashtags.values_list("hashtag", "verdict", "understood_as")
    assert list(kept) == [
        ("Beaches", "fits", "beach"),
        ("bar", "does_not_fit", "bar"),
        ("love", "unknown", ""),
    ]


def test_without_names_or_with_a_broken_photo_nothing_is_kept(
    send: Send, checking_model: TrainedModel
) -> None:
    assert send(CHECK, [("x.jpg", jpeg(RED))], hashtags="bar").status_code == 200
    assert send(CHECK, [("x.jpg", b"no")], hashtags="bar", author="a", post="1").status_code == 400
    assert not CheckedPost.objects.exists()


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"author": "anna"}, {"post": "together"}),
        ({"post": "1"}, {"author": "together"}),
        ({"author": "", "post": " "}, {"author": "blank", "post": "blank"}),
        ({"author": "a" * (LONGEST_NAME + 1), "post": "1"}, {"author": "at most 100"}),
        ({"author": "anna", "post": "1\n2"}, {"post": "one line"}),
        ({"author": "an\u202ena", "post": "1"}, {"author": "can be printed"}),
        ({"author": ["anna", "bob"], "post": "1"}, {"author": "once"}),
        ({"author": SimpleUploadedFile("x", b"anna"), "post": "1"}, {"author": "as text"}),
    ],
)
def test_bad_names_are_refused_by_field(
    send: Send, checking_model: TrainedModel, fields: dict[str, Any], wrong: dict[str, str]
) -> None:
    response = send(CHECK, [("x.jpg", jpeg(RED))], hashtags="bar", **fields)
    assert response.status_code == 400
    problems = response.json()
    assert problems.keys() == wrong.keys()
    assert all(words in problems[field][0] for field, words in wrong.items())
    assert not CheckedPost.objects.exists()


def test_another_check_of_a_post_replaces_the_first(
    send: Send, checking_model: TrainedModel, user_for: Callable[..., User]
) -> None:
    names = {"author": "anna", "post": "7"}
    send(CHECK, [("x.jpg", jpeg(RED))], hashtags="#bar #love", **names)
    send(CHECK, [("x.jpg", jpeg(GREEN))], hashtags="#bar", **names)
    row = CheckedPost.objects.get()
    assert (row.fitting, row.not_fitting, row.share, row.version) == (1, 0, 0, 2)
    assert CheckedHashtag.objects.count() == 1
    made(user_for("admin"), "7")  # another account's post of the same name
    assert CheckedPost.objects.count() == 2


def test_a_repeated_check_keeps_the_mark_and_another_one_removes_it(
    network: User, client_for: ClientFor
) -> None:
    row = made(network, "7", wrong=1)
    url = f"{PAGE}{row.pk}/looked-at/"
    client_for("curator").post(url, {"version": row.version})
    CheckedPost.objects.update(checked_at=timezone.now() - timedelta(days=9))
    again = made(network, "7", wrong=1)
    assert again.looked_at
    assert timezone.now() - again.checked_at < timedelta(days=1)
    assert made(network, "7", wrong=2).looked_at is None


@pytest.mark.django_db(transaction=True)
def test_checks_of_one_post_at_once_leave_one_of_them_whole(network: User) -> None:
    together = Barrier(4)

    def keep(wrong: int) -> None:
        together.wait()
        try:
            made(network, "7", wrong=wrong)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(keep, (1, 2, 3, 4)))
    row = CheckedPost.objects.get()
    assert row.version == 4
    assert row.hashtags.count() == row.not_fitting == row.judged


# --- the page


def test_posts_stand_by_share_then_by_number(network: User, client_for: ClientFor) -> None:
    for name, wrong, right in (
        ("none", 0, 0),
        ("half", 1, 1),
        ("many", 3, 3),
        ("one", 1, 0),
        ("two", 2, 0),
        ("fine", 0, 3),
    ):
        made(network, name, wrong=wrong, right=right)
    assert shown(client_for("curator")) == ["two", "one", "many", "half", "fine", "none"]


def test_filters(network: User, user_for: Callable[..., User], client_for: ClientFor) -> None:
    client, other = client_for("admin"), user_for("admin")
    made(network, "1", wrong=1, author="anna")
    made(network, "2", wrong=1, author="bob", tag="Ski")
    made(other, "3", author="anna")
    CheckedPost.objects.filter(post="2").update(checked_at=timezone.now() - timedelta(days=5))
    CheckedPost.objects.filter(post="3").update(looked_at=timezone.now())
    yesterday = timezone.localdate() - timedelta(days=1)
    assert shown(client, "?author=anna") == ["1", "3"]
    assert shown(client, f"?author=anna&account={network.pk}") == ["1"]
    assert shown(client, "?hashtag=%23ski0") == ["2"]
    assert shown(client, f"?until={yesterday}") == ["2"]
    assert shown(client, f"?since={yesterday}") == ["1", "3"]
    assert shown(client, "?looked=no") == ["2", "1"]
    assert shown(client, "?looked=yes") == ["3"]
    assert shown(client, "?since=never") == []
    assert client.get(PAGE + "export.csv?since=never").status_code == 400


def test_an_authors_posts_are_summed_for_one_network(
    network: User, user_for: Callable[..., User], client_for: ClientFor
) -> None:
    made(network, "1", wrong=2, right=1)
    made(network, "2", wrong=1)
    made(user_for("admin"), "3", wrong=3)
    response = client_for("admin").get(f"{PAGE}?author=anna&account={network.pk}")
    sums = response.context["sums"]
    assert (sums.posts, sums.not_fitting, sums.judged, sums.share) == (2, 3, 4, 0.75)
    assert sums.worst == [("snow0", 2), ("snow1", 1)]
    assert client_for("admin").get(f"{PAGE}?author=anna").context["sums"] is None


def test_the_page_asks_as_often_for_fifty_posts_as_for_one(network: User, client_for: ClientFor) -> None:
    client = client_for("curator")
    made(network, "0", wrong=1)
    with CaptureQueriesContext(connections["default"]) as one:
        client.get(PAGE)
    for number in range(1, 50):
        made(network, str(number), wrong=2)
    with CaptureQueriesContext(connections["default"]) as fifty:
        client.get(PAGE)
    assert len(fifty) == len(one)


def test_csv_has_the_same_posts_and_no_formula(network: User, client_for: ClientFor) -> None:
    made(network, "=1+1", wrong=2, author='@SUM("x")')
    made(network, "unknown", author="bob")
    content = client_for("curator").get(PAGE + "export.csv").getvalue().decode()
    first, second = csv.DictReader(io.StringIO(content))
    assert (first["author"], first["post"], first["does_not_fit"]) == (
        '\'@SUM("x")',
        "'=1+1",
        "#snow0 #snow1",
    )
    assert (first["share"], second["share"], second["judged"]) == ("1.0", "", "0")


# --- looked at


def test_looked_at_once_by_whom_and_when(
    network: User, user_for: Callable[..., User], client_for: ClientFor
) -> None:
    row = made(network, "7", wrong=1)
    url, seen = f"{PAGE}{row.pk}/looked-at/", {"version": row.version, "back": PAGE + "?looked=no"}
    response = client_for("curator").post(url, seen)
    assert response["Location"] == PAGE + "?looked=no"
    row.refresh_from_db()
    assert row.looked_by == user_for("curator")
    first = row.looked_at
    response = client_for("admin").post(url, seen, follow=True)  # a repeated click
    assert "looked at already" in response.content.decode()
    row.refresh_from_db()
    assert (row.looked_by, row.looked_at) == (user_for("curator"), first)


def test_a_stale_page_marks_nothing(network: User, client_for: ClientFor) -> None:
    row = made(network, "7", wrong=1)
    seen = {"version": row.version}
    made(network, "7", wrong=3)
    response = client_for("curator").post(f"{PAGE}{row.pk}/looked-at/", seen, follow=True)
    assert "checked again since" in response.content.decode()
    row.refresh_from_db()
    assert row.looked_at is None
    row.delete()
    assert client_for("curator").post(f"{PAGE}{row.pk}/looked-at/", seen).status_code == 404


@pytest.mark.parametrize("back", ["https://evil.example/", "//evil.example/", "javascript:alert(1)", ""])
def test_nobody_is_sent_to_another_site(network: User, client_for: ClientFor, back: str) -> None:
    row = made(network, "7")
    response = client_for("curator").post(f"{PAGE}{row.pk}/looked-at/", {"version": 1, "back": back})
    assert response["Location"] == PAGE


# --- deleted


def test_an_authors_posts_are_deleted_on_request(
    network: User, user_for: Callable[..., User], client_for: ClientFor
) -> None:
    made(network, "1", wrong=1)
    made(network, "2", wrong=1)
    made(network, "3", author="bob")
    made(user_for("admin"), "4")
    form = {"account": network.pk, "author": "anna", "count": 1}
    client = client_for("admin")
    stale = client.post(DELETE, form, follow=True)
    assert "2 posts of this author by now" in stale.content.decode()
    assert CheckedPost.objects.count() == 4
    client.post(DELETE, form | {"count": 2})
    assert sorted(CheckedPost.objects.values_list("post", flat=True)) == ["3", "4"]
    assert not CheckedHashtag.objects.exists()
    again = client.post(DELETE, form | {"count": 2}, follow=True)
    assert "Nothing is kept of this author" in again.content.decode()
    deed = Deed.objects.get(what="delete posts")
    assert deed.by_name == user_for("admin").username
    assert "anna" not in deed.about
    for odd in ({}, form | {"account": "9" * 20}):
        assert "choose an author" in client.post(DELETE, odd, follow=True).content.decode()


def test_old_posts_are_forgotten_by_workers(network: User) -> None:
    days = settings.CHECKED_POSTS_DAYS
    made(network, "old", wrong=2)
    CheckedPost.objects.update(checked_at=timezone.now() - timedelta(days=days, minutes=1))
    made(network, "new")
    CheckedPost.objects.filter(post="new").update(
        checked_at=timezone.now() - timedelta(days=days) + timedelta(minutes=1)
    )
    keeper.keep_house()
    assert [post.post for post in by_score()] == ["new"]
    assert not CheckedHashtag.objects.exists()


def test_a_round_forgets_a_batch_only(network: User) -> None:
    long_ago = timezone.now() - timedelta(days=400)
    none = dict.fromkeys(CheckedPost.SCORE, 0)
    CheckedPost.objects.bulk_create(
        CheckedPost(account=network, author="a", post=str(number), checked_at=long_ago, **none)
        for number in range(BATCH + 1)
    )
    assert [forget_old() for _ in range(3)] == [BATCH, 1, 0]


def test_strangers_and_other_roles_change_nothing(network: User, client_for: ClientFor) -> None:
    row = made(network, "7", wrong=1)
    form = {"account": network.pk, "author": "anna", "count": 1, "version": 1}
    for url in (f"{PAGE}{row.pk}/looked-at/", DELETE):
        assert Client().post(url, form)["Location"].startswith("/login/")
        assert [client_for(role).post(url, form).status_code for role in ("viewer", "network")] == [403, 403]
    row.refresh_from_db()
    assert row.looked_at is None
