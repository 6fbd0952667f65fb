"""From checked posts to votes to the figures of the check, with a small real model."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.test import Client

from jobs import work
from mapping.models import Hashtag
from serving.models import CheckedPost
from tests.serving.api.test_check import GREEN, RED
from tests.serving.conftest import Send
from tests.trainer.conftest import jpeg
from trainer.models import TrainedModel
from validation.agreement import posted, results
from validation.models import Campaign, Photo
from validation.photos.store import take_in
from validation.voting import assignment
from validation.voting.votes import record_vote

pytestmark = pytest.mark.django_db
ClientFor = Callable[..., Client]
POSTS, ASK = "/in-use/posts/", "/in-use/posts/ask/"


@pytest.fixture
def two_posts(send: Send, checking_model: TrainedModel) -> None:
    """A red and a green photo, both with #beaches and #bar: one of each does not fit, says the check."""
    for name in ("beach", "bar"):
        Hashtag.objects.get_or_create(
            name=name, defaults={"posts": 10**8, "source": "test", "counted_on": "x"}
        )
    for name, colour in (("red", RED), ("green", GREEN)):
        answer = send(
            "/api/v1/check", [("x.jpg", jpeg(colour))], hashtags="#beaches #bar", author="anna", post=name
        )
        assert answer.status_code == 200


def take_photos() -> None:
    for name, colour in (("red", RED), ("green", GREEN)):
        take_in(file=io.BytesIO(jpeg(colour)), name=f"{name}.jpg", by=None)


def fields(client: Client, query: str = "", **more: Any) -> dict[str, Any]:
    context = client.get(f"{ASK}{query}").context
    fields = {"name": "Posts", "model": context["form"].fields["model"].initial.pk, "asks": "all"}
    plain = {"votes_per_photo": 1, "extra_votes": 0, "gold_share": 0, "audience": "members"}
    return fields | plain | {"seen": context["askable"].digest} | more


def shown(client: Client, people: str) -> list[str]:
    return sorted(post.post for post in client.get(f"{POSTS}?people={people}").context["page"])


def test_from_posts_to_votes_to_the_figures(
    two_posts: None, client_for: ClientFor, user_for: Callable[..., User]
) -> None:
    client = client_for("admin")
    page = client.get(ASK)
    assert page.context["askable"].photos == []
    take_photos()
    assert client.post(ASK, fields(client)).status_code == 302
    campaign = Campaign.objects.get()
    assert campaign.job
    assert work.do_here(job=campaign.job)
    verdicts = campaign.posted.order_by("photo", "hashtag__name")
    assert list(verdicts.values_list("hashtag__name", "written", "verdict")) == [
        ("bar", "bar", "does_not_fit"),
        ("beach", "beaches", "fits"),
        ("bar", "bar", "fits"),
        ("beach", "beaches", "does_not_fit"),
    ]
    assert not Photo.objects.exclude(author="").exists()
    # People find that all fits but #bar on the red photo.
    for number in range(2):
        person = user_for("validator", f"voter {number}")
        while questions := assignment.next_questions(campaign=campaign, person=person):
            one = questions[0]
            is_wrong = one.hashtag.name == "bar" and one.photo.name == "red.jpg"
            record_vote(
                campaign=campaign,
                photo=one.photo_id,
                hashtag=one.hashtag_id,
                person=person,
                answer="does_not_fit" if is_wrong else "fits",
                request_id=uuid4(),
            )
    found = posted.find(campaign)
    assert found.is_finished
    assert found.fits
    assert found.fits.value == 0.75
    assert found.falsely_accused
    assert found.falsely_accused.value == pytest.approx(1 / 3)
    assert found.found
    assert found.found.value == 1
    assert found.rightly_accused
    assert found.rightly_accused.value == 0.5
    assert results.summarise(None).votes == 0
    text = client.get(campaign.get_absolute_url()).content.decode()
    assert "of those that fit are falsely accused" in text
    # Moderators see it beside the verdicts: on their page, by filter, as a file, by API.
    seen = " ".join(client.get(POSTS).content.decode().split())
    assert '✗ #bar <strong class="people">0 of 1</strong>' in seen
    assert '✓ #beaches <strong class="people">1 of 1</strong>' in seen
    named = {wanted: shown(client, wanted) for wanted in ("against", "falsely_accused", "unasked", "")}
    assert named == {"against": ["red"], "falsely_accused": ["green"], "unasked": [], "": ["green", "red"]}
    lines = client.get(f"{POSTS}export.csv?people=against").getvalue().decode().splitlines()
    assert lines[1].count("#beaches 1/1 #bar 0/1") == len(lines) - 1 == 1
    [told] = client.get("/api/v1/posts?people=against").json()["results"]
    assert [(row["hashtag"], row["people"]) for row in told["hashtags"]] == [
        ("beaches", {"fits": 1, "does_not_fit": 0}),
        ("bar", {"fits": 0, "does_not_fit": 1}),
    ]
    assert client.get("/api/v1/posts?people=x").status_code == 400
    CheckedPost.objects.update(photo_sha256="")  # whose photo is not known any more
    assert shown(client, "unasked") == ["green", "red"]
    assert '<strong class="people">' not in client.get(POSTS).content.decode()


def test_a_stale_page_a_repeated_click_and_the_wrong_people(two_posts: None, client_for: ClientFor) -> None:
    take_photos()
    client = client_for("admin")
    sent = fields(client)
    for role in ("curator", "viewer", "network"):
        assert client_for(role).post(ASK, sent).status_code == 403
    assert Client().post(ASK, sent)["Location"].startswith("/login/")
    CheckedPost.objects.filter(post="red").update(version=2)
    page = client.post(ASK, sent)
    assert page.status_code == 422
    assert "look at them once more. There is no campaign yet." in page.content.decode()
    sent = fields(client, "?hashtag=beach")
    assert client.post(f"{ASK}?hashtag=beach", sent).status_code == 302
    assert client.post(f"{ASK}?hashtag=beach", sent).status_code == 422
    assert Campaign.objects.count() == 1
    assert client.get(f"{ASK}?since=never")["Location"] == "/in-use/posts/?since=never"
