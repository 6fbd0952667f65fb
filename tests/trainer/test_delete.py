"""Deleting runs and models: a page lists what is deleted with them; what is in use stays."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from jobs.models import Job
from mapping.models import Hashtag
from trainer import deleting
from trainer.models import Epoch, HeldOutPrediction, Promotion, Sweep, TrainedModel, TrainingRun
from trainer.registry import promotion
from validation.models import Campaign, Photo, Prediction, Vote

pytestmark = pytest.mark.django_db
ModelFor = Callable[..., TrainedModel]
ClientFor = Callable[..., Client]
OnCommit = Any


def seen_on(page: str) -> str:
    match = re.search(r'name="seen" value="(\w+)"', page)
    assert match
    return match[1]


@pytest.fixture
def judged(
    model_for: ModelFor, run: TrainingRun, user_for: Callable[..., User], finished_job: Callable[..., Job]
) -> TrainedModel:
    """A run's model that was active once; a campaign asks about it, and somebody has voted."""
    model = model_for("Judged", run=run, job=finished_job("trainer.export"))
    promotion.promote(model=model, by=None)
    promotion.promote(model=model_for("Active"), by=None)
    photo = Photo.objects.create(sha256="a" * 64, file="a.jpg", name="a.jpg", width=9, height=9)
    hashtag = Hashtag.objects.get_or_create(name="beach", defaults={"posts": 10**8})[0]
    campaign = Campaign.objects.create(name="People", model=model, job=finished_job("validation.predict"))
    campaign.photos.add(photo)
    Prediction.objects.create(photo=photo, model=model, hashtag=hashtag, confidence=0.9)
    Vote.objects.create(photo=photo, hashtag=hashtag, person=user_for("validator"), answer="fits")
    for folder in (model.folder, run.folder):
        folder.mkdir(parents=True)
        (folder / "file").write_text("x")
    return model


def test_page_lists_what_is_deleted_and_what_stays(client_for: ClientFor, judged: TrainedModel) -> None:
    client = client_for("admin")
    page = client.get(f"{judged.get_absolute_url()}delete/").content.decode()
    for words in (">People</a>", "<b>1</b> prediction<", "promotion in the history", "1 vote</b>"):
        assert words in page
    assert judged.run
    page = client.get(f"{judged.run.get_absolute_url()}delete/").content.decode()
    for words in (">People</a>", "<b>3</b> epochs", "answers about held-out photos", ">Judged</a>"):
        assert words in page
    assert TrainedModel.objects.count() == 2


@pytest.mark.postgres
def test_model_is_deleted_with_its_dependents_and_votes_stay(
    client_for: ClientFor, judged: TrainedModel, django_capture_on_commit_callbacks: OnCommit
) -> None:
    client, url = client_for("admin"), f"{judged.get_absolute_url()}delete/"
    form = {"seen": seen_on(client.get(url).content.decode())}
    with django_capture_on_commit_callbacks(execute=True):
        response = client.post(url, form)
    assert response["Location"] == "/trainer/models/"
    assert not Campaign.objects.exists()
    assert not Prediction.objects.exists()
    assert not Promotion.objects.filter(model=judged.pk).exists()
    assert not Job.objects.filter(kind__in=("trainer.export", "validation.predict")).exists()
    assert Vote.objects.count() == Photo.objects.count() == 1
    assert TrainingRun.objects.exists()
    assert list(Path(settings.MODELS_DIR).iterdir()) == []
    again = client.post(url, form, follow=True)
    assert "deleted already" in again.content.decode()


@pytest.mark.postgres
def test_run_is_deleted_with_its_models(
    client_for: ClientFor,
    judged: TrainedModel,
    run: TrainingRun,
    django_capture_on_commit_callbacks: OnCommit,
) -> None:
    client, url = client_for("admin"), f"{run.get_absolute_url()}delete/"
    form = {"seen": seen_on(client.get(url).content.decode())}
    with django_capture_on_commit_callbacks(execute=True):
        assert client.post(url, form)["Location"] == "/trainer/runs/"
    for table in (TrainingRun, Epoch, HeldOutPrediction, Campaign):
        assert not table.objects.exists()
    assert [model.name for model in TrainedModel.objects.all()] == ["Active"]
    assert not run.folder.exists()
    assert not judged.folder.exists()


@pytest.mark.postgres
def test_sweep_is_deleted_with_its_runs(
    client_for: ClientFor, judged: TrainedModel, run: TrainingRun
) -> None:
    sweep = Sweep.objects.create(name="All of table 3")
    TrainingRun.objects.update(sweep=sweep)
    plan = deleting.plan_sweep(sweep)
    client, url = client_for("admin"), f"/trainer/sweeps/{sweep.pk}/delete/"
    assert client.post(url, {"seen": "older"}).status_code == 409
    client.post(url, {"seen": plan.digest})
    assert not Sweep.objects.exists()
    assert not TrainingRun.objects.exists()


def test_active_model_is_refused_and_so_is_its_run(
    client_for: ClientFor, judged: TrainedModel, run: TrainingRun
) -> None:
    promotion.promote(model=judged, by=None)
    client = client_for("admin")
    for target, plan in ((judged, deleting.plan_model(judged)), (run, deleting.plan_run(run))):
        url = f"{target.get_absolute_url()}delete/"
        page = client.get(url).content.decode()
        assert "“Judged” is the active model" in page
        assert 'name="seen"' not in page
        assert client.post(url, {"seen": plan.digest}).status_code == 409
    assert TrainingRun.objects.exists()
    assert Campaign.objects.exists()


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("trainer.train", "is queued or training"),
        ("trainer.export", "is being exported"),
        ("validation.predict", "are being predicted"),
    ],
)
def test_live_work_is_refused(judged: TrainedModel, run: TrainingRun, kind: str, words: str) -> None:
    Job.objects.filter(kind=kind).update(state=Job.State.QUEUED, finished_at=None)
    plan = deleting.plan_run(run)
    assert words in plan.refusal
    with pytest.raises(deleting.Refused, match=words):
        deleting.delete_run(run=run, seen=plan.digest, by=None)
    assert TrainingRun.objects.exists()


@pytest.mark.parametrize("words", ["model {}", " Model #{}"])
def test_model_that_a_run_is_about_to_learn_from_is_refused(
    judged: TrainedModel, run: TrainingRun, words: str
) -> None:
    pupil = TrainingRun.objects.create(
        name="Pupil",
        recipe=run.recipe | {"teacher": words.format(judged.pk)},
        photo_set=run.photo_set,
        release=run.release,
        job=Job.objects.create(kind="trainer.train", state=Job.State.QUEUED),
    )
    assert "“Pupil” learns from it" in deleting.plan_model(judged).refusal
    Job.objects.filter(run=pupil).update(state=Job.State.CANCELLED, finished_at=timezone.now())
    assert not deleting.plan_model(judged).refusal


def test_stale_page_is_refused_with_the_new_list(client_for: ClientFor, judged: TrainedModel) -> None:
    client, url = client_for("admin"), f"{judged.get_absolute_url()}delete/"
    form = {"seen": seen_on(client.get(url).content.decode())}
    Campaign.objects.create(name="Since then", model=judged)
    response = client.post(url, form)
    page = response.content.decode()
    assert response.status_code == 409
    assert "Something changed" in page
    assert ">Since then</a>" in page
    assert Campaign.objects.count() == 2
    client.post(url, {"seen": seen_on(page)})
    assert not Campaign.objects.exists()


def test_starter_model_comes_again(client_for: ClientFor, model_for: ModelFor) -> None:
    model = model_for("Starter model", manifest={"starter": "abc"})
    page = client_for("admin").get(f"{model.get_absolute_url()}delete/").content.decode()
    assert "Nothing depends on this model" in page
    assert "This starter model is included" in page
    assert "The next start installs it again" in page


def test_what_was_left_by_a_crash_goes_with_the_next_deletion(
    judged: TrainedModel, django_capture_on_commit_callbacks: OnCommit
) -> None:
    left = Path(settings.RUNS_DIR) / "77.gone"
    (left / "deep").mkdir(parents=True)
    with django_capture_on_commit_callbacks(execute=True):
        deleting.delete_model(model=judged, seen=deleting.plan_model(judged).digest, by=None)
    assert not left.exists()


def test_orphans_are_listed_and_removed_only_on_demand(
    judged: TrainedModel, capsys: pytest.CaptureFixture[str]
) -> None:
    orphan = Path(settings.MODELS_DIR) / "4711"
    orphan.mkdir()
    call_command("remove_orphans")
    assert capsys.readouterr().out.splitlines() == [
        str(orphan),
        "Nothing was removed. To remove them, add --yes.",
    ]
    assert orphan.exists()
    call_command("remove_orphans", "--yes")
    assert not orphan.exists()
    assert judged.folder.exists()
    assert judged.run
    assert judged.run.folder.exists()


def test_orphans_that_cannot_be_removed_are_named(judged: TrainedModel, tmp_path: Path) -> None:
    orphan = Path(settings.MODELS_DIR) / "4712"
    orphan.symlink_to(tmp_path)  # a link is not a folder to remove
    try:
        with pytest.raises(CommandError, match=r"1 could not be removed: .*/4712"):
            call_command("remove_orphans", "--yes")
    finally:
        orphan.unlink()


@pytest.mark.parametrize("role", ["viewer", "curator", "validator", "network", "nobody"])
def test_others_may_not(client_for: ClientFor, judged: TrainedModel, run: TrainingRun, role: str) -> None:
    client = client_for(role)
    for target, plan in ((judged, deleting.plan_model(judged)), (run, deleting.plan_run(run))):
        url = f"{target.get_absolute_url()}delete/"
        assert client.get(url).status_code == 403
        assert client.post(url, {"seen": plan.digest}).status_code == 403
    assert TrainedModel.objects.count() == 2


def test_stranger(client: Client, judged: TrainedModel) -> None:
    url = f"{judged.get_absolute_url()}delete/"
    form = {"seen": deleting.plan_model(judged).digest}
    assert client.post(url, form)["Location"].startswith("/login/")
    assert TrainedModel.objects.count() == 2
