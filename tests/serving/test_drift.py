"""Drift: what a model answers now, beside what it answered when it was judged, and what to do about it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client
from django.utils import timezone

from mapping.models import Hashtag
from serving import counting
from serving.drift import _percent, read_drift
from serving.models import AnswerTally
from serving.models.tallies import add_counts
from tests.validation.conftest import taken_in
from trainer.models import TrainedModel
from validation.models import Campaign, Prediction

pytestmark = [pytest.mark.django_db, pytest.mark.postgres]


def answered(model: TrainedModel, figure: str, **counts: int) -> None:
    day = timezone.localdate()
    rows = {(day, model.pk, 0, figure, "" if name == "silence" else name): (n,) for name, n in counts.items()}
    add_counts(AnswerTally, rows)


@pytest.fixture
def campaign(active_model: TrainedModel) -> Campaign:
    """60 photos of 64 × 48: 36 #beach, 9 #bar, 15 silent; all confidences .95."""
    names = ("beach", "bar")
    hashtags = [Hashtag.objects.create(name=name, posts=10**8, source="x", counted_on="x") for name in names]
    new = Campaign.objects.create(name="Sixty", model=active_model)
    photos = [taken_in(seed) for seed in range(60)]
    new.photos.add(*photos)
    answers = [hashtags[0]] * 36 + [hashtags[1]] * 9 + [None] * 15
    Prediction.objects.bulk_create(
        Prediction(
            photo=photo, model=active_model, hashtag=hashtag, confidence=0.95, reason="" if hashtag else "x"
        )
        for photo, hashtag in zip(photos, answers, strict=True)
    )
    return new


def warnings_of(model: TrainedModel) -> list[str]:
    found = read_drift(model=model, since=timezone.localdate())
    assert found
    return found.warnings


def test_the_same_shares_do_not_warn(campaign: Campaign) -> None:
    answered(campaign.predictor, counting.ANSWER, beach=6000, bar=1500, silence=2500)
    answered(campaign.predictor, counting.CONFIDENCE, **{"9": 10_000})
    answered(campaign.predictor, counting.PIXELS, **{"under 0.1 MP": 10_000})
    assert warnings_of(campaign.predictor) == []


def test_a_hashtag_that_became_frequent_is_named_with_what_to_do(
    campaign: Campaign, client_for: Callable[..., Client]
) -> None:
    answered(campaign.predictor, counting.ANSWER, beach=2000, bar=7500, silence=500)
    words = next(words for words in warnings_of(campaign.predictor) if words.startswith("#bar"))
    assert "times more often than on the photos of the campaign “Sixty”" in words
    assert "75\N{NO-BREAK SPACE}% instead of 15\N{NO-BREAK SPACE}%" in words
    assert "Ask people about new photos in a campaign" in words
    page = client_for("admin").get("/in-use/").content.decode()
    assert "#bar is suggested" in page
    assert "Create a campaign" in page
    assert "Create a campaign" not in client_for("viewer").get("/in-use/").content.decode()


def test_few_answers_do_not_warn(campaign: Campaign) -> None:
    answered(campaign.predictor, counting.ANSWER, bar=3)
    assert warnings_of(campaign.predictor) == []


def test_confidences_and_sizes_that_moved_are_named(campaign: Campaign) -> None:
    answered(campaign.predictor, counting.ANSWER, beach=6000, bar=1500, silence=2500)
    answered(campaign.predictor, counting.CONFIDENCE, **{"4": 9000, "9": 1000})
    answered(campaign.predictor, counting.PIXELS, **{"2 to 8 MP": 10_000})
    confidences, sizes = warnings_of(campaign.predictor)
    assert confidences.startswith("The model's confidences are not those")
    assert sizes.startswith("Photos have other sizes")


def test_without_a_campaign_the_held_out_photos_are_what_it_was_judged_on(active_model: TrainedModel) -> None:
    rows = [{"hashtag": "beach", "suggested": 1, "precision": 1.0}, {"hashtag": "bar", "suggested": 2}]
    active_model.manifest |= {"held_out": {"photos": 5, "per_hashtag": rows}}
    active_model.save()
    answered(active_model, counting.ANSWER, beach=10)

    def lines() -> dict[str, tuple[float, float | None]]:
        found = read_drift(model=active_model, since=timezone.localdate())
        assert found
        return {line.hashtag: (line.now, line.judged) for line in found.lines}

    assert lines() == {"beach": (1.0, 0.2), "bar": (0.0, 0.4), "": (0.0, 0.4)}
    Hashtag.objects.create(name="bar", posts=1, source="test", counted_on="2019", blocked=True)
    assert lines() == {"beach": (1.0, 0.2), "": (0.0, 0.8)}  # what is blocked is silence


def test_a_model_that_nobody_judged_says_so(
    active_model: TrainedModel, client_for: Callable[..., Client]
) -> None:
    answered(active_model, counting.ANSWER, beach=10)
    assert "Nobody has judged this model here" in client_for("viewer").get("/in-use/").content.decode()


def test_figures_are_rounded_and_not_cut_off() -> None:
    assert [_percent(share) for share in (0.29, 0.0999, 0.999)] == [
        "29\N{NO-BREAK SPACE}%",
        "10.0\N{NO-BREAK SPACE}%",
        "100\N{NO-BREAK SPACE}%",
    ]
