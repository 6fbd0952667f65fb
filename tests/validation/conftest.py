"""Real JPEGs, a model row that predicts nothing (predictions are given), and a campaign to vote in."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db.models import F
from PIL import Image

from mapping.models import Hashtag
from trainer.models import TrainedModel
from validation.campaigns.questions import make_questions
from validation.models import Campaign, Photo, Prediction, Vote
from validation.photos.store import take_in
from validation.voting.votes import record_vote

MakeCampaign = Callable[..., Campaign]
MakeVote = Callable[..., Vote]


def picture(seed: int = 0, size: tuple[int, int] = (64, 48), kind: str = "JPEG", **options: Any) -> bytes:
    """The bytes of a plain picture; another seed is another photo."""
    buffer = io.BytesIO()
    Image.new("RGB", size, (seed * 37 % 256, seed // 7 % 256, 90)).save(buffer, kind, **options)
    return buffer.getvalue()


_cache: dict[int, tuple[dict[str, Any], bytes]] = {}  # by seed: a row's fields and its file


def taken_in(seed: int, **attribution: str) -> Photo:
    """Taken in for real once; afterwards the same row and file are copied from memory."""
    name = f"{seed}.jpg"
    if seed in _cache and not Photo.objects.filter(sha256=_cache[seed][0]["sha256"]).exists():
        fields, content = _cache[seed]
        if not default_storage.exists(fields["file"]) or default_storage.size(fields["file"]) != len(content):
            default_storage.delete(fields["file"])
            default_storage.save(fields["file"], ContentFile(content))
        return Photo.objects.create(name=name, **fields, **attribution)
    photo = take_in(file=io.BytesIO(picture(seed)), name=name, by=None, **attribution)
    with photo.file.open("rb") as file:
        fields = {key: getattr(photo, key) for key in ("sha256", "width", "height", "phash")}
        _cache[seed] = {**fields, "file": str(photo.file.name)}, file.read()
    return photo


@pytest.fixture
def hashtags(db: None) -> dict[str, Hashtag]:
    names = ("cafe", "bar", "sport")
    rows = [Hashtag(name=name, posts=50_000_000, source="test", counted_on="2019") for name in names]
    return {row.name: row for row in Hashtag.objects.bulk_create(rows)}


@pytest.fixture
def model(db: None) -> TrainedModel:
    """Not exported. Another is there: an empty folder of models looks like a storage that is away."""
    (settings.MODELS_DIR / "other").mkdir(parents=True, exist_ok=True)
    return TrainedModel.objects.create(name="Given answers", manifest={"sha256": "0"})


@pytest.fixture
def make_campaign(hashtags: dict[str, Hashtag], model: TrainedModel) -> MakeCampaign:
    """A campaign of photos with these hashtags (None: the model keeps silent), already predicted."""

    def make(
        *tags: str | None, name: str = "Test", by_model: TrainedModel | None = None, **rules: Any
    ) -> Campaign:
        """No controls and no known answers, unless the rules say so: only suggestions are asked about."""
        predictor = by_model or model
        plain = {"votes_per_photo": 3, "gold_share": 0.0, "control_share": 0.0, "silence_share": 0.0}
        campaign = Campaign.objects.create(name=name, model=predictor, **plain | rules)
        for number, tag in enumerate(tags):
            photo = taken_in(number, licence="CC BY 2.0", source_url="https://example.org/photo")
            campaign.photos.add(photo)
            Prediction.objects.get_or_create(
                photo=photo,
                model=predictor,
                defaults={
                    "hashtag": hashtags[tag] if tag else None,
                    "confidence": 0.77,
                    "reason": "" if tag else "unsure: 0.31 < 0.60 needed for #bar",
                },
            )
        make_questions(campaign=campaign)
        return campaign

    return make


@pytest.fixture
def campaign(make_campaign: MakeCampaign) -> Campaign:
    return make_campaign("cafe", "bar", "sport", None)


@pytest.fixture
def vote_as(user_for: Callable[..., User]) -> MakeVote:
    """One person's answer about the photo with this number in the campaign."""

    def vote(
        campaign: Campaign, number: int, answer: str, name: str = "validator", seconds: float | None = None
    ) -> Vote:
        photo = campaign.photos.order_by("pk")[number]
        prediction = Prediction.objects.get(
            photo=photo, model=F("photo__campaigns__model"), photo__campaigns=campaign
        )
        assert prediction.hashtag
        return record_vote(
            campaign=campaign,
            photo=photo,
            hashtag=prediction.hashtag,
            person=user_for("validator", name),
            answer=answer,
            request_id=uuid4(),
            seconds=seconds,
        )

    return vote
