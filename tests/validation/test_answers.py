"""What each answer means: defined once, for all code that counts votes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from tests.validation.conftest import MakeCampaign, MakeVote
from validation.models import Answer, Campaign, Participation, Question
from validation.models.answers import COUNTERS, MEANINGS, AnswerCounts

pytestmark = pytest.mark.postgres


def test_every_answer_has_a_meaning() -> None:
    assert set(MEANINGS) == set(Answer)


def test_every_meaning_has_a_counter_that_is_a_column() -> None:
    columns = {field.name for field in AnswerCounts._meta.get_fields()}
    assert set(COUNTERS) == {True, False, None}
    assert set(COUNTERS.values()) == columns


@pytest.mark.parametrize("answer", Answer)
def test_a_vote_adds_one_to_the_counter_of_its_answer(
    make_campaign: MakeCampaign, vote_as: MakeVote, answer: Answer
) -> None:
    campaign = make_campaign("cafe")
    vote_as(campaign, 0, answer.value)
    expected = {counter: int(counter == answer.counter) for counter in COUNTERS.values()}
    assert Question.objects.values(*COUNTERS.values()).get() == expected
    assert Participation.objects.values(*COUNTERS.values()).get() == expected
    assert Question.objects.get().answers == int(answer.is_judgement)


def test_the_ballot_offers_every_answer(campaign: Campaign, client_for: Callable[..., Client]) -> None:
    page = client_for("validator").get(f"/validation/vote/{campaign.pk}/").content.decode()
    for answer in Answer:
        assert f'name="answer" value="{answer.value}"' in page
