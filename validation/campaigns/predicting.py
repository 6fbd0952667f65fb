"""A job that predicts a campaign's photos; after an interruption it continues where it stopped."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from jobs import queue as jobs
from jobs.lease import JobError, Lease
from jobs.models import Job
from mapping.models import Hashtag, SceneClass
from trainer.engine.errors import ModelError
from trainer.models import TrainedModel
from trainer.registry import serving
from validation.campaigns.counts import count_votes_since
from validation.campaigns.questions import make_questions
from validation.models import Campaign, Photo, Prediction
from validation.models.photos import PhotoQuerySet
from validation.stored import read_stored

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

    from trainer.engine.serving.predict import Suggestion

PREDICT = "validation.predict"
BATCH = 16  # photos between two heartbeats: no more are lost when a worker dies


@transaction.atomic
def predict_again(*, campaign: Campaign, by: AbstractBaseUser | None) -> Job:
    """Start a job for what was added: photos, rivals or hashtags. A job that still waits in the queue will
    predict them anyway. A running one may be past the new photos, so a new job replaces it.
    """
    current = Campaign.objects.select_for_update(of=("self",)).select_related("job").get(pk=campaign.pk)
    if current.job and current.job.state == Job.State.QUEUED:
        return current.job
    title = f"Predict the photos of “{current.name}”"
    job = jobs.enqueue(kind=PREDICT, title=title, by=by, url=current.get_absolute_url())
    Campaign.objects.filter(pk=current.pk).update(job=job)
    campaign.job = job
    return job


def predict(lease: Lease) -> None:
    """The job "validation.predict": predict each photo once with the campaign's model and each rival, then
    make questions from the predictions.
    """
    campaign = Campaign.objects.select_related("model").filter(job=lease.job).first()
    if campaign is None:
        return  # a newer job has taken over
    models = [campaign.model, *campaign.rivals.exclude(pk=campaign.model_id).order_by("pk")]
    total = sum(_photos(campaign).count() for _ in models)
    n_done = total - sum(_photos_to_predict(campaign, model).count() for model in models)
    lease.beat(n_done, total, "Loading the model")
    hashtags = {hashtag.name: hashtag for hashtag in Hashtag.objects.all()}
    scenes = dict(SceneClass.objects.values_list("key", "pk"))
    start, before = time.monotonic(), n_done
    for model in models:
        for batch in _batches(campaign, model):
            if not Campaign.objects.filter(pk=campaign.pk, job=lease.job).exists():
                return
            rows = _predict_batch(model, batch, hashtags, scenes)
            with lease.fenced():
                # Another campaign with this model may have predicted a photo meanwhile: keep its row.
                Prediction.objects.bulk_create(rows, ignore_conflicts=True)
            n_done += len(batch)
            pace = (time.monotonic() - start) / (n_done - before)
            lease.beat(n_done, max(n_done, total), "Predicting", pace * max(0, total - n_done))
    began = timezone.now()
    make_questions(campaign=campaign)
    count_votes_since(began)


def _photos(campaign: Campaign) -> PhotoQuerySet:
    return Photo.objects.shown().filter(campaigns=campaign)


def _photos_to_predict(campaign: Campaign, model: TrainedModel) -> PhotoQuerySet:
    predictions = Prediction.objects.filter(photo_id=OuterRef("pk"), model=model)
    return _photos(campaign).filter(~Exists(predictions))


def _batches(campaign: Campaign, model: TrainedModel) -> Iterator[list[Photo]]:
    """In the order of primary keys, so that no query reads a row twice and memory holds one batch."""
    last = 0
    while batch := list(_photos_to_predict(campaign, model).filter(pk__gt=last).order_by("pk")[:BATCH]):
        yield batch
        last = batch[-1].pk


def _predict_batch(
    model: TrainedModel, photos: list[Photo], hashtags: dict[str, Hashtag], scenes: dict[str, int]
) -> list[Prediction]:
    try:
        suggestions = list(serving.suggest((_bytes(photo) for photo in photos), model=model))
    except serving.NoActiveModel as error:
        raise JobError(
            f"“{model}” has not been exported yet.", "Try again once its export has ended."
        ) from error
    except ModelError as error:
        raise JobError(f"“{model}” cannot predict: {error}", "Export it again, then try again.") from error
    return [
        _prediction(photo, model, one, hashtags, scenes)
        for photo, one in zip(photos, suggestions, strict=True)
    ]


def _bytes(photo: Photo) -> bytes:
    try:
        return read_stored(photo.file)
    except FileNotFoundError:
        return b""  # missing from the storage: predicted as unreadable, so that the other photos continue


def _prediction(
    photo: Photo,
    model: TrainedModel,
    suggestion: Suggestion,
    hashtags: dict[str, Hashtag],
    scenes: dict[str, int],
) -> Prediction:
    if suggestion.hashtag is not None and suggestion.hashtag not in hashtags:
        raise JobError(
            f"“{model}” suggests #{suggestion.hashtag}, which is not one of our hashtags.",
            "Load the catalogue that the model was trained with (manage.py prepare), then try again.",
        )
    scene, scene_confidence = suggestion.scene or ("", None)
    return Prediction(
        photo=photo,
        model=model,
        hashtag=hashtags[suggestion.hashtag] if suggestion.hashtag else None,
        confidence=suggestion.confidence,
        reason="" if suggestion.hashtag else (suggestion.reason or "unsure")[:200],
        candidates=[list(candidate) for candidate in suggestion.candidates],
        scene_class_id=scenes.get(scene),
        scene_confidence=scene_confidence if scene in scenes else None,
    )
