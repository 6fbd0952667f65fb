"""SUN397's partitions and folds are checked before a run is queued."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from django.test import Client

from mapping.models import Release
from trainer.models import PhotoSet, Sweep, TrainingRun
from trainer.runs import start

pytestmark = pytest.mark.django_db
ClientFor = Callable[..., Client]


def launch(photo_set: PhotoSet, release: Release, split: str) -> TrainingRun:
    return start.start_run(
        photo_set=photo_set, release=release, preset="frozen-lite0", by=None, recipe={"split": split}
    )


def test_a_launch_says_how_many_photos_the_lists_have(photo_set: PhotoSet, release: Release) -> None:
    with pytest.raises(start.NotReady, match=r"no files of partition 03.*put Training_01.txt"):
        launch(photo_set, release, "sun-03")
    folder = Path(photo_set.root).parent / "Partitions"
    folder.mkdir()
    (folder / "Training_03.txt").write_text("/b/bar/0.jpg\n/b/bar/1.jpg\n")
    (folder / "Testing_03.txt").write_text("/b/bar/sun_2.jpg\n")
    words = r"“sun-03” does not fit “Tiny”\. Of 40 photos 2 are in Training_03\.txt and 0 in Testing_03\.txt"
    with pytest.raises(start.NotReady, match=words):
        launch(photo_set, release, "sun-03")
    assert not TrainingRun.objects.exists()
    (folder / "Testing_03.txt").write_text("/b/bar/2.jpg\n")
    assert launch(photo_set, release, "sun-03").recipe["split"] == "sun-03"


def test_folds_of_too_few_photos(photo_set: PhotoSet, release: Release) -> None:
    photo_set.photos.exclude(path__in=["b/bar/0.jpg", "b/beach/0.jpg"]).delete()
    with pytest.raises(start.NotReady, match="2 photos are too few for 5 parts"):
        launch(photo_set, release, "fold-5-of-5")


def test_no_run_of_a_sweep_is_queued_if_one_cannot_be_divided(
    client_for: ClientFor, photo_set: PhotoSet, release: Release
) -> None:
    fields = {"photo_set": photo_set.pk, "release": release.pk, "presets": ["frozen-lite0"], "splits": "sun"}
    answer = client_for("admin").post("/trainer/sweeps/new/", fields)
    assert answer.status_code == 422
    assert "There are no files of partition 01" in answer.content.decode()
    assert not TrainingRun.objects.exists()
    assert not Sweep.objects.exists()
