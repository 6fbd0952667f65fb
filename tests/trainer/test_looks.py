"""Photo sets are looked at by a job, once per backbone; pages and the suggester read what it saw."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from django.conf import settings as site
from pytest_django import Settings

from jobs.crew import NotNeeded
from jobs.models import Job
from jobs.registry import is_sharded
from tests.trainer.conftest import LABELS
from trainer import feature_shards, looks
from trainer.engine.backbones import BACKBONES
from trainer.engine.looks import Looks, sample
from trainer.engine.networks.features import FeatureCache
from trainer.engine.opening import VERSION
from trainer.engine.photos.manifest import read_manifest
from trainer.models import ClassLooks, PhotoSet
from trainer.photosets import registration

pytestmark = pytest.mark.django_db
RunJobs = Callable[[], list[Job]]


@pytest.fixture
def looking(settings: Settings) -> None:
    settings.LOOK_AT_PHOTOS = True


def seen(
    photo_set: PhotoSet, job: Job, backbone: str, means: dict[str, list[float]], photos: int = 2
) -> ClassLooks:
    """What a job has seen: scene key → mean feature."""
    content = Looks(
        tuple(means),
        np.array(list(means.values()), np.float32),
        np.full(len(means), photos),
        np.full(len(means), 0.5, np.float32),
    )
    return ClassLooks.objects.create(
        photo_set=photo_set,
        backbone=backbone,
        job=job,
        content=content.to_bytes(),
        looked_at=job.finished_at,
    )


def test_registered_set_is_looked_at_once_and_the_suggester_hears_of_it(
    classes: object, folder: Path, run_jobs: RunJobs, looking: None
) -> None:
    backbone = BACKBONES[looks.eye()]
    photo_set = registration.register_folder(name="SUN", folder=folder, by=None)
    registered = Job.objects.get()
    before = looks.version()
    store = FeatureCache(site.FEATURE_CACHE_DIR / f"{backbone.name}-{backbone.input.size}-whole-{VERSION}")
    assert looks.class_looks() == {}
    _cache_features(store, folder, backbone.features)
    jobs = run_jobs()
    assert [job.kind for job in jobs] == [registered.kind, "trainer.look"]
    assert jobs[1].state == Job.State.SUCCEEDED, jobs[1].error
    assert (jobs[1].title, jobs[1].url) == ("Look at the classes of “SUN”", photo_set.get_absolute_url())
    row = ClassLooks.objects.get()
    assert (row.photo_set, row.classes, row.photos) == (photo_set, 4, 40)
    assert looks.class_looks().keys() == LABELS.keys()
    assert looks.class_looks()["b/bar"].photos == 10
    assert looks.version() != before
    assert looks.look_at(photo_set=photo_set, backbone=backbone.name) is None
    assert Job.objects.count() == 2


def _cache_features(store: FeatureCache, folder: Path, width: int) -> None:
    """Made-up features of all photos, so that no network runs."""
    files = sorted(folder.rglob("*.jpg"))
    features = np.random.default_rng(0).normal(size=(len(files), width)).astype(np.float16)
    store.add([hashlib.sha256(file.read_bytes()).hexdigest() for file in files], features)


def test_many_photos_are_looked_at_in_shards(
    photo_set: PhotoSet, finished_job: Callable[..., Job], settings: Settings, tmp_path: Path
) -> None:
    """Those that the engine will look at, of the set's forty; no helper comes without the holder's mark."""
    settings.FEATURE_CACHE_DIR, settings.SHARD_PHOTOS = tmp_path / "features", 8
    for photo in photo_set.photos.all():
        photo.sha256 = hashlib.sha256(photo.path.encode()).hexdigest()
        photo.save()
    [first, *_] = photo_set.photos.values_list("scene_class", flat=True)
    photo_set.photos.update(scene_class=first)  # more than are looked at of one class
    job = finished_job("trainer.look")
    row = ClassLooks.objects.create(photo_set=photo_set, backbone="efficientnet_lite0", job=job)
    [asked] = looks._asked(row)
    looks._write_manifest(photo_set, tmp_path / "manifest.csv")
    seen_photos = sample(read_manifest(tmp_path / "manifest.csv"))
    assert [photo.photo_id for photo in asked.photos] == [photo.photo_id for photo in seen_photos]
    assert [part.count for part in feature_shards._parts(asked)] == [8, 8]
    assert is_sharded("trainer.look")
    with pytest.raises(NotNeeded), looks.looking(job):
        pass


def test_photos_of_label_folders_are_not_looked_at(
    photo_set: PhotoSet, looking: None, tmp_path: Path
) -> None:
    photo_set.photos.create(
        label_folder="_other/pets", path="_other/pets/1.jpg", sha256="1" * 64, width=1, height=1
    )
    looks._write_manifest(photo_set, tmp_path / "manifest.csv")
    rows = (tmp_path / "manifest.csv").read_text().splitlines()
    assert len(rows) == 1 + photo_set.photos.count() - 1
    assert not any("_other" in row for row in rows)
    photo_set.photos.exclude(scene_class=None).delete()
    assert looks.look_at(photo_set=photo_set, backbone="efficientnet_lite0") is None


@pytest.mark.parametrize(
    ("switch", "backbone"), [(False, "efficientnet_lite0"), (True, "resnet18"), (True, "")]
)
def test_nobody_looks_when_switched_off_or_without_a_frozen_backbone(
    photo_set: PhotoSet, settings: Settings, switch: bool, backbone: str
) -> None:
    settings.LOOK_AT_PHOTOS = switch
    assert looks.look_at(photo_set=photo_set, backbone=backbone) is None
    assert not Job.objects.exists()


def test_most_classes_win_then_the_better_backbone(
    photo_set: PhotoSet, finished_job: Callable[..., Job]
) -> None:
    def widths() -> set[int]:
        return {len(look.mean) for look in looks.class_looks().values()}

    def add(backbone: str, *means: dict[str, list[float]]) -> None:
        for at, one in enumerate(means):
            other = PhotoSet.objects.create(name=f"{backbone} {at}")
            seen(other, finished_job("trainer.look"), backbone, one)

    add("efficientnet_lite2", {"a/abbey": [1, 0], "b/bar": [0, 1]})
    add("clip_b16", {"a/abbey": [1, 0, 0]})
    assert widths() == {2}
    seen(photo_set, finished_job("trainer.look"), "clip_b16", {"b/bar": [0, 0, 1]})
    assert widths() == {3}


def test_class_in_two_sets_has_the_mean_of_all_photos(
    photo_set: PhotoSet, finished_job: Callable[..., Job]
) -> None:
    other = PhotoSet.objects.create(name="other")
    seen(photo_set, finished_job("trainer.look"), "clip_b16", {"a/abbey": [1, 0]}, photos=3)
    seen(other, finished_job("trainer.look"), "clip_b16", {"a/abbey": [0, 1], "b/bar": [1, 1]}, photos=1)
    abbey = looks.class_looks()["a/abbey"]
    assert abbey.mean.tolist() == [0.75, 0.25]
    assert (abbey.photos, abbey.agreement) == (4, 0.5)
