"""GET /api/v1/runs, models, campaigns, and the votes of a campaign: what the pages and exports tell."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from tests.conftest import api_key
from tests.validation.conftest import (  # noqa: F401
    MakeCampaign,
    MakeVote,
    campaign,
    hashtags,
    make_campaign,
    model,
    vote_as,
)
from trainer.models import Promotion, TrainedModel, TrainingRun
from validation.agreement import exports
from validation.models import Campaign

pytestmark = pytest.mark.django_db
Look = Callable[..., Any]


@pytest.fixture
def look(client_for: Callable[..., Client]) -> Look:
    client = client_for("viewer")
    return lambda path, **query: client.get(f"/api/v1/{path}", query)


def follow(look: Look, path: str, **query: Any) -> list[list[dict[str, Any]]]:
    """All pages of a list."""
    pages = []
    answer = look(path, **query).json()
    while True:
        pages.append(answer["results"])
        if answer["next"] is None:
            return pages
        answer = look(answer["next"].partition("/api/v1/")[2]).json()


def test_runs_tell_their_figures_and_their_model(look: Look, run: TrainingRun) -> None:
    TrainingRun.objects.update(accuracy=0.87, balanced_accuracy=0.86)
    model = TrainedModel.objects.create(name="From a run", run=run, manifest={"sha256": "0"})  # noqa: F811
    [[row]] = follow(look, "runs")
    assert (row["id"], row["name"], row["url"]) == (run.pk, run.name, run.get_absolute_url())
    assert (row["release"], row["photo_set"]) == (run.release.number, run.photo_set.name)
    assert (row["accuracy"], row["balanced_accuracy"]) == (0.87, 0.86)
    assert (row["notes"], row["tags"]) == ("", [])
    assert (row["state"], row["model"]) == ("succeeded", model.pk)


def test_models_tell_which_one_is_active(
    look: Look, model_for: Callable[..., TrainedModel], django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    models = [model_for(f"Model {number}") for number in range(3)]
    Promotion.objects.create(model=models[1])
    with django_assert_num_queries(6):  # session, account, two of permissions, rows, the active one
        rows = look("models").json()["results"]
    assert [(row["name"], row["is_active"]) for row in rows] == [
        ("Model 2", False),
        ("Model 1", True),
        ("Model 0", False),
    ]
    assert (rows[0]["labels"], rows[0]["accuracy"]) == (["bar", "beach", "other"], 0.81)


def test_pages_neither_skip_nor_repeat(look: Look, model_for: Callable[..., TrainedModel]) -> None:
    for number in range(5):
        model_for(f"Model {number}")
    first = look("models", limit=2).json()
    model_for("Made between two pages")
    second = look(first["next"].partition("/api/v1/")[2]).json()
    names = [row["name"] for row in first["results"] + second["results"]]
    assert names == ["Model 4", "Model 3", "Model 2", "Model 1"]


def test_a_campaign_tells_how_often_people_agree(
    look: Look,
    campaign: Campaign,  # noqa: F811
    vote_as: MakeVote,  # noqa: F811
) -> None:
    for name in ("ann", "bob", "eve"):
        vote_as(campaign, 0, "fits", name)
    [[row]] = follow(look, "campaigns")
    assert (row["photos"], row["suggestions"], row["judged"], row["takes_votes"]) == (4, 3, 1, True)
    whole = look(f"campaigns/{campaign.pk}").json()
    assert {key: whole[key] for key in row} == row
    assert (whole["agreement"]["share"], whole["agreement"]["photos"]) == (1.0, 1)
    assert (whole["votes"], whole["people"]) == (3, 3)
    assert look("campaigns/999999").status_code == 404


def test_votes_tell_what_the_export_tells(
    look: Look,
    make_campaign: MakeCampaign,  # noqa: F811
    campaign: Campaign,  # noqa: F811
    vote_as: MakeVote,  # noqa: F811
) -> None:
    rival = TrainedModel.objects.create(name="Rival", manifest={"sha256": "1"})
    other = make_campaign("cafe", None, "cafe", name="Shares two photos", by_model=rival, only_unseen=False)
    votes = [vote_as(campaign, number, "fits", name) for number in range(3) for name in ("ann", "bob")]
    vote_as(other, 2, "does_not_fit", "eve")  # the same photo with another hashtag: not asked here
    pages = follow(look, f"campaigns/{campaign.pk}/votes", limit=1)
    assert [len(page) for page in pages] == [2, 2, 2]
    rows = [row for page in pages for row in page]
    whole = [dict(zip(exports.FIELDS, row, strict=True)) for row in exports.votes(campaign)]
    assert sorted(rows, key=json.dumps) == sorted(whole, key=json.dumps)
    everything = json.dumps(rows)
    assert not any(word in everything for word in ("ann", *(str(vote.request_id) for vote in votes)))


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": 501}, "limit"),
        ({"after": "x"}, "after"),
        ({"state": "succeeded"}, "state"),
    ],
)
def test_a_wrong_parameter_is_named(look: Look, query: dict[str, Any], field: str) -> None:
    for path in ("runs", "models", "campaigns"):
        response = look(path, **query)
        assert (response.status_code, list(response.json())) == (400, [field])


def test_a_token_needs_the_scope(user_for: Callable[..., User]) -> None:
    viewer = user_for("viewer")
    for scope, status in (("read results", 200), ("read mapping", 403)):
        headers = {"authorization": f"Token {api_key(viewer, [scope])}"}
        assert Client().get("/api/v1/runs", headers=headers).status_code == status
    headers = {"authorization": f"Token {api_key(user_for('network'))}"}
    assert Client().get("/api/v1/runs", headers=headers).status_code == 403  # the account may not look
