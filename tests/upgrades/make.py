"""Makes a database of an older version by that version's own functions. The fixtures here were made by

    for version in fca7839 92dcf74 73860a2; do
      mkdir -p OLD/$version && git archive $version | tar -x -C OLD/$version
      (cd OLD/$version && SCENETAG_VAR=$(mktemp -d) python REPOSITORY/tests/upgrades/make.py $version)
    done

| version | of | has |
|---|---|---|
| fca7839 | 25 November 2026 | questions, intakes, participations counted as votes come |
| 92dcf74 | 29 November 2026 | names in one spelling; tokens of rest_framework, kept as they are |
| 73860a2 | 29 November 2026 | people with hashed tokens; not yet feedback, checked posts and notices |

NAME.sql.gz is SQLite's dump, NAME.json what the version itself said of it.
"""

from __future__ import annotations

import gzip
import importlib
import io
import json
import os
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import UUID

HERE = Path(__file__).resolve().parent
LABELS = {"a/abbey": "church", "b/beach": "beach", "c/chapel": "church", "s/shoe_shop": None}
ANSWERS = {"ada": ("fits", "fits", "does_not_fit"), "bob": ("fits", "does_not_fit", "skip")}
PASSWORD = "of an older version"


def main(version: str) -> None:
    sys.path[0] = os.getcwd()  # the older version's code
    # Libraries that are gone: one has a namesake that does the same, the other is not asked here.
    sys.modules["pillow_heif"] = importlib.import_module("pi_heif")
    sys.modules["krippendorff"] = ModuleType("krippendorff")
    os.environ |= {"DJANGO_SETTINGS_MODULE": "hashtags_site.settings", "REDIS_URL": "redis://127.0.0.1:1/0"}
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    call_command("setup_roles", stdout=io.StringIO())
    token = io.StringIO()
    call_command("api_token", "network-x", stdout=token)
    _fill()
    sys.path.insert(0, str(HERE))
    figures = importlib.import_module("figures").figures()
    said = {
        "password": PASSWORD,
        "token": token.getvalue().split()[-1],
        "agreement": _agreement(),
        "figures": figures,
    }
    (HERE / f"{version}.json").write_text(json.dumps(said, indent=1, ensure_ascii=False) + "\n")
    _dump(HERE / f"{version}.sql.gz")


def _fill() -> None:
    from django.contrib.auth.models import Group, User

    people = {
        name: User.objects.create_user(name, password=PASSWORD if name == "ada" else None) for name in ANSWERS
    }
    for role in ("curator", "validator"):
        people["ada"].groups.add(Group.objects.get(name=role))
    _map(people["ada"])
    _judge(_train(people["ada"]), people)


def _map(curator: Any) -> None:
    """Four classes, released, then one decided anew and released again."""
    from mapping.models import Hashtag, MappingEntry, SceneClass
    from mapping.releases import publish_release

    acts = _first("mapping.acts", "mapping.services")
    for name in ("beach", "church", "shopping"):
        Hashtag.objects.create(name=name, posts=20_000_000, source="counted", counted_on="2019")
    for key, label in LABELS.items():
        row = SceneClass.objects.create(key=key, name=key[2:].replace("_", " "))
        tag = Hashtag.objects.filter(name=label).first()
        entry = MappingEntry.objects.create(scene_class=row, hashtag=tag, sense="", status="imported")
    publish_release(by=curator, note="The first")
    decision = acts.Decision(hashtag="shopping", note="It sells")
    acts.change_entry(entry_id=entry.pk, version=entry.version, by=curator, decision=decision)
    publish_release(by=curator, note="The second")


def _train(admin: Any) -> Any:
    from django.utils.timezone import now

    from jobs.models import Job
    from mapping.models import Release, SceneClass
    from trainer.models import Epoch, PhotoSet, Promotion, ScenePhoto, TrainedModel, TrainingRun

    photo_set = PhotoSet.objects.create(name="Set", source="/photos", root="/photos", created_by=admin)
    for number, scene_class in enumerate(SceneClass.objects.order_by("key")):
        ScenePhoto.objects.create(
            photo_set=photo_set,
            scene_class=scene_class,
            path=f"{scene_class.key}/1.jpg",
            sha256=f"{number}" * 64,
            width=64,
            height=48,
        )
    run = TrainingRun.objects.create(
        name="A run",
        photo_set=photo_set,
        release=Release.objects.get(number=2),
        preset="frozen",
        recipe={"kind": "frozen"},
        job=Job.objects.create(kind="trainer.train", title="Train", state="succeeded", finished_at=now()),
        balanced_accuracy=0.75,
        created_by=admin,
    )
    for number in (1, 2):
        Epoch.objects.create(run=run, number=number, loss=1 / number, accuracy=0.5, balanced_accuracy=0.6)
    model = TrainedModel.objects.create(
        name="A model", run=run, card="# A model", manifest={"sha256": "0" * 64}
    )
    Promotion.objects.create(model=model, promoted_by=admin)
    return model


def _judge(model: Any, people: dict[str, Any]) -> None:
    """A campaign of three photos, as a person takes them in, with two people's answers."""
    from django.contrib.auth.models import User

    from mapping.models import Hashtag
    from validation.models import Campaign, Photo, Prediction

    _take_in(User.objects.create_user("cyd"))  # later versions let nobody judge photos of their own
    campaign = Campaign.objects.create(name="A campaign", model=model)
    photos = list(Photo.objects.order_by("name"))
    tags = list(Hashtag.objects.order_by("name"))
    for photo, tag in zip(photos, tags, strict=True):
        campaign.photos.add(photo)
        Prediction.objects.create(photo=photo, model=model, hashtag=tag, confidence=0.75)
    Campaign.objects.update(gold_share=0, control_share=0)
    questions = _first("validation.campaigns.questions", "validation.questions")
    questions.make_questions(campaign=Campaign.objects.get())
    votes = _first("validation.voting.votes", "validation.votes", "validation.services")
    for at, (name, answers) in enumerate(ANSWERS.items()):
        for number, answer in enumerate(answers):
            votes.record_vote(
                campaign=Campaign.objects.get(),
                photo=photos[number],
                hashtag=tags[number],
                person=people[name],
                answer=answer,
                request_id=UUID(int=10 * at + number),
            )


def _take_in(person: Any) -> None:
    from django.core.files.uploadedfile import SimpleUploadedFile

    files = [SimpleUploadedFile(f"{seed}.jpg", _jpeg(seed)) for seed in range(3)]
    intake = _first("validation.photos.intake", "validation.intake")
    made = intake.start(name="An intake", by=person, uploads=files, licence="CC BY 2.0")
    _first("jobs.work", "jobs.services").run(job_id=str(made.job_id))


def _jpeg(seed: int) -> bytes:
    from PIL import Image

    out = io.BytesIO()
    Image.effect_noise((64, 48), 50 + 50 * seed).convert("RGB").save(out, "JPEG")
    return out.getvalue()


def _agreement() -> float:
    results = _first("validation.agreement.results", "validation.results")
    headline = results.headline()
    return round(float(getattr(headline, "rate", headline).value), 6)


def _first(*names: str) -> Any:
    """The first of these modules that this version has."""
    for name in names:
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError:
            continue
    raise ModuleNotFoundError(" ".join(names))


def _dump(path: Path) -> None:
    from django.conf import settings

    with closing(sqlite3.connect(settings.DATABASES["default"]["NAME"])) as database:
        script = "\n".join(database.iterdump())
    path.write_bytes(gzip.compress(script.encode(), mtime=0))


if __name__ == "__main__":
    main(sys.argv[1])
