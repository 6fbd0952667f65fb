"""A job that predicts a campaign's photos, or checks their authors' hashtags; after an interruption it
continues where it stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from itertools import islice
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from formats.texts import Text, text_of
from jobs import queue as jobs
from jobs.crew import NotNeeded, threads, work_off
from jobs.lease import JobError, Lease
from jobs.models import Job
from jobs.shards import Part, ShardLease, plan
from mapping.hashtags import blocked_names
from mapping.models import Hashtag, SceneClass
from trainer.engine.errors import ModelError
from trainer.engine.serving.judge import BLOCKED, judge
from trainer.models import TrainedModel
from trainer.registry import serving
from validation.campaigns import posted
from validation.campaigns.counts import count_votes_since, in_parts
from validation.campaigns.questions import make_questions
from validation.models import Campaign, Photo, Prediction
from validation.models.photos import PhotoQuerySet
from validation.stored import read_stored

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

    from trainer.engine.serving.predict import Suggestion

PREDICT = "validation.predict"
BATCH = 16  # photos between two heartbeats
JUDGED_AT_ONCE = 500  # predictions that are judged again in one transaction


@transaction.atomic
def predict_again(*, campaign: Campaign, by: AbstractBaseUser | None) -> Job:
    """Start a job for what was added: photos, rivals or hashtags. A job that still waits in the queue will
    predict them anyway. A running one may be past the new photos, so a new job replaces it.
    """
    current = (
        Campaign.objects.select_for_update(of=("self",), no_key=True)
        .select_related("job")
        .get(pk=campaign.pk)
    )
    if current.job and current.job.state == Job.State.QUEUED:
        return current.job
    job = enqueue(current, by)
    Campaign.objects.filter(pk=current.pk).update(job=job)
    campaign.job = job
    return job


def enqueue(campaign: Campaign, by: AbstractBaseUser | None) -> Job:
    """A job for the campaign, which does not know it yet."""
    title = Text("Predict the photos of “%(campaign)s”", campaign=campaign.name)
    if campaign.is_authors:
        title = Text("Read the authors' hashtags of “%(campaign)s”", campaign=campaign.name)
    return jobs.enqueue(kind=PREDICT, title=title, by=by, url=campaign.get_absolute_url())


def predict(lease: Lease) -> None:
    """The job "validation.predict": predict each photo once with the campaign's model and each rival, in
    shards, judge predictions again that a blocked hashtag concerns, then make questions. In an authors'
    campaign, read the authors' hashtags instead of predicting.
    """
    campaign = Campaign.objects.select_related("model").filter(job=lease.job).first()
    if campaign is None:
        return  # a newer job has taken over
    if campaign.is_authors:
        is_current = Campaign.objects.filter(pk=campaign.pk, job=lease.job).exists
        is_ready = posted.read_hashtags(lease, campaign, is_current)
    else:
        is_ready = _predict_all(lease, campaign)
    if is_ready:
        began = timezone.now()
        with lease.long_step():
            with transaction.atomic():  # long with 100,000 photos; SQLite lets nobody renew a lease meanwhile
                make_questions(campaign=campaign)
                lease.renew()
            count_votes_since(began)


def _predict_all(lease: Lease, campaign: Campaign) -> bool:
    """False if a newer job has taken over."""
    models = _models(campaign)
    total = sum(_photos(campaign).count() for _ in models)
    lease.beat(message=Text("Looking for photos to predict"))
    try:
        # The shards of an earlier holder may be left; photos that have joined since get shards of their own.
        while lease.job.shards.unfinished().exists() or _plan(lease, campaign, models):
            work_off(lease, total=total, message=Text("Predicting"))
    except NotNeeded:
        return False
    hashtags = {hashtag.name: hashtag for hashtag in Hashtag.objects.all()}
    for model in models:
        _judge_again(campaign, model, hashtags, lease)
    return True


@contextmanager
def predicting(job: Job) -> Iterator[Callable[[ShardLease], None]]:
    """The function that predicts the photos of a shard; network and threads stay for the next one."""
    campaign = Campaign.objects.select_related("model").filter(job=job).first()
    if campaign is None:
        raise NotNeeded
    models = {model.pk: model for model in _models(campaign)}
    hashtags = {hashtag.name: hashtag for hashtag in Hashtag.objects.all()}
    scenes = dict(SceneClass.objects.values_list("key", "pk"))

    def predict_shard(lease: ShardLease) -> None:
        if not Campaign.objects.filter(pk=campaign.pk, job=job).exists():
            raise NotNeeded
        model = models.get(lease.payload["model"]) or _model(lease.payload["model"])
        files = dict(_files(campaign, model, lease.payload))
        rows: list[Prediction] = []
        pks = iter(files)
        with closing(_suggestions(model, files.values(), pool, beside=models)) as suggestions:
            while some := list(islice(pks, BATCH)):
                with lease.long_step():  # the first one loads the model, which may have to be fetched
                    rows += [_prediction(pk, model, next(suggestions), hashtags, scenes) for pk in some]
                lease.beat(len(rows))
        with lease.finishing():
            # Another campaign with this model may have predicted a photo meanwhile: keep its row.
            Prediction.objects.bulk_create(rows, ignore_conflicts=True)

    with ThreadPoolExecutor(threads()) as pool:
        yield predict_shard


def _model(pk: int) -> TrainedModel:
    """One that was a rival when the shard was planned."""
    try:
        return TrainedModel.objects.get(pk=pk)
    except TrainedModel.DoesNotExist as error:
        raise JobError(
            Text("A model of this campaign has been deleted."), Text("Try again, without it.")
        ) from error


def _models(campaign: Campaign) -> list[TrainedModel]:
    return [campaign.predictor, *campaign.rivals.exclude(pk=campaign.predictor.pk).order_by("pk")]


def _plan(lease: Lease, campaign: Campaign, models: Iterable[TrainedModel]) -> bool:
    """Plan shards for the photos without a prediction. False if there are none."""
    parts = []
    for model in models:
        pks = _photos_to_predict(campaign, model).order_by("pk").values_list("pk", flat=True)
        for some in in_parts(list(pks), settings.SHARD_PHOTOS):
            names = {"model": model, "first": str(some[0]), "last": str(some[-1])}
            label = Text("%(model)s, photos %(first)s to %(last)s", **names)
            payload = {"model": model.pk, "first": some[0], "last": some[-1]}
            parts.append(Part(label, len(some), payload))
    plan(lease, parts)
    return bool(parts)


def _photos(campaign: Campaign) -> PhotoQuerySet:
    return Photo.objects.shown().filter(campaigns=campaign)


def _photos_to_predict(campaign: Campaign, model: TrainedModel) -> PhotoQuerySet:
    predictions = Prediction.objects.filter(photo_id=OuterRef("pk"), model=model)
    return _photos(campaign).filter(~Exists(predictions))


def _files(campaign: Campaign, model: TrainedModel, within: dict[str, int]) -> Iterable[tuple[int, str]]:
    """Primary key and file of each photo of a shard."""
    photos = _photos_to_predict(campaign, model).filter(pk__gte=within["first"], pk__lte=within["last"])
    return photos.order_by("pk").values_list("pk", "file")


def _suggestions(
    model: TrainedModel, files: Iterable[str], pool: ThreadPoolExecutor, beside: Collection[int]
) -> Generator[Suggestion]:
    """In the order of the files. Files are read, and answers handled, while the network looks at others."""
    try:
        contents = map(_bytes, files)
        yield from serving.suggest(contents, model=model, threads=threads(), beside=beside, pool=pool)
    except serving.NoActiveModel as error:
        raise JobError(
            Text("“%(model)s” has not been exported yet.", model=model),
            Text("Try again once its export has ended."),
        ) from error
    except ModelError as error:
        raise JobError(
            Text("“%(model)s” cannot predict: %(error)s", model=model, error=text_of(error)),
            Text("Export it again, then try again."),
        ) from error


def _judge_again(campaign: Campaign, model: TrainedModel, hashtags: dict[str, Hashtag], lease: Lease) -> None:
    """Judge predictions again whose hashtag has been blocked since, or that passed over a blocked one.

    One whose hashtag is blocked stays as it is unless another hashtag is suggested instead.
    """
    blocked, thresholds = blocked_names(), model.manifest.get("thresholds", {})
    concerned = Q(hashtag__in=Hashtag.objects.blocked()) | Q(reason=BLOCKED)
    rows = Prediction.objects.filter(concerned, model=model, photo__campaigns=campaign)
    for some in in_parts(list(rows.values_list("pk", flat=True)), JUDGED_AT_ONCE):
        with lease.fenced():
            rows_now = Prediction.objects.filter(pk__in=some).select_related("hashtag")
            changed = [row for row in rows_now if _judge_one(row, thresholds, blocked, hashtags)]
            Prediction.objects.bulk_update(changed, ["hashtag", "confidence", "reason"])


def _judge_one(
    row: Prediction, thresholds: dict[str, float], blocked: Collection[str], hashtags: dict[str, Hashtag]
) -> bool:
    """Judge a prediction by its candidates, without saving it. False if it stays as it is."""
    name, confidence, reason = judge(row.candidates, thresholds, blocked)
    stays_hidden = name is None and row.hashtag is not None and row.hashtag.name in blocked
    if stays_hidden or (name is not None and name not in hashtags):
        return False
    row.hashtag, row.confidence = hashtags[name] if name else None, confidence
    row.reason = BLOCKED if row.candidates[0][0] in blocked else reason or ""
    return True


def _bytes(file: str) -> bytes:
    try:
        return read_stored(file)
    except FileNotFoundError:
        return b""  # missing from the storage: predicted as unreadable, so that the other photos continue


def _prediction(
    photo: int,
    model: TrainedModel,
    suggestion: Suggestion,
    hashtags: dict[str, Hashtag],
    scenes: dict[str, int],
) -> Prediction:
    if suggestion.hashtag is not None and suggestion.hashtag not in hashtags:
        raise JobError(
            Text(
                "“%(model)s” suggests #%(hashtag)s, which is not one of our hashtags.",
                model=model,
                hashtag=suggestion.hashtag,
            ),
            Text("Load the catalogue that the model was trained with (manage.py prepare), then try again."),
        )
    scene, scene_confidence = suggestion.scene or ("", None)
    ranking = sorted((*suggestion.candidates, *suggestion.passed_over), key=lambda one: -one[1])
    reason = "" if suggestion.hashtag else (suggestion.reason or "unsure")[:200]
    if ranking and ranking[0] in suggestion.passed_over:
        reason = BLOCKED  # marks it to be judged again once the hashtag is unblocked
    return Prediction(
        photo_id=photo,
        model=model,
        hashtag=hashtags[suggestion.hashtag] if suggestion.hashtag else None,
        confidence=suggestion.confidence,
        reason=reason,
        candidates=[list(candidate) for candidate in ranking],
        scene_class_id=scenes.get(scene),
        scene_confidence=scene_confidence if scene in scenes else None,
    )
