"""Which strata the active stream asks about: weights computed by hand, their cache, the draw."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from tests.validation.conftest import MakeCampaign
from validation.models import Campaign, Question
from validation.voting import teaching


@pytest.fixture(autouse=True)
def clear_cache() -> None:
    teaching._cache.clear()


@pytest.fixture
def campaign(make_campaign: MakeCampaign) -> Campaign:
    """Two strata of #cafe (3 and 1 questions), one of #bar (2); a control that is no suggestion."""
    campaign = make_campaign(*["cafe"] * 4, *["bar"] * 3)
    questions = list(Question.objects.order_by("photo_id"))
    Question.objects.update(band=0)
    Question.objects.filter(pk=questions[3].pk).update(band=1)
    Question.objects.filter(pk=questions[6].pk).update(kind="control")
    return campaign


def answer(place: int, fits: int, does_not_fit: int, *, is_done: bool = False) -> None:
    question = Question.objects.order_by("photo_id")[place]
    Question.objects.filter(pk=question.pk).update(fits=fits, does_not_fit=does_not_fit, is_done=is_done)


def weights(campaign: Campaign) -> dict[tuple[str, int], float]:
    names = dict(Question.objects.values_list("hashtag_id", "hashtag__name"))
    return {(names[tag], band): weight for (tag, band), weight in teaching.worth_asking(campaign)}


def test_without_answers_the_share_of_a_stratum_counts(campaign: Campaign) -> None:
    assert weights(campaign) == pytest.approx({
        ("cafe", 0): (3 / 4) ** 2 * 0.25 / 2,
        ("cafe", 1): (1 / 4) ** 2 * 0.25 / 2,
        ("bar", 0): 0.25 / 2,
    })  # fmt: skip


def test_answers_make_a_stratum_lighter_and_doubt_heavier(campaign: Campaign) -> None:
    answer(0, 2, 1)  # most people: it fits
    answer(1, 1, 1)  # a tie is half a fit
    answer(2, 1, 2)
    answer(4, 0, 1)
    answer(6, 5, 0)  # a control says nothing about suggestions
    of_cafe, of_bar = (1.5 + 1) / (3 + 2), (0 + 1) / (1 + 2)
    assert weights(campaign) == pytest.approx({
        ("cafe", 0): (3 / 4) ** 2 * of_cafe * (1 - of_cafe) / (4 * 5),
        ("cafe", 1): (1 / 4) ** 2 * 0.25 / 2,
        ("bar", 0): of_bar * (1 - of_bar) / (2 * 3),
    })  # fmt: skip


def test_a_stratum_where_all_is_done_is_not_asked_about(campaign: Campaign) -> None:
    """But it still belongs to its hashtag."""
    answer(3, 3, 0, is_done=True)
    answer(0, 3, 0, is_done=True)
    assert set(weights(campaign)) == {("cafe", 0), ("bar", 0)}
    assert weights(campaign)["cafe", 0] == pytest.approx((3 / 4) ** 2 * (2 / 3) * (1 / 3) / (2 * 3))


class Clock:
    """A fake clock that stands still until it is set."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


def test_weights_are_remembered_for_a_minute(campaign: Campaign, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, calls = Clock(), list[Campaign]()

    def count(campaign: Campaign) -> list[Any]:
        calls.append(campaign)
        return [((1, 0), 1.0)]

    monkeypatch.setattr(teaching, "time", clock)
    monkeypatch.setattr(teaching, "worth_asking", count)
    for clock.now, times in ((1000.0, 1), (1000.5, 1), (1060.0, 1), (1060.5, 2), (1100.0, 2)):
        assert list(teaching.what_teaches_most(campaign)) == [(1, 0)]
        assert len(calls) == times


class FakeChance:
    """A fake draw that takes the heaviest stratum and records the choices."""

    def choices(self, strata: list[Any], weights: list[float]) -> list[Any]:
        return [strata[weights.index(max(weights))]]


@pytest.mark.parametrize(("strata", "draws"), [(0, 0), (1, 1), (2, 2), (3, 3), (5, 3)])
def test_three_draws_by_weight(
    campaign: Campaign, monkeypatch: pytest.MonkeyPatch, strata: int, draws: int
) -> None:
    pairs = [((number, 0), 10.0 + number) for number in range(strata)]
    monkeypatch.setattr(teaching, "worth_asking", lambda campaign: pairs)
    monkeypatch.setattr(teaching, "CHANCE", FakeChance())
    assert list(teaching.what_teaches_most(campaign)) == [(strata - 1, 0)] * draws


def test_chance_follows_the_weights(campaign: Campaign, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stratum of weight zero is never drawn."""
    monkeypatch.setattr(teaching, "worth_asking", lambda campaign: [((1, 0), 0.0), ((2, 0), 3.0)])
    draws = Counter(stratum for _ in range(50) for stratum in teaching.what_teaches_most(campaign))
    assert draws == {(2, 0): 100}
