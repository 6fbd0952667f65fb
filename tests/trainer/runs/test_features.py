"""A run's features and its teacher's answers are computed in shards, by an engine that stays, before the
trainer starts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import numpy as np
import onnx
import pytest
from django.conf import settings
from django.test.utils import override_settings
from django.utils import timezone
from onnx import numpy_helper

from jobs import crew, shards
from jobs.lease import JobError, Lease, claim, renew_long_steps
from jobs.models import Job, Shard
from jobs.shards import Part
from mapping.models import Release
from trainer import feature_shards
from trainer import features as shared_features
from trainer.engine.backbones import BACKBONES
from trainer.engine.events import StopRequest
from trainer.engine.feature_parts import answer_requests
from trainer.engine.networks.features import FeatureCache, cached_hashes, folder_of
from trainer.engine.networks.teacher import Teacher
from trainer.models import PhotoSet, TrainedModel, TrainingRun
from trainer.runs import features, start

pytestmark = [pytest.mark.django_db, pytest.mark.integration]


@pytest.fixture
def run(
    photo_set: PhotoSet, release: Release, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> TrainingRun:
    """Not started. Its forty photos are three shards."""
    for photo in photo_set.photos.all():
        photo.sha256 = hashlib.sha256((Path(photo_set.root) / photo.path).read_bytes()).hexdigest()
        photo.save()
    monkeypatch.setattr(settings, "SHARD_PHOTOS", 16)
    monkeypatch.setattr(settings, "FEATURE_CACHE_DIR", tmp_path / "features")
    return start.start_run(photo_set=photo_set, release=release, preset="frozen-lite0", by=None)


@pytest.fixture
def lease(run: TrainingRun) -> Lease:
    new_lease = claim(run.job_id)
    assert new_lease
    return new_lease


def test_shards_fill_the_cache_that_the_trainer_reads(run: TrainingRun, lease: Lease) -> None:
    photos = run.photo_set.photos.order_by("pk")
    changed = photos[7]
    (Path(run.photo_set.root) / changed.path).write_bytes(
        (Path(run.photo_set.root) / photos[0].path).read_bytes()
    )
    left_behind = Path(settings.FEATURE_CACHE_DIR) / f"{uuid4()}.shared"  # its job ended elsewhere
    left_behind.parent.mkdir()
    left_behind.touch()
    [asked] = features._asked(run, None)
    shards.plan(lease, feature_shards._parts(asked))
    of_older_version = run.job.shards.get(number=2)
    of_older_version.payload |= of_older_version.payload.pop("network")
    of_older_version.save()
    features.compute(lease, run, None)
    cached = cached_hashes(
        folder_of(Path(settings.FEATURE_CACHE_DIR), BACKBONES["efficientnet_lite0"], "whole")
    )
    digests = set(photos.exclude(pk=changed.pk).values_list("sha256", flat=True))
    assert cached == digests  # what a changed file shows now is not kept as the photo that it was
    assert run.job.shards.filter(state=Shard.State.DONE).count() == run.job.shards.count() == 3
    assert not list(Path(settings.FEATURE_CACHE_DIR).glob("*.shared"))
    [asked] = features._asked(run, None)
    assert [part.count for part in feature_shards._parts(asked)] == [1]  # so few are left to the trainer


def test_a_machine_with_another_cache_does_not_help(run: TrainingRun, lease: Lease) -> None:
    [asked] = features._asked(run, None)
    shards.plan(lease, feature_shards._parts(asked))
    with override_settings(FEATURE_CACHE_DIR=Path(settings.FEATURE_CACHE_DIR) / "elsewhere"):
        crew.help_out()
    assert set(run.job.shards.values_list("state", "attempts")) == {(Shard.State.WAITING, 0)}


def test_a_machine_that_cannot_help_fetches_no_teacher(run: TrainingRun) -> None:
    run.recipe |= {"kind": "finetune", "teacher": "model 999", "teacher_weight": 0.5}  # cannot be fetched
    run.save()
    with pytest.raises(crew.NotNeeded), features.computing(run.job):
        pass


def test_lease_is_renewed_while_the_cache_is_listed_and_stored(
    lease: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    lapsed: list[int] = []

    def take_long(*_: str) -> list[feature_shards.Asked]:
        Job.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
        renew_long_steps()  # as the keeper does
        lapsed.append(Job.objects.expired().count())
        return []

    shards.plan(lease, [Part("", 2)])
    Shard.objects.update(state=Shard.State.DONE, finished_at=timezone.now())
    monkeypatch.setattr(shared_features, "store", take_long)
    feature_shards.compute(lease, take_long, kept_as="lite0", message="Computing")
    assert lapsed == [0, 0]


def test_few_photos_are_left_to_the_trainer(
    run: TrainingRun, lease: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "SHARD_PHOTOS", 40)
    features.compute(lease, run, None)
    assert not run.job.shards.exists()


def test_a_teacher_is_asked_about_training_photos_only_and_another_under_its_path_again(
    run: TrainingRun, lease: Lease, tiny_model: TrainedModel
) -> None:
    cache, words = Path(settings.FEATURE_CACHE_DIR), f"model {tiny_model.pk}"
    run.recipe |= {"kind": "finetune", "teacher": words, "teacher_weight": 0.5}
    run.save()
    manifest = tiny_model.folder / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"other"', '"architecture", "other"'))
    with features.at_hand(run) as folder:
        assert folder == tiny_model.folder
        features.compute(lease, run, features.read_teacher(folder))
    first = Teacher.read(tiny_model.folder)
    split = features._split(features._labelled(run), features._recipe(run))
    hashes = {photo.sha256 for photo in split.train}
    assert cached_hashes(first.folder(cache)) == hashes != set()
    assert hashes.isdisjoint(photo.sha256 for photo in split.test)
    assert run.job.shards.filter(state=Shard.State.DONE).count() == run.job.shards.count() == 2
    assert features.kept_as(run, first) == first.kept_as

    network = onnx.load(tiny_model.folder / "model.onnx")
    network.producer_name = "another network"
    onnx.save(network, tiny_model.folder / "model.onnx")
    Shard.objects.all().delete()
    features.compute(lease, run, Teacher.read(tiny_model.folder))
    second = Teacher.read(tiny_model.folder).folder(cache)
    assert second != first.folder(cache)
    assert cached_hashes(second) == hashes


def test_a_teacher_that_knows_too_little_is_refused_before_it_is_asked(
    run: TrainingRun, lease: Lease, tiny_model: TrainedModel
) -> None:
    run.recipe |= {"kind": "finetune", "teacher": f"model {tiny_model.pk}", "teacher_weight": 0.5}
    teacher = features.read_teacher(tiny_model.folder)
    (tiny_model.folder / "model.onnx").unlink()  # it may be large: it is read once
    with pytest.raises(JobError, match="the model does not know architecture"):
        features.compute(lease, run, teacher)
    assert not run.job.shards.exists()


def test_one_process_asks_the_teacher_that_is_there_now(
    run: TrainingRun, tiny_model: TrainedModel, tmp_path: Path
) -> None:
    photo = run.photo_set.photos.earliest("pk")
    request = {
        "teacher": str(tiny_model.folder),
        "view": "whole",
        "photos": [[str(run.photo_set.folder / photo.path), photo.sha256]],
    }
    rows = []

    def requests() -> Iterator[str]:
        for weight in (1, 2):
            network = onnx.load(tiny_model.folder / "model.onnx")
            [weights] = [one for one in network.graph.initializer if one.name == "weights"]
            weights.CopyFrom(numpy_helper.from_array(weight * np.eye(3, dtype=np.float32), "weights"))
            onnx.save(network, tiny_model.folder / "model.onnx")
            yield json.dumps(request)
            folder = Teacher.read(tiny_model.folder).folder(tmp_path)
            rows.append(FeatureCache(folder).rows[photo.sha256])

    answer_requests(requests(), cache=tmp_path, threads=1, stop=StopRequest())
    assert rows[1] == pytest.approx(2 * rows[0], rel=0.01)
    assert rows[0].any()
