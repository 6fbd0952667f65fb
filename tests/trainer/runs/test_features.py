"""A frozen run's features are computed in shards, by an engine that stays, before the trainer starts."""

from __future__ import annotations

import hashlib
from pathlib import Path
from uuid import uuid4

import pytest
from django.conf import settings
from django.test.utils import override_settings

from jobs import crew, shards
from jobs.lease import Lease, claim
from jobs.models import Shard
from mapping.models import Release
from trainer.engine.backbones import BACKBONES
from trainer.engine.networks.features import cached_hashes, folder_of
from trainer.models import PhotoSet, TrainingRun
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
    features.compute(lease, run)
    cached = cached_hashes(
        folder_of(Path(settings.FEATURE_CACHE_DIR), BACKBONES["efficientnet_lite0"], "whole")
    )
    digests = set(photos.exclude(pk=changed.pk).values_list("sha256", flat=True))
    assert cached == digests  # what a changed file shows now is not kept as the photo that it was
    assert run.job.shards.filter(state=Shard.State.DONE).count() == run.job.shards.count() == 3
    assert not list(Path(settings.FEATURE_CACHE_DIR).glob("*.shared"))
    assert features._parts(run)[0].count == 1  # so few are left to the trainer


def test_a_machine_with_another_cache_does_not_help(run: TrainingRun, lease: Lease) -> None:
    shards.plan(lease, features._parts(run))
    with override_settings(FEATURE_CACHE_DIR=Path(settings.FEATURE_CACHE_DIR) / "elsewhere"):
        crew.help_out()
    assert set(run.job.shards.values_list("state", "attempts")) == {(Shard.State.WAITING, 0)}


def test_few_photos_are_left_to_the_trainer(
    run: TrainingRun, lease: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "SHARD_PHOTOS", 40)
    features.compute(lease, run)
    assert not run.job.shards.exists()
