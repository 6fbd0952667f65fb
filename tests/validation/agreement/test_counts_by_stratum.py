"""How strata are counted: each photo and hashtag once, bands that represent each other, what is random."""

from __future__ import annotations

import pytest

from tests.validation.conftest import MakeCampaign
from trainer.models import TrainedModel
from validation.agreement import strata
from validation.models import Campaign, Question


@pytest.fixture
def campaign(make_campaign: MakeCampaign) -> Campaign:
    return make_campaign(*["cafe"] * 6)


def answer(*counts: tuple[int, int]) -> None:
    """Fits and does not fit, by rank."""
    for question, (fits, does_not_fit) in zip(Question.objects.order_by("rank"), counts, strict=False):
        Question.objects.filter(pk=question.pk).update(
            fits=fits, does_not_fit=does_not_fit, skips=1, is_done=fits + does_not_fit > 1
        )


def test_a_stratum_is_counted_with_its_outcomes(campaign: Campaign) -> None:
    answer((2, 1), (1, 2), (1, 1), (0, 0), (2, 0))
    [row] = strata.count(campaign)
    numbers = {"size": 6, "fitting": 2, "tied": 1, "not_fitting": 1, "done": 4, "votes": 10, "skipped": 5}
    assert {name: row[name] for name in numbers} == numbers
    assert strata.key_of(row) == (row["hashtag_id"], 2, False, campaign.pk)


def test_what_two_campaigns_ask_is_counted_once_for_all(make_campaign: MakeCampaign) -> None:
    first = make_campaign("cafe", "bar", name="First")
    newer = TrainedModel.objects.create(name="Newer", manifest={"sha256": "1"})
    second = make_campaign("cafe", "sport", name="Second", by_model=newer)
    Question.objects.filter(campaign=second, hashtag__name="sport").update(kind="control")
    rows = strata.questions_of(None).values_list("campaign__name", "hashtag__name")
    assert set(rows) == {("First", "cafe"), ("First", "bar")}
    assert list(strata.questions_of(second).values_list("hashtag__name", flat=True)) == ["cafe"]
    assert list(strata.questions_of(second, kind="control").values_list("hashtag__name", flat=True)) == [
        "sport"
    ]
    assert strata.questions_of(first).count() == 2


def test_bands_of_photos_that_joined_together_are_one_part(campaign: Campaign) -> None:
    for band, question in enumerate(Question.objects.order_by("pk")):
        Question.objects.filter(pk=question.pk).update(band=band)
    Question.objects.filter(band=5).update(shared=True)
    parts = {row["band"]: strata.stratum_of(row).part for row in strata.count(campaign)}
    early, late, together = (campaign.pk, False, 0), (campaign.pk, False, 1), (campaign.pk, True, 1)
    assert parts == {0: early, 1: early, 2: early, 3: late, 4: late, 5: together}


def test_random_sample_is_what_ranks_below_the_first_question_not_asked(campaign: Campaign) -> None:
    answer((2, 0), (0, 2), (1, 1), (2, 0), (2, 0), (2, 0))
    everything = {"fitting": 4, "tied": 1, "not_fitting": 1}
    assert strata.count_random_sample(campaign) == everything  # nothing is open
    pks = list(Question.objects.order_by("rank").values_list("pk", flat=True))
    Question.objects.filter(pk=pks[3]).update(is_done=False)
    assert strata.count_random_sample(campaign) == {"fitting": 1, "tied": 1, "not_fitting": 1}
    Question.objects.filter(pk=pks[3]).update(stream="audit")  # asked, though not done
    assert strata.count_random_sample(campaign) == everything
