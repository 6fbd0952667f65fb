"""The ballot script's API: next questions, votes sent once, undo, reasons and would-post."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError
from django.test import Client
from pytest_django import DjangoCaptureOnCommitCallbacks

from tests.validation.conftest import MakeCampaign, MakeVote
from validation.campaigns import acts
from validation.models import Campaign, Guest, Vote

ClientFor = Callable[..., Client]
WRITES = ("votes", "take-back", "more")


def path(campaign: Campaign, name: str) -> str:
    return f"/validation/vote/{campaign.pk}/{name}/"


def ask(client: Client, campaign: Campaign, n: int = 3) -> dict[str, Any]:
    answer: dict[str, Any] = client.get(path(campaign, "next"), {"n": n}).json()
    return answer


def vote(client: Client, campaign: Campaign, answer: str = "fits", **changes: Any) -> Any:
    questions = ask(client, campaign)["questions"]
    pair = {"photo": questions[0]["photo"], "hashtag": questions[0]["hashtag"]} if questions else {}
    fields = pair | {"answer": answer, "request_id": uuid4(), "seconds": 1.5} | changes
    return client.post(path(campaign, "votes"), fields)


def test_next_questions_reveal_nothing_about_the_model(campaign: Campaign, client_for: ClientFor) -> None:
    state = ask(client_for("validator"), campaign, 2)
    assert (len(state["questions"]), state["done"], state["total"]) == (2, 0, 3)
    assert {"confidence", "kind", "gold", "stream"}.isdisjoint(state["questions"][0])
    assert state["questions"][0]["licence"] == "CC BY 2.0"
    assert ".77" not in str(state["questions"])


def test_a_vote_sent_again_is_kept_once(campaign: Campaign, client_for: ClientFor) -> None:
    client = client_for("validator")
    question = ask(client, campaign)["questions"][0]
    fields = {"photo": question["photo"], "hashtag": question["hashtag"], "request_id": uuid4()}
    first, again = (vote(client, campaign, **fields).json() for _ in range(2))
    assert (first["kept"], again["kept"], again["repeated"]) == (True, False, True)
    assert Vote.objects.count() == 1
    assert question["photo"] not in [one["photo"] for one in ask(client, campaign)["questions"]]


def test_vote_is_acknowledged_though_the_database_goes_away_after_its_commit(
    campaign: Campaign,
    client_for: ClientFor,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    def fail(_: object) -> None:
        raise OperationalError("the connection is lost")

    monkeypatch.setattr("validation.campaigns.ends.tell_if_judged", fail)  # a fake
    client = client_for("validator")
    with django_capture_on_commit_callbacks(execute=True):
        answer = vote(client, campaign)
    assert (answer.status_code, answer.json()["kept"]) == (200, True)


def test_late_vote_is_refused_with_an_explanation(campaign: Campaign, client_for: ClientFor) -> None:
    client = client_for("validator")
    question = ask(client, campaign)["questions"][0]
    fields = {"photo": question["photo"], "hashtag": question["hashtag"]}
    acts.withdraw_photo(campaign=campaign, photo=campaign.photos.get(pk=question["photo"]))
    late = vote(client, campaign, **fields)
    assert (late.status_code, late.json()["closed"]) == (409, False)
    assert "withdrawn" in late.json()["error"]
    acts.set_open(campaign=campaign, is_open=False)
    late = vote(client, campaign, **fields)
    assert (late.status_code, late.json()["closed"]) == (409, True)
    assert ask(client, campaign)["questions"] == []
    assert not Vote.objects.exists()


def test_a_vote_brings_as_many_questions_as_it_asks_for(campaign: Campaign, client_for: ClientFor) -> None:
    client = client_for("validator")
    first, second = (one["photo"] for one in ask(client, campaign, 2)["questions"])
    fresh = vote(client, campaign, n=2).json()["next"]
    assert fresh["questions"][0]["photo"] == second
    assert (len(fresh["questions"]), fresh["done"], fresh["total"]) == (2, 1, 3)
    assert first not in [one["photo"] for one in fresh["questions"]]
    assert "next" not in vote(client, campaign).json()
    last = vote(client, campaign, n=2).json()["next"]
    assert (last["questions"], last["done"], last["closed"]) == ([], 3, False)


@pytest.mark.parametrize("n", ["", "x", "1e9", "²"])
def test_a_vote_is_kept_whatever_number_of_questions_it_asks_for(
    campaign: Campaign, client_for: ClientFor, n: str
) -> None:
    reply = vote(client_for("validator"), campaign, n=n).json()
    assert (reply["kept"], "next" in reply) == (True, False)


@pytest.mark.parametrize(("role", "queries"), [("validator", 31), ("guest", 32)])
def test_a_judged_photo_takes_few_queries(
    make_campaign: MakeCampaign,
    client_for: ClientFor,
    user_for: Callable[..., User],
    django_assert_max_num_queries: Any,
    role: str,
    queries: int,
) -> None:
    """The vote and the question that takes its place, with session, user and permission. Four are savepoints
    in place of transactions.
    """
    campaign = make_campaign(*["cafe", "bar"] * 4, audience="link", audit_share=1.0)
    if role == "guest":
        Guest.objects.create(user=user_for("nobody", "guest"), campaign=campaign, link_version=1)
    client = client_for("nobody", "guest") if role == "guest" else client_for("validator")
    vote(client, campaign, n=3)  # the first has no participation yet
    question = ask(client, campaign)["questions"][0]
    fields = {"photo": question["photo"], "hashtag": question["hashtag"], "answer": "fits"}
    with django_assert_max_num_queries(queries):
        reply = client.post(path(campaign, "votes"), fields | {"request_id": uuid4(), "n": 3}).json()
    assert len(reply["next"]["questions"]) == 3


@pytest.mark.parametrize("name", WRITES)
def test_unreadable_request_is_refused_with_an_explanation(
    campaign: Campaign, client_for: ClientFor, name: str
) -> None:
    bad = client_for("validator").post(path(campaign, name), {"request_id": "x", "answer": "maybe"})
    assert (bad.status_code, bool(bad.json()["error"])) == (400, True)


@pytest.mark.parametrize(("role", "status"), [("stranger", 401), ("viewer", 403), ("admin", 403)])
def test_person_who_may_not_vote_is_told_so(
    campaign: Campaign, client_for: ClientFor, role: str, status: int
) -> None:
    client = client_for(role)
    assert client.get(path(campaign, "next")).status_code == status
    for name in WRITES:
        answer = client.post(path(campaign, name))
        assert (answer.status_code, bool(answer.json()["error"])) == (status, True)


def test_csrf_token_is_required(campaign: Campaign, user_for: Callable[..., User]) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(user_for("validator"))
    assert [client.post(path(campaign, name)).status_code for name in WRITES] == [403] * 3


def test_guests_vote_only_in_the_campaign_of_their_link(
    campaign: Campaign, client_for: ClientFor, user_for: Callable[..., User]
) -> None:
    guest = user_for("nobody", "guest")
    Guest.objects.create(user=guest, campaign=campaign, link_version=1)
    client = client_for("nobody", "guest")
    assert client.get(path(campaign, "next")).status_code == 403  # for members only
    Campaign.objects.update(audience="link")
    assert vote(client, campaign).status_code == 200
    Campaign.objects.update(link_version=2)
    assert client.get(path(campaign, "next")).status_code == 403


def test_undo_takes_back_once_and_says_what_is_last_now(
    campaign: Campaign, client_for: ClientFor, vote_as: MakeVote
) -> None:
    first, last = vote_as(campaign, 0, "fits"), vote_as(campaign, 1, "fits")
    client, fields = client_for("validator"), {"request_id": last.request_id}
    undone = client.post(path(campaign, "take-back"), fields).json()
    assert undone["undone"] is True
    assert undone["last"]["request_id"] == str(first.request_id)
    assert client.post(path(campaign, "take-back"), fields).json()["undone"] is False
    assert list(Vote.objects.all()) == [first]


def test_a_reason_goes_to_the_persons_own_disagreement_only(
    campaign: Campaign, client_for: ClientFor, vote_as: MakeVote
) -> None:
    mine, theirs = vote_as(campaign, 0, "does_not_fit"), vote_as(campaign, 0, "does_not_fit", "other")
    in_favour = vote_as(campaign, 1, "fits")
    client = client_for("validator")
    for one, status in ((mine, 200), (mine, 200), (theirs, 409), (in_favour, 409)):
        fields = {"request_id": one.request_id, "reason": "too_general"}
        assert client.post(path(campaign, "more"), fields).status_code == status
    assert list(Vote.objects.order_by("pk").values_list("reason", flat=True)) == ["too_general", "", ""]


def test_would_post_is_asked_of_a_share_and_kept(
    campaign: Campaign, client_for: ClientFor, vote_as: MakeVote
) -> None:
    client, own_vote = client_for("validator"), vote_as(campaign, 0, "fits")
    for share, is_asked in ((0.0, False), (1.0, True)):
        Campaign.objects.update(would_post_share=share)
        assert {one["ask_would_post"] for one in ask(client, campaign)["questions"]} == {is_asked}
    fields = {"request_id": own_vote.request_id, "would_post": "no"}
    assert client.post(path(campaign, "more"), fields).status_code == 200
    assert client.post(path(campaign, "more"), fields | {"reason": "unclear"}).status_code == 400
    assert Vote.objects.get().would_post is False
