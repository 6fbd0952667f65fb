"""A made-up crowd: switched on, once; named where it shows; gone again, and nothing real with it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator

import pytest
from django.contrib.auth.models import User
from django.core.files.storage import default_storage
from django.test import Client
from prometheus_client import REGISTRY

from jobs import queue
from jobs.models import Job
from mapping.models import Hashtag, SceneClass
from notices.models import Notice
from people.accounts import people as everybody_who_signs_in
from people.models import Deed
from tests.validation.conftest import MakeVote, picture, taken_in
from trainer.engine.serving.predict import Suggestion
from trainer.models import TrainedModel
from trainer.registry import serving
from validation import made_up
from validation.agreement import results
from validation.for_mapping import Voters
from validation.for_trainer import AskedPeople, JudgedModels
from validation.models import Campaign, Correction, Participation, Photo, Question, Vote
from validation.photos import corrections
from validation.photos.store import withdraw_everywhere

pytestmark = pytest.mark.django_db
ClientFor = Callable[..., Client]
BANNER = "Made-up votes: nobody real has voted"
PHOTOS = 6


def plain_suggestions(photos: Iterable[bytes], **_: object) -> Iterator[Suggestion]:
    """A fake of the model: one of three hashtags, by the photo's bytes; silent about some."""
    for raw in photos:
        number = sum(raw) % 6
        name = ("cafe", "bar", "sport", "cafe", "bar", None)[number]
        ranking = ((name or "sport", 0.5 + number / 20), ("bar", 0.1))
        yield Suggestion("", name, 0.5 + number / 20, None if name else "unsure", ranking, {})


@pytest.fixture(autouse=True)
def _demo(
    settings: object, model: TrainedModel, hashtags: dict[str, Hashtag], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A demonstration with an active model and plain sample photos."""
    settings.DEMO = True  # type: ignore[attr-defined]
    monkeypatch.setattr(serving, "active_model", lambda: model)
    monkeypatch.setattr(serving, "suggest", plain_suggestions)


@pytest.fixture(autouse=True)
def _samples(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path_factory.mktemp("samples")
    files = []
    for number in range(PHOTOS):
        path = folder / f"{number}.jpg"
        path.write_bytes(picture(number))
        files.append((path, {"licence": "CC BY 2.0"}))
    monkeypatch.setattr(made_up, "sample_files", lambda: files)


@pytest.fixture
def crowd(client_for: ClientFor, run_jobs: Callable[[], list[Job]]) -> Campaign:
    """The made-up campaign after one click and its job."""
    counted = REGISTRY.get_sample_value("scenetag_votes_total", {"answer": "fits"})
    client_for("admin").post("/validation/made-up/")
    assert [job.error for job in run_jobs()] == [""]
    assert REGISTRY.get_sample_value("scenetag_votes_total", {"answer": "fits"}) == counted
    return Campaign.objects.made_up().get()


def counts() -> tuple[int, ...]:
    return tuple(
        model.objects.count() for model in (Campaign, Photo, Question, Vote, Participation, User, Job)
    )


def answers(row: Campaign) -> list[tuple[str, ...]]:
    rows = row.votes.values_list("person__username", "photo__sha256", "hashtag__name", "answer", "reason")
    return sorted(rows)


def test_one_click_lets_a_crowd_vote_and_a_second_does_nothing(
    crowd: Campaign, client_for: ClientFor, run_jobs: Callable[[], list[Job]]
) -> None:
    summary = results.summarise(crowd)
    assert summary.overall
    assert summary.people == sum(character.people for character in made_up.CROWD.values())
    assert summary.done == summary.suggestions > 0
    assert len(summary.days) > 2
    assert summary.controls
    assert not Campaign.objects.get(pk=crowd.pk).is_open
    assert not Notice.objects.exists()
    before = counts()
    response = client_for("admin").post("/validation/made-up/", follow=True)
    assert "is there already" in response.content.decode()
    assert run_jobs() == []
    assert counts() == before
    assert [deed.what for deed in Deed.objects.all()] == ["make up votes"]


def test_the_same_crowd_votes_alike(
    crowd: Campaign, client_for: ClientFor, user_for: Callable[..., User], run_jobs: Callable[[], list[Job]]
) -> None:
    first = answers(crowd)
    made_up.remove_all(seen=crowd.pk, by=user_for("admin"))
    client_for("admin").post("/validation/made-up/")
    run_jobs()
    assert answers(Campaign.objects.made_up().get()) == first


def test_an_interrupted_crowd_goes_on_where_it_stopped(
    crowd: Campaign, run_jobs: Callable[[], list[Job]]
) -> None:
    before, first = counts(), answers(crowd)
    Campaign.objects.filter(pk=crowd.pk).update(is_open=True)
    assert crowd.job
    Job.objects.filter(pk=crowd.job.pk).update(state=Job.State.FAILED)
    crowd.job.refresh_from_db()
    queue.retry(job=crowd.job, by=None)
    run_jobs()
    assert (counts(), answers(crowd)) == (before, first)


def test_one_click_removes_all_of_it_and_nothing_real(
    campaign: Campaign,
    vote_as: MakeVote,
    client_for: ClientFor,
    run_jobs: Callable[[], list[Job]],
    django_capture_on_commit_callbacks: Callable[..., object],
) -> None:
    vote_as(campaign, 0, "fits", "ann")
    admin = client_for("admin")
    before, real = counts(), results.summarise(campaign)
    admin.post("/validation/made-up/")
    run_jobs()
    crowd = Campaign.objects.made_up().get()
    files = [str(photo.file.name) for photo in crowd.photos.all()]
    with django_capture_on_commit_callbacks(execute=True):  # type: ignore[attr-defined]
        gone = admin.post("/validation/made-up/remove/", {"seen": crowd.pk}, follow=True)
    assert "is gone" in gone.content.decode()
    assert counts() == before
    assert not any(map(default_storage.exists, files))
    assert default_storage.exists(str(campaign.photos.first().file.name))  # type: ignore[union-attr]
    assert results.summarise(campaign) == real
    again = admin.post("/validation/made-up/remove/", {"seen": crowd.pk}, follow=True)
    assert "removed already" in again.content.decode()
    admin.post("/validation/made-up/")  # a page that showed the crowd before removes none that came since
    assert (
        "removed already"
        in admin.post("/validation/made-up/remove/", {"seen": crowd.pk}, follow=True).content.decode()
    )
    assert Campaign.objects.made_up().exists()


@pytest.mark.parametrize("step", ["_make_voters", "_spread_over_days", "predict"])
def test_one_that_is_half_made_is_removed_too(
    client_for: ClientFor, run_jobs: Callable[[], list[Job]], monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    admin = client_for("admin")
    before = counts()
    admin.post("/validation/made-up/")
    monkeypatch.setattr(made_up, step, lambda *_: 1 / 0)
    assert [job.state for job in run_jobs()] == [Job.State.FAILED]
    assert Notice.objects.exists()
    admin.post("/validation/made-up/remove/", {"seen": Campaign.objects.made_up().get().pk})
    assert counts() == before
    assert not Notice.objects.exists()


def test_a_crowd_that_is_removed_while_it_votes_leaves_nothing(
    client_for: ClientFor, run_jobs: Callable[[], list[Job]], monkeypatch: pytest.MonkeyPatch
) -> None:
    admin = client_for("admin")
    before = counts()
    admin.post("/validation/made-up/")
    make_voters = made_up._make_voters

    def remove_first(row: Campaign, lease: object) -> object:
        assert made_up.remove_all(seen=row.pk, by=None)
        return make_voters(row, lease)  # type: ignore[arg-type]

    monkeypatch.setattr(made_up, "_make_voters", remove_first)
    with pytest.raises(Job.DoesNotExist):
        run_jobs()
    assert counts() == before


def test_only_admins_of_a_demonstration_let_it_vote(client_for: ClientFor, settings: object) -> None:
    offered = "Let a made-up crowd vote"
    assert offered in client_for("admin").get("/validation/agreement/").content.decode()
    viewer = client_for("viewer").get("/validation/agreement/").content.decode()
    assert "See how this looks with votes" in viewer
    assert offered not in viewer
    for role in ("viewer", "validator", "nobody"):
        assert client_for(role).post("/validation/made-up/").status_code == 403
        assert client_for(role).post("/validation/made-up/remove/").status_code == 403
    assert Client().post("/validation/made-up/").headers["Location"].startswith("/login/")
    settings.DEMO = False  # type: ignore[attr-defined]
    assert "See how" not in client_for("admin").get("/validation/agreement/").content.decode()
    refused = client_for("admin").post("/validation/made-up/", follow=True)
    assert "SCENETAG_DEMO is not set" in refused.content.decode()
    assert not Campaign.objects.exists()


def test_without_an_active_model_it_says_what_to_do(
    client_for: ClientFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "active_model", lambda: None)
    response = client_for("admin").post("/validation/made-up/", follow=True)
    assert "promote a model first" in response.content.decode()


def test_it_counts_in_no_figure_of_all_campaigns(
    campaign: Campaign, crowd: Campaign, model: TrainedModel, client_for: ClientFor
) -> None:
    assert results.headline() is None
    assert results.people(None) == 0
    summary = results.summarise(None)
    assert (summary.votes, summary.photos, summary.controls) == (0, 4, None)
    assert results.crowd_by_model()[model.pk].overall is None
    assert Voters().find_doubts() == {}
    asked = AskedPeople().last_asked(model.pk, 40)
    assert asked
    assert asked.name == campaign.name
    assert not {photo.pk for photo in Photo.objects.found()} & {photo.pk for photo in crowd.photos.all()}
    # A correction that was written past the guard would not be trained on, either.
    scene = SceneClass.objects.create(key="c/cafe", name="Cafe")
    Correction.objects.create(photo=crowd.photos.all()[0], scene_class=scene)
    assert not corrections.trainable().exists()


def test_while_it_is_the_only_campaign_the_dashboard_begins_with_it(
    crowd: Campaign, client_for: ClientFor
) -> None:
    page = client_for("viewer").get("/validation/agreement/")
    assert page.context["campaign"] == crowd
    assert BANNER in page.content.decode()


def test_files_and_api_say_that_votes_are_made_up(crowd: Campaign, client_for: ClientFor) -> None:
    viewer = client_for("viewer")
    text = viewer.get(f"/validation/campaigns/{crowd.pk}/votes.csv").getvalue().decode()
    assert {row["made_up"] for row in csv.DictReader(io.StringIO(text))} == {"True"}
    export = json.loads(viewer.get(f"/validation/campaigns/{crowd.pk}/votes.json").getvalue())
    assert export["made_up"] is True
    assert (
        "nobody real has voted"
        in viewer.get(f"/validation/campaigns/{crowd.pk}/agreement.svg").content.decode()
    )
    assert viewer.get("/api/v1/campaigns").json()["results"][0]["made_up"] is True
    assert viewer.get(f"/api/v1/campaigns/{crowd.pk}").json()["made_up"] is True
    votes = viewer.get(f"/api/v1/campaigns/{crowd.pk}/votes").json()["results"]
    assert {vote["made_up"] for vote in votes} == {True}


def test_it_can_only_be_removed(crowd: Campaign, client_for: ClientFor) -> None:
    admin, validator = client_for("admin"), client_for("validator")
    question = crowd.questions.select_related("photo", "hashtag").first()
    assert question
    person = crowd.participations.first()
    assert person
    before = answers(crowd), Campaign.objects.filter(pk=crowd.pk).values().get(), counts()
    here = f"/validation/campaigns/{crowd.pk}"
    for act in ("open", "close", "archive", "unarchive", "delete", "rules", "revoke", "publish", "unpublish"):
        response = admin.post(f"{here}/{act}/", {"seen": "", "version": 1}, follow=True)
        assert "can only be removed" in response.content.decode(), act
    for act in ("pause", "unpause", "set-aside", "bring-back"):
        admin.post(f"{here}/people/{person.person_id}/{act}/")
    admin.post(f"{here}/photos/{question.photo_id}/withdraw/")
    admin.post(
        f"{here}/known/", {"photo": question.photo_id, "hashtag": question.hashtag_id, "answer": "fits"}
    )
    admin.post(f"/validation/photos/{question.photo_id}/withdraw/")
    admin.post(f"/validation/photos/{question.photo_id}/correct/", {"hashtag": "cafe"})
    admin.post(f"/validation/agreement/{crowd.pk}/thresholds/take-over/")
    assert validator.get(f"/validation/vote/{crowd.pk}/").status_code in (403, 404)
    assert before == (answers(crowd), Campaign.objects.filter(pk=crowd.pk).values().get(), counts())
    assert not photo_corrected(question.photo)


def photo_corrected(photo: Photo) -> bool:
    return hasattr(photo, "correction") or photo.gold_answers.exists()


def test_its_voters_are_no_people_and_no_form_offers_its_photos(
    crowd: Campaign, client_for: ClientFor
) -> None:
    assert not everybody_who_signs_in().filter(guest__campaign=crowd).exists()
    assert set(everybody_who_signs_in()) == {User.objects.get(username="admin")}
    form = client_for("admin").get("/validation/campaigns/new/").content.decode()
    assert crowd.name not in form


def test_a_copy_goes_with_its_original_also_with_one_that_came_later(
    crowd: Campaign, user_for: Callable[..., User], django_capture_on_commit_callbacks: Callable[..., object]
) -> None:
    original, others = taken_in(3), crowd.photos.exclude(name="3.jpg").count()
    copy = crowd.photos.get(name="3.jpg")
    with django_capture_on_commit_callbacks(execute=True):  # type: ignore[attr-defined]
        withdraw_everywhere(photo=original, by=user_for("admin"))
    assert not Photo.objects.filter(pk=copy.pk).exists()
    assert not default_storage.exists(str(copy.file.name))
    assert not Vote.objects.filter(photo=copy.pk).exists()
    assert crowd.photos.count() == others


def test_the_crowd_goes_with_its_model(crowd: Campaign, model: TrainedModel) -> None:
    JudgedModels().remove([model.pk])
    assert not Vote.objects.exists()
    assert not Photo.objects.exists()
    assert not User.objects.filter(username__startswith="made-up").exists()
