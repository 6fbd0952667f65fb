"""Relabel a model with the newest release: asked on its page, done by a job, promoted from the new page."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from django.contrib.auth import get_user_model
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from onnx import TensorProto, helper, numpy_helper

from jobs.models import Job
from mapping.models import Hashtag, Release, ReleaseLabel
from tests.trainer.conftest import LABELS, MODEL_MANIFEST, jpeg
from trainer import deleting
from trainer.engine.evaluation.scenes import SCENES, SceneAnswers
from trainer.models import TrainedModel, TrainingRun
from trainer.registry import packages, serving
from trainer.registry.difference import compare_asked
from trainer.stale import stale_models
from validation.models import Campaign, Photo, Prediction, Question, Vote

pytestmark = pytest.mark.django_db
ClientFor = Callable[..., Client]
ModelFor = Callable[..., TrainedModel]
RunJobs = Callable[[], list[Job]]

STALE = "Its labels are of release 1; release 2 is out: 2 classes and 20 photos of its photo set differ."
SCENE_NAMES = ["a/abbey", "b/bar", "b/beach"]
COLOURS = {"a/abbey": (5, 5, 250), "b/bar": (5, 250, 5), "b/beach": (250, 5, 5)}


def publish(**changes: str | None) -> Release:
    """The next release: the first one's labels with changes, by a class's last name; None leaves it out."""
    newest = Release.objects.first()
    release = Release.objects.create(number=newest.number + 1 if newest else 1, note="Changed")
    labels = {key: changes.get(key.split("/")[1], label) for key, label in LABELS.items()}
    ReleaseLabel.objects.bulk_create(
        ReleaseLabel(release=release, scene_key=key, label=label) for key, label in labels.items() if label
    )
    return release


def write_network(model: TrainedModel) -> None:
    """A network that tells three scene classes by colour, and the labels of the first release."""
    inputs = helper.make_tensor_value_info("photos", TensorProto.FLOAT, ["n", 3, 32, 32])
    outputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3]) for name in ("logits", "scenes")
    ]
    nodes = [
        helper.make_node("ReduceMean", ["photos", "axes"], ["mean"], keepdims=0),
        helper.make_node("MatMul", ["mean", "weights"], ["scenes"]),
        helper.make_node("Identity", ["scenes"], ["logits"]),
    ]
    constants = [
        numpy_helper.from_array(8 * np.eye(3, dtype=np.float32)[::-1].copy(), "weights"),
        numpy_helper.from_array(np.array([2, 3]), "axes"),
    ]
    graph = helper.make_graph(nodes, "scenes", [inputs], outputs, constants)
    network = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    model.folder.mkdir(parents=True)
    onnx.save(network, model.folder / "model.onnx")


@pytest.fixture
def knowing(model_for: ModelFor, run: TrainingRun) -> TrainedModel:
    """The model of a run on release 1, with what it said of 60 held-out photos: always right, always sure."""
    model = model_for("Knowing", run=run)
    write_network(model)
    true = np.repeat(np.arange(3), 20)
    SceneAnswers.of(6 * np.eye(3, dtype=np.float32)[true], true, np.array([80, 80, 80])).write(
        model.folder / SCENES
    )
    digests = {
        name: hashlib.sha256((model.folder / name).read_bytes()).hexdigest()
        for name in (SCENES, "model.onnx")
    }
    model.manifest = MODEL_MANIFEST | {
        "format": "scenetag-model/1",
        "labels": ["architecture", "bar", "beach"],
        "thresholds": {"architecture": 0.5, "bar": 0.5, "beach": 0.5},
        "temperature": 1.0,
        "input": {"size": 32, "resize": "squeeze", "mean": [0.5] * 3, "std": [0.5] * 3},
        "scenes": SCENE_NAMES,
        "scene_labels": ["architecture", "bar", "beach"],
        "scenes_sha256": digests[SCENES],
        "sha256": digests["model.onnx"],
        "lineage": {"run": "Tiny, frozen", "release": "release 1"},
    }
    model.save()
    (model.folder / "manifest.json").write_text(json.dumps(model.manifest))
    return model


def url_of(model: TrainedModel) -> str:
    return f"{model.get_absolute_url()}relabel/"


def page_of(client: Client, thing: Any) -> str:
    return " ".join(client.get(thing.get_absolute_url()).content.decode().split())


def relabelled(client: Client, model: TrainedModel, run_jobs: RunJobs) -> TrainedModel:
    newest = Release.objects.first()
    assert newest
    client.post(url_of(model), {"release": newest.number})
    [job] = run_jobs()
    assert job.state == Job.State.SUCCEEDED, job.error
    return TrainedModel.objects.get(derived_from=model, release=newest)


@pytest.mark.integration
def test_one_click_and_the_active_model_answers_by_the_release(
    client_for: ClientFor, knowing: TrainedModel, run_jobs: RunJobs
) -> None:
    """A hashtag is new, one is gone, a class moves to other."""
    client = client_for("admin")
    assert "Relabel with" not in page_of(client, knowing)
    publish(beach="sand", bar="other")
    page = page_of(client, knowing)
    assert (
        "Its labels are of release 1; release 2 is out: 2 classes and 20 photos of its photo set differ."
        in page
    )
    assert 'href="/mapping/releases/compare/?before=1&amp;after=2"' in page
    new = relabelled(client, knowing, run_jobs)
    assert new.name == "Knowing, release 2"
    assert new.manifest["labels"] == ["architecture", "sand", "other"]
    assert new.manifest["lineage"] == {
        "run": "Tiny, frozen",
        "release": "release 2 (Changed)",
        "relabelled_from": "Knowing",
    }
    page = page_of(client, new)
    assert "Promote with release 2" in page
    assert "60 held-out photos" in page
    assert "40 of these photos get another answer: 0 a hashtag instead of none, 20 none instead of a" in page
    client.post(f"{new.get_absolute_url()}promote/", {"replacing": 0})
    answers = [one.hashtag for one in serving.suggest(jpeg(COLOURS[name]) for name in SCENE_NAMES)]
    assert answers == ["architecture", None, "sand"]
    assert "release 2 is out" not in page_of(client, new)
    assert "View it with release 2" in page_of(client, knowing)
    assert "Relabelled as" in page_of(client, knowing)
    models = " ".join(client.get("/trainer/models/").content.decode().split())
    assert models.count("out of date</span>") == 1


@pytest.mark.integration
def test_a_relabelled_model_is_relabelled_with_the_next_release(
    client_for: ClientFor, knowing: TrainedModel, run_jobs: RunJobs
) -> None:
    client = client_for("admin")
    publish(beach="sand")
    first = relabelled(client, knowing, run_jobs)
    publish(bar=None)
    assert "Its labels are of release 2; release 3 is out: 2 classes" in page_of(client, first)
    second = relabelled(client, first, run_jobs)
    assert second.name == "Knowing, release 3"
    assert second.manifest["labels"] == ["architecture", "beach", "other"]
    assert "1 class without a label in release 3 counts for other (b/bar)" in page_of(client, second)
    assert second.pk not in stale_models([second])


@pytest.mark.parametrize("role", ["viewer", "curator", "validator", "network", "nobody", "stranger"])
def test_others_may_not_relabel(client_for: ClientFor, knowing: TrainedModel, role: str) -> None:
    publish(beach="sand")
    response = client_for(role).post(url_of(knowing), {"release": 2})
    assert response.status_code == (302 if role == "stranger" else 403)
    assert not TrainedModel.objects.exclude(pk=knowing.pk).exists()
    if role == "viewer":
        page = page_of(client_for(role), knowing)
        assert ("release 2 is out" in page, "Relabel with" in page) == (True, False)


def test_a_repeated_click_gives_the_same_model(client_for: ClientFor, knowing: TrainedModel) -> None:
    publish(beach="sand")
    client = client_for("admin")
    places = {client.post(url_of(knowing), {"release": 2})["Location"] for _ in range(2)}
    assert places == {TrainedModel.objects.exclude(pk=knowing.pk).get().get_absolute_url()}
    assert Job.objects.filter(kind="trainer.relabel").count() == 1


@pytest.mark.parametrize("seen", ["2", "99999999999", "x", ""])
def test_a_stale_page_relabels_nothing(client_for: ClientFor, knowing: TrainedModel, seen: str) -> None:
    """Another release was published meanwhile."""
    publish(beach="sand")
    publish(beach="water")
    page = client_for("admin").post(url_of(knowing), {"release": seen}, follow=True).content.decode()
    assert "Nothing was done: release 3 is the newest now." in page
    assert not Job.objects.filter(kind="trainer.relabel").exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"scenes": [], "scene_labels": []}, "it learned labels only and does not tell scene classes"),
        ({"cascade": {}}, "it is a cascade"),
        ({"scenes_sha256": None}, "it came without what it says of scene classes"),
    ],
)
def test_a_model_that_cannot_be_relabelled_offers_to_train_again(
    client_for: ClientFor, knowing: TrainedModel, change: dict[str, Any], words: str
) -> None:
    newest, client = publish(beach="sand"), client_for("admin")
    knowing.manifest = {key: x for key, x in (knowing.manifest | change).items() if x is not None}
    knowing.save()
    page = page_of(client, knowing)
    assert words in page
    assert "Relabel with" not in page
    assert f"?based_on={knowing.run_id}&amp;release={newest.pk}" in page
    answer = client.post(url_of(knowing), {"release": 2}, follow=True).content.decode()
    assert f"cannot be relabelled: {words}" in answer
    assert not Job.objects.filter(kind="trainer.relabel").exists()
    form = client.get(f"/trainer/runs/new/?based_on={knowing.run_id}&release={newest.pk}").content.decode()
    assert f'<option value="{newest.pk}" selected' in " ".join(form.split())


def test_a_release_that_changes_no_label_makes_nothing_stale(
    client_for: ClientFor, knowing: TrainedModel
) -> None:
    publish()
    client = client_for("admin")
    assert "is out" not in page_of(client, knowing)
    page = client.post(url_of(knowing), {"release": 2}, follow=True).content.decode()
    assert "Its labels are those of release 2 already" in page


def test_the_run_says_that_its_labels_are_out_of_date(client_for: ClientFor, run: TrainingRun) -> None:
    publish(beach="sand", pantry=None)
    page = page_of(client_for("viewer"), run)
    assert (
        "Its labels are of release 1; release 2 is out: 2 classes and 20 photos of its photo set differ."
        in page
    )


def test_an_imported_model_is_judged_by_its_own_scene_classes(
    client_for: ClientFor, knowing: TrainedModel
) -> None:
    TrainedModel.objects.update(run=None, imported_from="file.zip")
    publish(beach="sand")
    assert "By release 2, 1 class differs." in page_of(client_for("viewer"), knowing)


def test_the_list_of_models_needs_as_many_queries_for_many(
    client_for: ClientFor, knowing: TrainedModel, model_for: ModelFor, django_assert_num_queries: Any
) -> None:
    publish(beach="sand")
    client = client_for("viewer")
    client.get("/trainer/models/")
    with CaptureQueriesContext(connection) as few:
        client.get("/trainer/models/")
    for number in range(5):
        model_for(
            f"M{number}", run=knowing.run, target_precision=0.5 + number / 20, manifest=knowing.manifest
        )
    with django_assert_num_queries(len(few)):
        client.get("/trainer/models/")


@pytest.mark.integration
def test_photos_of_the_last_campaign_are_compared_with_votes(
    client_for: ClientFor, knowing: TrainedModel, model_for: ModelFor, run_jobs: RunJobs
) -> None:
    hashtags = {
        name: Hashtag.objects.create(name=name, posts=10**8)
        for name in ("architecture", "bar", "beach", "sand")
    }
    campaign = Campaign.objects.create(name="People", model=knowing)
    for at, (scene, hashtag) in enumerate(zip(SCENE_NAMES, ("architecture", "bar", "beach"), strict=True)):
        content = jpeg(COLOURS[scene])
        file = default_storage.save(f"{at}.jpg", ContentFile(content))
        photo = Photo.objects.create(
            sha256=hashlib.sha256(content).hexdigest(), file=file, name=f"{at}.jpg", width=48, height=32
        )
        campaign.photos.add(photo)
        Prediction.objects.create(photo=photo, model=knowing, hashtag=hashtags[hashtag], confidence=0.9)
        counts = {"fits": 3, "does_not_fit": 0} if hashtag == "bar" else {"fits": 0, "does_not_fit": 3}
        for name in (hashtag, "sand")[: 2 if hashtag == "beach" else 1]:
            Question.objects.create(
                campaign=campaign,
                photo=photo,
                hashtag=hashtags[name],
                rank=0.5,
                needed=3,
                kind="suggestion",
                **(counts if name != "sand" else {"fits": 2, "does_not_fit": 1}),
            )
    publish(beach="sand", abbey="other")
    new = relabelled(client_for("admin"), knowing, run_jobs)
    assert new.manifest["relabelled"]["asked"] == {
        "name": "People",
        "url": f"/validation/campaigns/{campaign.pk}/",
        "total": 3,
        "photos": 3,
        "changed": 2,  # the abbey gets none, the beach #sand
        "judged": {"old": 3, "new": 2},
        "fit": {"old": pytest.approx(1 / 3), "new": 1.0},
    }
    page = page_of(client_for("viewer"), new)
    assert "2 of its 3 photos get another answer" in page
    assert "People have judged 2 of the new suggestions: 100 % fit." in page
    assert Prediction.objects.filter(model=new).count() == 0
    # The new model has no campaign of its own: it answers the photos of its parent's.
    back = compare_asked(old=new, new=knowing, most=10)
    assert back
    assert (back["name"], back["changed"]) == ("People", 2)
    assert back["fit"] == {"old": 1.0, "new": pytest.approx(1 / 3)}
    # Of the active model and those it comes from, nobody was asked: it answers the photos of the new one's.
    stranger = model_for("Stranger", manifest=knowing.manifest)
    shutil.copytree(knowing.folder, stranger.folder)
    instead = compare_asked(old=stranger, new=new, most=10)
    assert instead
    assert (instead["name"], instead["changed"], instead["judged"]) == ("People", 2, {"old": 3, "new": 2})


@pytest.mark.integration
def test_people_who_disagree_make_it_stricter(
    client_for: ClientFor, knowing: TrainedModel, run_jobs: RunJobs
) -> None:
    """Of #bar, judged on 12 photos, 2 fit: nothing shows from where on it would."""
    campaign = Campaign.objects.create(name="People", model=knowing)
    hashtags = {name: Hashtag.objects.create(name=name, posts=10**8) for name in ("bar", "beach")}
    for at in range(16):
        name = "bar" if at < 12 else "beach"
        content = jpeg(COLOURS["b/bar" if at < 12 else "b/beach"], (40 + at, 32))
        photo = Photo.objects.create(
            sha256=hashlib.sha256(content).hexdigest(),
            file=default_storage.save(f"people {at}.jpg", ContentFile(content)),
            **{"name": f"{at}.jpg", "width": 40 + at, "height": 32},
        )
        campaign.photos.add(photo)
        Prediction.objects.create(photo=photo, model=knowing, hashtag=hashtags[name], confidence=0.9)
        Question.objects.create(
            **{"campaign": campaign, "photo": photo, "hashtag": hashtags[name], "rank": at / 16, "needed": 1},
            **{"kind": "suggestion", "stream": "audit", "fits": at in (3, 7), "is_done": True},
            does_not_fit=at not in (3, 7),
        )
        person = get_user_model().objects.create(username=f"voter {at}")
        answer = "fits" if at in (3, 7) else "does_not_fit"
        Vote.objects.create(
            photo=photo, hashtag=hashtags[name], person=person, campaign=campaign, answer=answer
        )
    publish(beach="sand")
    new = relabelled(client_for("admin"), knowing, run_jobs)
    people = new.manifest["relabelled"]["people"]
    assert (people["name"], people["photos"]) == ("People", 12)  # #beach is #sand now: nobody judged that
    [raised] = people["raised"]
    assert raised["before"] <= 1
    assert (raised["hashtag"], raised["after"], raised["fitting"], raised["judged"]) == ("bar", 1.01, 2, 12)
    assert new.manifest["thresholds"]["bar"] == 1.01
    shown = new.manifest["held_out"]["per_hashtag"]
    assert {row["hashtag"]: row["suggested"] > 0 for row in shown} == {
        **{"architecture": True, "bar": False, "sand": True}
    }
    assert json.loads((new.folder / "manifest.json").read_text())["thresholds"]["bar"] == 1.01
    page = page_of(client_for("viewer"), new)
    assert "12 judged photos of the campaign" in page
    assert "People raise it to" in page
    assert "2 of 12" in page
    assert "votes of the campaign “People” have raised thresholds: #bar" in new.card
    answers = [one.hashtag for one in serving.suggest((jpeg(COLOURS[n]) for n in SCENE_NAMES), model=new)]
    assert answers == ["architecture", None, "sand"]


@pytest.mark.integration
def test_a_package_carries_what_relabelling_needs(
    client_for: ClientFor, knowing: TrainedModel, run_jobs: RunJobs
) -> None:
    publish(beach="sand")
    new = relabelled(client_for("admin"), knowing, run_jobs)
    package = b"".join(packages.stream_package(new))
    with zipfile.ZipFile(io.BytesIO(package)) as content:
        assert set(content.namelist()) == {"model.onnx", "manifest.json", "CARD.md", SCENES}
        assert "relabelled" not in json.loads(content.read("manifest.json"))
    TrainedModel.objects.filter(pk=new.pk).delete()
    publish(beach="water")
    there = packages.import_model(file=io.BytesIO(package), file_name="x.zip", by=None)
    assert packages.import_model(file=io.BytesIO(package), file_name="x.zip", by=None) == there
    assert "relabelled from" in page_of(client_for("viewer"), there)
    again = relabelled(client_for("admin"), there, run_jobs)
    assert again.manifest["labels"] == ["architecture", "bar", "water"]


@pytest.mark.integration
@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("without", "The file has no scenes.npz"),
        ("another", "scenes.npz is not the file that manifest.json describes"),
        ("too many", "“scenes.npz” does not belong in this model"),
        ("of other scenes", "scenes.npz cannot be used: it must have 3 numbers for each photo"),
        ("labels", "“scene_labels” must be one of its labels"),
        ("digest", "“scenes_sha256” must be 64 hexadecimal digits"),
    ],
)
def test_a_package_with_a_wrong_part_is_refused(knowing: TrainedModel, case: str, words: str) -> None:
    package = b"".join(packages.stream_package(knowing))
    TrainedModel.objects.all().delete()
    with zipfile.ZipFile(io.BytesIO(package)) as old:
        parts = {name: old.read(name) for name in old.namelist()}
    manifest = json.loads(parts["manifest.json"])
    if case == "without":
        del parts[SCENES]
    elif case == "another":
        parts[SCENES] += b"x"
    elif case == "too many":
        del manifest["scenes_sha256"]
    elif case == "of other scenes":
        out = io.BytesIO()
        zeros = np.zeros(2, np.int32)
        np.savez(out, logs=np.zeros((2, 2), np.float16), true=zeros, trained=np.zeros(3, np.int32))
        parts[SCENES] = out.getvalue()
        manifest["scenes_sha256"] = hashlib.sha256(out.getvalue()).hexdigest()
    elif case == "labels":
        manifest["scene_labels"] = ["architecture", "bar", "<b>"]
    else:
        manifest["scenes_sha256"] = 5
    parts["manifest.json"] = json.dumps(manifest).encode()
    changed = io.BytesIO()
    with zipfile.ZipFile(changed, "w") as new:
        for name, content in parts.items():
            new.writestr(name, content)
    with pytest.raises(packages.BadPackage, match=words):
        packages.import_model(file=io.BytesIO(changed.getvalue()), file_name="x.zip", by=None)
    assert not TrainedModel.objects.exists()


@pytest.mark.integration
def test_deleting_the_old_model_waits_for_the_job_and_leaves_the_new_one(
    client_for: ClientFor, knowing: TrainedModel, run_jobs: RunJobs, django_capture_on_commit_callbacks: Any
) -> None:
    publish(beach="sand")
    client = client_for("admin")
    client.post(url_of(knowing), {"release": 2})
    assert "“Knowing, release 2” is being made of it" in deleting.plan_model(knowing).refusal
    run_jobs()
    with django_capture_on_commit_callbacks(execute=True):
        deleting.delete_model(model=knowing, seen=deleting.plan_model(knowing).digest, by=None)
    new = TrainedModel.objects.get()
    assert new.derived_from is None
    assert "with the labels of" in page_of(client, new)
    answer = next(iter(serving.suggest([jpeg(COLOURS["b/beach"])], model=new)))
    assert answer.candidates[0][0] == "sand"


@pytest.mark.integration
def test_a_release_that_tells_nothing_apart_fails_by_name(
    client_for: ClientFor, knowing: TrainedModel, run_jobs: RunJobs
) -> None:
    publish(beach="other", bar="other", abbey=None)
    client_for("admin").post(url_of(knowing), {"release": 2})
    [job] = run_jobs()
    assert job.state == Job.State.FAILED
    assert "all of its scene classes have the label other" in job.error
    new = TrainedModel.objects.get(derived_from=knowing)
    assert not new.is_ready
    assert "all of its scene classes" in page_of(client_for("viewer"), new)
