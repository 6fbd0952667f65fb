"""The limits of every flag, and decisions about a person, saved completely or not at all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User

from tests.validation.conftest import MakeCampaign, MakeVote
from validation.models import Campaign, Participation, Question, Standing, Vote
from validation.people import crowd

UserFor = Callable[..., User]


def person(**counts: Any) -> crowd.PersonRow:
    names = ("fits", "does_not_fit", "skips", "fast", "gold", "gold_right", "control", "control_fits")
    return crowd.PersonRow(1, "ann", False, **dict.fromkeys(names, 0) | {"standing": None} | counts)


@pytest.mark.parametrize(
    ("fits", "does_not_fit", "fast", "is_fast"),
    [(15, 5, 7, True), (15, 5, 6, False), (19, 0, 19, False), (0, 20, 20, True)],
)
def test_more_than_30_percent_of_at_least_20_answers(
    fits: int, does_not_fit: int, fast: int, is_fast: bool
) -> None:
    assert person(fits=fits, does_not_fit=does_not_fit, fast=fast).is_fast == is_fast


@pytest.mark.parametrize(
    ("gold", "right", "is_careless"),
    [(14, 11, True), (14, 12, False), (13, 0, False), (20, 17, False), (20, 16, True)],
)
def test_less_than_85_percent_of_at_least_14_known_answers(gold: int, right: int, is_careless: bool) -> None:
    row = person(gold=gold, gold_right=right)
    assert row.is_careless == is_careless
    assert row.gold_share == right / gold


@pytest.mark.parametrize(
    ("counts", "says_yes"),
    [
        ({"control": 5, "control_fits": 4}, True),
        ({"control": 5, "control_fits": 3}, False),
        ({"control": 5, "control_fits": 2}, False),
        ({"control": 5, "control_fits": 3, "fits": 100}, False),  # people who saw controls are judged by them
        ({"control": 4, "control_fits": 4}, False),
        ({"control": 4, "control_fits": 4, "fits": 50}, True),
        ({"fits": 50}, True),
        ({"fits": 49}, False),
        ({"fits": 49, "does_not_fit": 1}, False),  # 98 %
        ({"fits": 40, "does_not_fit": 10}, False),
        ({"fits": 99, "does_not_fit": 1}, True),
    ],
)
def test_yes_to_more_than_60_percent_of_controls_or_98_of_all(counts: dict[str, int], says_yes: bool) -> None:
    assert person(**counts).says_always_yes == says_yes


def test_shares_of_nothing_are_unknown() -> None:
    assert (person().fits_share, person().gold_share) == (None, None)
    assert person(fits=3, does_not_fit=1).fits_share == 0.75


@pytest.mark.parametrize(("is_paused", "is_set_aside"), [(True, False), (True, True), (False, False)])
def test_a_row_knows_the_standing(is_paused: bool, is_set_aside: bool) -> None:
    standing = Standing(is_paused=is_paused, is_set_aside=is_set_aside)
    row = person(standing=standing)
    assert (row.is_paused, row.is_set_aside) == (is_paused, is_set_aside)
    assert (person().is_paused, person().is_set_aside) == (False, False)


@pytest.mark.parametrize(
    ("gold", "right", "is_paused"),
    [(14, 11, True), (14, 12, False), (13, 0, False), (20, 17, False), (20, 16, True), (0, 0, False)],
)
def test_known_answers_of_all_campaigns_pause_together(
    make_campaign: MakeCampaign, user_for: UserFor, gold: int, right: int, is_paused: bool
) -> None:
    ann = user_for("validator", "ann")
    assert not crowd.pause_if_careless(ann)  # who never voted
    parts = [(gold - 1, right), (1, 0)] if gold else [(0, 0)]
    for number, (known, known_right) in enumerate(parts):
        campaign = make_campaign("cafe", name=f"{number}")
        Participation.objects.create(person=ann, campaign=campaign, gold=known, gold_right=known_right)
    assert crowd.pause_if_careless(ann) == is_paused
    assert crowd.is_paused(ann) == is_paused
    if is_paused:
        assert Standing.objects.get().reason == "fewer than 85\u00a0% of the known answers right"


def test_people_who_need_attention_come_first_then_by_number_of_answers(
    campaign: Campaign, user_for: UserFor
) -> None:
    counts = {
        "few": {"fits": 2},
        "many": {"does_not_fit": 9},
        "more": {"fits": 9},
        "paused": {"fits": 1},
        "fast": {"does_not_fit": 20, "fast": 20},
        "yes": {"fits": 60},
        "careless": {"gold": 14},
    }
    for name, row in counts.items():
        Participation.objects.create(person=user_for("validator", name), campaign=campaign, **row)
    crowd.pause(person=user_for("validator", "paused"), by=user_for("admin"))
    names = [row.name for row in crowd.people(campaign)]
    assert names == ["yes", "fast", "paused", "careless", "many", "more", "few"]
    assert not any(row.is_guest for row in crowd.people(campaign))


def test_a_decision_says_why(user_for: UserFor) -> None:
    ann, boss = user_for("validator", "ann"), user_for("admin")
    crowd.unpause(person=ann, by=boss)
    standing = Standing.objects.get(person=ann)
    assert (standing.is_trusted, standing.is_paused, standing.reason) == (True, False, "")
    crowd.pause(person=ann, by=boss)
    standing.refresh_from_db()
    assert (standing.is_trusted, standing.is_paused, standing.reason) == (False, True, "paused by hand")
    crowd.set_aside(person=ann, by=boss)
    standing.refresh_from_db()
    assert (standing.is_set_aside, standing.reason) == (True, "set aside by hand")
    crowd.bring_back(person=ann, by=boss)
    standing.refresh_from_db()
    assert (standing.is_set_aside, standing.is_paused, standing.reason) == (False, True, "votes brought back")
    crowd.pause(person=user_for("validator", "bob"), by=boss, reason="sleepy")
    assert Standing.objects.get(person__username="bob").reason == "sleepy"


def test_somebody_trusted_is_paused_by_hand_only(campaign: Campaign, user_for: UserFor) -> None:
    ann, boss = user_for("validator", "ann"), user_for("admin")
    Participation.objects.create(person=ann, campaign=campaign, gold=20)
    crowd.unpause(person=ann, by=boss)
    assert not crowd.pause_if_careless(ann)
    assert crowd.pause(person=ann, by=boss)
    assert crowd.is_paused(ann)


def test_a_decision_is_saved_completely_or_not_at_all(
    campaign: Campaign, vote_as: MakeVote, user_for: UserFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, boss = vote_as(campaign, 0, "fits", "ann").person, user_for("admin")

    def fail(*_: object) -> None:
        raise OSError("the disk is full")

    def stands() -> list[Any]:
        tables = (
            Standing.objects.values_list("is_paused", "is_set_aside"),
            Vote.objects.values_list("set_aside"),
        )
        return [list(table) for table in tables]

    monkeypatch.setattr(crowd, "recount", fail)
    with pytest.raises(OSError, match="full"):
        crowd.set_aside(person=ann, by=boss)
    assert stands() == [[], [(False,)]]
    monkeypatch.undo()
    crowd.set_aside(person=ann, by=boss)
    assert Question.objects.filter(fits=1).count() == 0
    monkeypatch.setattr(crowd, "recount", fail)
    with pytest.raises(OSError, match="full"):
        crowd.bring_back(person=ann, by=boss)
    assert stands() == [[(True, True)], [(True,)]]
