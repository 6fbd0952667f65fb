"""Start a run, watch it, look at its results."""

from __future__ import annotations

import csv
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from jobs.lease import JobError, claim
from jobs.models import Job
from mapping.models import Release, ReleaseLabel, SceneClass
from trainer.engine.presets import PRESETS
from trainer.models import PhotoSet, ScenePhoto, TrainingRun
from trainer.runs import start, supervision

URL = "/trainer/runs/new/"
PRESET = "frozen-lite0"
pytestmark = pytest.mark.django_db
ClientFor = Callable[..., Client]


def fields(photo_set: PhotoSet, release: Release) -> dict[str, Any]:
    return {"photo_set": photo_set.pk, "release": release.pk, "preset": PRESET}


def test_form_says_what_it_will_learn_from(
    client_for: ClientFor, photo_set: PhotoSet, release: Release, classes: dict[str, SceneClass]
) -> None:
    ScenePhoto.objects.create(
        photo_set=photo_set, scene_class=classes["z/zoo"], path="z", sha256="z", width=1, height=1
    )
    client = client_for("admin")
    page = client.get(URL).content.decode()
    assert "<b>40</b>" in page
    assert "<b>3</b> <span>hashtags" in page
    assert "1 photos of 1 class have no label" in " ".join(page.split())
    for preset in PRESETS.values():
        assert preset.title in page
    fragment = client.get(URL, fields(photo_set, release), headers={"hx-request": "true"}).content.decode()
    assert "<b>40</b>" in fragment
    assert "<html" not in fragment


def test_admin_starts_a_run(client_for: ClientFor, photo_set: PhotoSet, release: Release) -> None:
    response = client_for("admin").post(URL, fields(photo_set, release))
    run = TrainingRun.objects.get()
    assert response["Location"] == run.get_absolute_url() == Job.objects.get().url
    assert run.recipe == PRESETS[PRESET].recipe.as_dict()
    assert run.name == "Tiny, Frozen EfficientNet-Lite0"
    assert run.job.state == Job.State.QUEUED


def test_repeated_click_starts_one_run(client_for: ClientFor, photo_set: PhotoSet, release: Release) -> None:
    client = client_for("admin")
    first, second = (client.post(URL, fields(photo_set, release)) for _ in range(2))
    assert first["Location"] == second["Location"]
    assert TrainingRun.objects.count() == Job.objects.count() == 1


@pytest.mark.parametrize("wrong", [{"preset": "nonsense"}, {"photo_set": "9999"}, {"release": "x"}])
def test_wrong_fields_are_reported(
    client_for: ClientFor, photo_set: PhotoSet, release: Release, wrong: dict[str, str]
) -> None:
    response = client_for("admin").post(URL, fields(photo_set, release) | wrong)
    assert response.status_code == 422
    assert 'class="error"' in response.content.decode()
    assert not TrainingRun.objects.exists()


def test_set_without_photos_cannot_be_trained_on(photo_set: PhotoSet, release: Release) -> None:
    photo_set.photos.all().delete()
    with pytest.raises(start.NotReady, match="holds no photos"):
        start.start_run(photo_set=photo_set, release=release, preset=PRESET, by=None)


def test_form_without_photos_or_release_says_what_to_do(client_for: ClientFor) -> None:
    assert "Register photos before you start a run" in client_for("admin").get(URL).content.decode()


@pytest.mark.parametrize("role", ["viewer", "curator", "validator", "network", "nobody"])
def test_others_may_not(client_for: ClientFor, photo_set: PhotoSet, release: Release, role: str) -> None:
    assert client_for(role).post(URL, fields(photo_set, release)).status_code == 403
    assert client_for(role).get(URL).status_code == 403
    assert not TrainingRun.objects.exists()


def test_stranger_is_asked_to_sign_in(client: Client, run: TrainingRun) -> None:
    for url in (URL, "/trainer/runs/", run.get_absolute_url(), f"{run.get_absolute_url()}photos/"):
        assert client.get(url)["Location"].startswith("/login/")


# --- labels are frozen ------------------------------------------------------------------------


def test_manifest_takes_labels_from_the_release(
    photo_set: PhotoSet, release: Release, classes: dict[str, SceneClass]
) -> None:
    ScenePhoto.objects.create(
        photo_set=photo_set, scene_class=classes["z/zoo"], path="z/zoo/1.jpg", sha256="z", width=1, height=1
    )
    run = start.start_run(photo_set=photo_set, release=release, preset=PRESET, by=None)
    newer = Release.objects.create(number=2, note="All to bar")
    ReleaseLabel.objects.create(release=newer, scene_key="b/beach", label="bar")
    SceneClass.objects.filter(key="b/beach").update(level1="outdoor", level2="water")
    run.folder.mkdir(parents=True)
    assert supervision._write_manifest(run) == {"photos": 1, "classes": ["z/zoo"]}
    with (run.folder / "manifest.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 40
    assert {(r["scene_class"], r["label"]) for r in rows} >= {("b/beach", "beach"), ("p/pantry", "other")}
    assert all(r["path"].startswith(photo_set.root) for r in rows)
    assert {(r["level1"], r["level2"]) for r in rows if r["scene_class"] == "b/beach"} == {
        ("outdoor", "water")
    }


def test_manifest_labels_photos_by_their_folder(photo_set: PhotoSet, release: Release) -> None:
    for folder in ("_other/pets", "_hashtag/bar", "_hashtag/cars"):
        ScenePhoto.objects.create(
            photo_set=photo_set, label_folder=folder, path=f"{folder}/1.jpg", sha256=folder, width=1, height=1
        )
    run = start.start_run(photo_set=photo_set, release=release, preset=PRESET, by=None)
    run.folder.mkdir(parents=True)
    left_out = supervision._write_manifest(run)
    assert left_out == {"photos": 1, "classes": ["_hashtag/cars"]}  # the release has no such hashtag
    with (run.folder / "manifest.csv").open() as file:
        rows = {(r["scene_class"], r["label"]) for r in csv.DictReader(file)}
    assert rows >= {("_other/pets", "other"), ("_hashtag/bar", "bar")}


def test_run_with_a_single_label_is_refused(photo_set: PhotoSet, release: Release) -> None:
    photo_set.photos.exclude(scene_class__key="b/bar").delete()
    run = start.start_run(photo_set=photo_set, release=release, preset=PRESET, by=None)
    run.folder.mkdir(parents=True)
    with pytest.raises(JobError, match="too few labels of release 1: 1"):
        supervision._write_manifest(run)


def test_epoch_twice_is_one_row(photo_set: PhotoSet, release: Release) -> None:
    run = start.start_run(photo_set=photo_set, release=release, preset=PRESET, by=None)
    lease = claim(run.job.pk)
    assert lease
    for loss in (0.9, 0.8):
        event = {"event": "epoch", "epoch": 1, "epochs": 3, "loss": loss}
        supervision.record(lease, run, event | {"accuracy": 0.5, "balanced_accuracy": 0.4})
    assert run.epochs.get().loss == 0.8


# --- pages ------------------------------------------------------------------------------------


def test_run_page_of_a_finished_run(client_for: ClientFor, run: TrainingRun) -> None:
    page = client_for("viewer").get(run.get_absolute_url()).content.decode()
    assert "<polyline" in page
    assert "photos/?true=bar&amp;predicted=bar" in page
    assert "Wrong and most confident" in page
    assert "Export as a model" not in page
    assert "Export as a model" in client_for("admin").get(run.get_absolute_url()).content.decode()


def test_live_run_polls_and_an_ended_one_does_not(client_for: ClientFor, run: TrainingRun) -> None:
    client = client_for("viewer")
    fragment = client.get(run.get_absolute_url(), headers={"hx-request": "true"}).content.decode()
    assert "hx-trigger" not in fragment
    Job.objects.filter(pk=run.job.pk).update(state=Job.State.QUEUED, finished_at=None)
    fragment = client.get(run.get_absolute_url(), headers={"hx-request": "true"}).content.decode()
    assert "hx-trigger" in fragment
    assert "<html" not in fragment
    assert "hx-trigger" in client.get("/trainer/runs/").content.decode()


def test_cell_opens_its_photos(client_for: ClientFor, run: TrainingRun) -> None:
    client = client_for("viewer")
    url = f"{run.get_absolute_url()}photos/"
    page = client.get(url, {"true": "beach", "predicted": "bar"}).content.decode()
    assert page.count("<figure>") == 1
    assert client.get(url, {"outcome": "wrong"}).content.decode().count("<figure>") == 1
    assert client.get(url, {"outcome": "right"}).content.decode().count("<figure>") == 2
    assert "No held-out photo matches" in client.get(url, {"true": "nonsense"}).content.decode()


def test_pages_take_constant_queries(
    client_for: ClientFor, run: TrainingRun, photo_set: PhotoSet, django_assert_max_num_queries: Any
) -> None:
    client = client_for("admin")
    urls = ["/trainer/runs/", run.get_absolute_url(), f"{run.get_absolute_url()}photos/", URL]
    counts = []
    for url in urls:
        with django_assert_max_num_queries(17) as few:
            client.get(url)
        counts.append(len(few))
    for number in range(4, 30):
        run.epochs.create(number=number, loss=1, accuracy=0.6, balanced_accuracy=0.5)
    for photo in photo_set.photos.all()[10:30]:
        run.held_out.create(photo=photo, true="bar", predicted="beach", confidence=0.5)
    for i in range(10):
        job = Job.objects.create(kind="trainer.train", title=str(i))
        TrainingRun.objects.create(
            name=str(i), photo_set=photo_set, release=run.release, preset=PRESET, recipe={}, job=job
        )
    for url, count in zip(urls, counts, strict=True):
        with django_assert_max_num_queries(count):
            assert client.get(url).status_code == 200
