"""What the mapping learns about photos and runs: counts, examples, and the runs that a change makes stale."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from jobs.models import Job
from mapping import downstream
from mapping.models import MappingEntry, Release, ReleaseLabel, SceneClass
from trainer.models import PhotoSet, Promotion, ScenePhoto, TrainedModel, TrainingRun

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("catalogue")]
UserFor = Callable[..., User]
Photos = dict[str, int]  # scene key → number of photos


def photo_set(name: str, photos: Photos, same_as: str = "") -> PhotoSet:
    """same_as: the name of another set that holds the same photos."""
    new_set = PhotoSet.objects.create(name=name, root="/photos")
    ids = dict(SceneClass.objects.filter(key__in=photos).values_list("key", "pk"))
    ScenePhoto.objects.bulk_create(
        ScenePhoto(
            photo_set=new_set,
            scene_class_id=ids[key],
            path=f"{key}/{i}.jpg",
            sha256=f"{same_as or name}{key}{i}",
            width=4,
            height=3,
        )
        for key, count in photos.items()
        for i in range(count)
    )
    return new_set


def create_run(photos: PhotoSet, release: int = 1, state: str = Job.State.SUCCEEDED) -> TrainingRun:
    return TrainingRun.objects.create(
        name=f"{photos.name} on {release}",
        photo_set=photos,
        release=Release.objects.get(number=release),
        recipe={},
        job=Job.objects.create(
            kind="trainer.train",
            title="x",
            state=state,
            finished_at=None if state in Job.LIVE else timezone.now(),
        ),
    )


def release_with(number: int, **labels: str) -> Release:
    """A release that equals the one before except for these labels."""
    before = Release.objects.get(number=number - 1).labels.values("scene_key", "label")
    release = Release.objects.create(number=number, note="x")
    ReleaseLabel.objects.bulk_create(
        ReleaseLabel(
            release=release, scene_key=row["scene_key"], label=labels.get(row["scene_key"][2:], row["label"])
        )
        for row in before
    )
    return release


def stale(before: int, **after: str | None) -> list[downstream.StaleRun]:
    labels = {f"{key[0]}/{key}": label for key, label in after.items()}
    return downstream.get().stale_runs(Release.objects.get(number=before), labels)


def names(runs: list[downstream.StaleRun]) -> list[str]:
    return [run.name for run in runs]


def test_everything_is_empty_until_an_app_registers() -> None:
    nothing = downstream.Nothing()
    assert nothing.photo_counts() == {}
    assert nothing.example_photos(["a/abbey"], user=User()) == {}
    assert nothing.stale_runs(Release(number=1), {"a/abbey": "art"}) == []


def test_same_photo_in_two_sets_counts_once() -> None:
    photo_set("SUN", {"a/abbey": 3, "t/toyshop": 2})
    assert downstream.get().photo_counts() == {"a/abbey": 3, "t/toyshop": 2}
    photo_set("SUN again", {"a/abbey": 4}, same_as="SUN")
    assert downstream.get().photo_counts() == {"a/abbey": 4, "t/toyshop": 2}


def test_same_photo_in_two_sets_is_shown_once(user_for: UserFor) -> None:
    photo_set("SUN", {"a/abbey": 4, "t/toyshop": 1})
    photo_set("SUN again", {"a/abbey": 3}, same_as="SUN")
    examples = downstream.get().example_photos(["a/abbey", "t/toyshop"], user=user_for("viewer"))
    photos = ScenePhoto.objects.in_bulk(int(one.url.split("/")[3]) for one in examples["a/abbey"])
    assert len({photo.sha256 for photo in photos.values()}) == len(examples["a/abbey"]) == 4


def test_examples_come_from_the_newest_set_and_need_permission(
    user_for: UserFor, client_for: Callable[..., Client]
) -> None:
    photo_set("Old", {"a/abbey": 9, "t/toyshop": 1})
    new = photo_set("New", {"a/abbey": 3})
    keys = ["a/abbey", "t/toyshop", "z/zoo"]
    examples = downstream.get().example_photos(keys, user=user_for("viewer"), per_class=2)
    assert {key: len(photos) for key, photos in examples.items()} == {"a/abbey": 2, "t/toyshop": 1}
    first = new.photos.order_by("pk")[0]
    assert examples["a/abbey"][0] == downstream.Example(
        f"/trainer/photos/{first.pk}/small/", "A photo of the class abbey"
    )
    assert downstream.get().example_photos(keys, user=user_for("validator")) == {}
    assert client_for("validator").get(examples["a/abbey"][0].url).status_code == 403


def test_examples_take_one_query_for_many_classes(user_for: UserFor) -> None:
    keys = list(MappingEntry.objects.values_list("scene_class__key", flat=True)[:50])
    photo_set("SUN", dict.fromkeys(keys, 2))
    viewer = user_for("viewer")
    viewer.has_perm("x")
    for some in (keys[:1], keys):
        with CaptureQueriesContext(connection) as queries:
            assert len(downstream.get().example_photos(some, user=viewer)) == len(some)
        assert len(queries) == 1


def test_run_is_stale_if_it_has_photos_of_a_moved_class() -> None:
    shops = create_run(photo_set("Shops", {"t/toyshop": 5, "a/abbey": 2}))
    create_run(photo_set("Churches", {"a/abbey": 2}))
    runs = stale(1, toyshop="art")
    assert [(run.name, run.url, run.release, run.photos) for run in runs] == [
        ("Shops on 1", shops.get_absolute_url(), 1, 5)
    ]
    assert names(stale(1, toyshop=None, abbey="art")) == ["Churches on 1", "Shops on 1"]
    assert stale(1) == []


def test_live_runs_can_become_stale_but_failed_ones_cannot() -> None:
    photos = photo_set("Shops", {"t/toyshop": 5})
    create_run(photos, state=Job.State.FAILED)
    create_run(photos, state=Job.State.CANCELLED)
    live = create_run(photos, state=Job.State.QUEUED)
    assert [run.url for run in stale(1, toyshop="art")] == [live.get_absolute_url()]


def test_older_run_is_judged_by_the_labels_it_learned() -> None:
    photos = photo_set("Shops", {"t/toyshop": 5})
    create_run(photos, release=1)
    release_with(2, toyshop="art")
    create_run(photos, release=2)
    assert names(stale(2, toyshop="shopping")) == [
        "Shops on 2"
    ]  # its label in release 1 was shopping already
    assert names(stale(2, toyshop="sport")) == ["Shops on 2", "Shops on 1"]
    assert names(stale(1, toyshop="sport")) == ["Shops on 1"]


def test_active_model_is_marked() -> None:
    run = create_run(photo_set("Shops", {"t/toyshop": 5}))
    model = TrainedModel.objects.create(name="Shops model", run=run)
    assert [(r.model, r.model_url, r.active) for r in stale(1, toyshop="art")] == [
        ("Shops model", model.get_absolute_url(), False)
    ]
    Promotion.objects.create(model=model)
    assert [r.active for r in stale(1, toyshop="art")] == [True]


def test_queries_grow_neither_with_runs_nor_with_moves() -> None:
    keys = list(MappingEntry.objects.values_list("scene_class__key", flat=True))
    photos = photo_set("SUN", dict.fromkeys(keys, 1))
    query_counts = []
    for release in (1, 2, 3):
        create_run(photos, release=release)
        before = Release.objects.get(number=release)
        with CaptureQueriesContext(connection) as queries:
            runs = downstream.get().stale_runs(before, dict.fromkeys(keys[: 100 * release], "no such"))
        assert [run.photos for run in runs] == [100 * release] * release
        query_counts.append(len(queries))
        release_with(release + 1)
    assert query_counts == [5, 5, 5]
