"""A world with one of everything, so that each address of the site has something to show."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.conf import settings as django_settings
from django.contrib import auth
from django.contrib.auth.models import Group, User
from django.core.cache import caches
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from jobs.models import Job
from mapping.models import Hashtag, MappingEntry, Opinion, Release, ReleaseLabel, SceneClass
from notices.models import Hook
from people.accounts import invite, path_of
from people.models import Invitation, Team, Token
from serving.models import CheckedPost
from tests.site.addresses import Address
from tests.trainer.conftest import MODEL_MANIFEST, jpeg, write
from tests.validation.conftest import taken_in
from trainer.models import PhotoSet, Sweep, TrainedModel, TrainingRun
from validation.agreement.exports import public_token
from validation.campaigns.questions import make_questions
from validation.models import Campaign, Intake, Participation, Photo, Prediction
from validation.people import guests

NUMBER = 77  # of everything
NOWHERE = 79  # nothing has this number
SECRET = "Zanzibar"  # in every name: who may not look never reads it


class World:
    """Addresses of what the fixture made."""

    def __init__(self, campaign: Campaign) -> None:
        self.campaign = campaign
        self.tokens = {
            "validation:join": guests.token(campaign),
            "validation:public": public_token(campaign),
            "people:join": path_of(Invitation.objects.get()).split("/")[-2],
        }

    def path(self, address: Address, number: int = NUMBER) -> str:
        """With another number: of something that does not exist."""
        numbers = dict.fromkeys(("number", "photo_pk", "person_pk"), number)
        words = {"token": self.tokens.get(address.name, "x"), "path": "", "rest": "x", "uidb64": "x"}
        words |= {"provider_id": "oidc", "key": "x"}
        pk = UUID(int=number) if address.route.startswith("jobs/") else number
        kind = "csv" if address.name.startswith("mapping:export") else "svg"
        figure = "posts" if address.name.startswith("mapping:") else "loss"
        return address.path({**numbers, **words, "pk": pk, "kind": kind, "name": figure})


@pytest.fixture
def world(user_for: Callable[..., User], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    for name in ("RUNS_DIR", "MODELS_DIR", "PHOTO_SETS_DIR"):
        monkeypatch.setattr(django_settings, name, tmp_path / name.lower())
    person = User.objects.create(pk=NUMBER, username=SECRET)
    Token.objects.create(pk=NUMBER, name=SECRET, owner=person, digest=SECRET)
    invite(roles=[], by=None, note=SECRET)
    Team.objects.create(pk=NUMBER, name=SECRET)
    Hook.objects.create(pk=NUMBER, name=SECRET, address=f"https://{SECRET}.example/", salt=SECRET)
    hashtag, release = _mapping(owner=user_for("curator"))
    model = _training(release, tmp_path)
    return World(_validation(model, hashtag, person))


def _mapping(owner: User) -> tuple[Hashtag, Release]:
    hashtag = Hashtag.objects.create(pk=NUMBER, name=SECRET.lower(), posts=10**7, source="counted")
    scene = SceneClass.objects.create(pk=NUMBER, key=f"z/{SECRET}", name=SECRET)
    decided: dict[str, Any] = {"hashtag": hashtag, "status": MappingEntry.Status.IMPORTED}
    MappingEntry.objects.create(pk=NUMBER, scene_class=scene, **decided)
    for pk in (NUMBER, NUMBER + 1):
        opinion = Opinion.objects.create(pk=pk, name=f"{SECRET} {pk}", owner=owner)
        MappingEntry.everywhere.create(opinion=opinion, scene_class=scene, **decided)
    for number in (NUMBER - 1, NUMBER):
        release = Release.objects.create(number=number, note=SECRET)
        ReleaseLabel.objects.create(release=release, scene_key=scene.key, label=hashtag.name)
    return hashtag, release


def _job(number: int) -> Job:
    done: dict[str, Any] = {"state": Job.State.SUCCEEDED, "finished_at": timezone.now()}
    job = Job.objects.create(pk=UUID(int=number), kind="x", title=SECRET, **done)
    job.shards.create(number=number, label=SECRET, count=1)
    return job


def _training(release: Release, folder: Path) -> TrainedModel:
    photo_set = PhotoSet.objects.create(pk=NUMBER, name=SECRET, source=SECRET, root=str(folder), report={})
    write(folder / f"{SECRET}.jpg", jpeg())
    photo_set.photos.create(
        pk=NUMBER, scene_class_id=NUMBER, path=f"{SECRET}.jpg", sha256="0" * 64, width=48, height=32
    )
    run = TrainingRun.objects.create(
        pk=NUMBER,
        name=SECRET,
        sweep=Sweep.objects.create(pk=NUMBER, name=SECRET),
        photo_set=photo_set,
        release=release,
        preset="frozen-lite0",
        recipe={"kind": "frozen"},
        job=_job(NUMBER),
    )
    for number in (1, 2):
        run.epochs.create(number=number, loss=1 / number)
    model = TrainedModel.objects.create(pk=NUMBER, name=SECRET, run=run, manifest=MODEL_MANIFEST)
    write(model.folder / "model.onnx", b"x")
    return model


def _validation(model: TrainedModel, hashtag: Hashtag, person: User) -> Campaign:
    campaign = Campaign.objects.create(
        pk=NUMBER, name=SECRET, model=model, audience=Campaign.Audience.LINK, is_public=True
    )
    photo = taken_in(NUMBER)
    Photo.objects.filter(pk=photo.pk).update(id=NUMBER, name=f"{SECRET}.jpg")
    photo = Photo.objects.get(pk=NUMBER)
    campaign.photos.add(photo)
    Prediction.objects.create(photo=photo, model=model, hashtag=hashtag, confidence=0.9)
    make_questions(campaign=campaign)
    Participation.objects.create(person=person, campaign=campaign)
    CheckedPost.objects.create(
        pk=NUMBER,
        account=person,
        author=SECRET,
        post=SECRET,
        checked_at=timezone.now(),
        **dict.fromkeys(CheckedPost.SCORE, 0),
    )
    Intake.objects.create(pk=NUMBER, name=SECRET, kind=Intake.Kind.UPLOAD, path=SECRET, job=_job(NUMBER + 1))
    return campaign


@pytest.fixture
def client_of(world: World, client_for: Callable[..., Client]) -> Callable[[str], Client]:
    """As `client_for`; "guest" came by the campaign's link."""

    def make(role: str) -> Client:
        if role != "guest":
            return client_for(role)
        client = Client()
        client.force_login(guests.make_guest(campaign=world.campaign))
        return client

    return make


@pytest.fixture
def everybody(user_for: Callable[..., User], client_for: Callable[..., Client]) -> Client:
    """Signed in as somebody who has all the roles."""
    user_for("admin").groups.set(Group.objects.all())
    return client_for("admin")


@pytest.fixture
def asked_often(settings: Settings) -> None:
    """For tests that ask thousands of times: no request waits for a session's row or for Valkey."""
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
    memory = "django.core.cache.backends.locmem.LocMemCache"
    settings.CACHES = {name: {"BACKEND": memory, "LOCATION": name} for name in settings.CACHES}
    for cache in caches.all(initialized_only=False):
        cache.clear()


def person_of(client: Client) -> User:
    """Who asks by this client. What they may do is known, too."""
    person: User = auth.get_user(client.get("/").wsgi_request)  # type: ignore[assignment]
    person.get_all_permissions()
    return person


@contextmanager
def known_as(person: User) -> Iterator[None]:
    """They are not looked up for every request, if no answer changes them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(auth, "get_user", lambda request: copy(person))
        yield
