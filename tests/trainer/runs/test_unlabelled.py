"""Photos without labels for pseudo-labels: named in a run's form, found when it trains, told on its page."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from jobs.lease import JobError
from jobs.models import Job
from mapping.models import Release
from tests.trainer.runs.test_rerun import PRESET, URL, typed
from trainer.engine.presets import PRESETS
from trainer.models import PhotoSet, TrainingRun
from trainer.runs import start, supervision, unlabelled

pytestmark = pytest.mark.django_db
ClientFor = Callable[..., Client]


@pytest.fixture
def fields(photo_set: PhotoSet, release: Release) -> dict[str, Any]:
    choices = {"photo_set": photo_set.pk, "release": release.pk, "preset": PRESET, "filled_from": PRESET}
    return choices | typed(PRESETS[PRESET].recipe) | {"s-pseudo_confidence": "0.9"}


def test_a_photo_set_or_an_allowed_folder_can_be_named(
    client_for: ClientFor, fields: dict[str, Any], photo_set: PhotoSet
) -> None:
    for words in (f"photo-set {photo_set.pk}", photo_set.root):
        response = client_for("admin").post(URL, fields | {"s-unlabelled": words})
        assert response.status_code == 302
    names = TrainingRun.objects.order_by("pk").values_list("recipe__unlabelled", flat=True)
    assert list(names) == [f"photo-set {photo_set.pk}", photo_set.root]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("photo-set 999", "There is no photo set 999 with photos."),
        ("campaign 999", "There is no campaign 999 with photos."),
        ("album 1", "It must be like “photo-set 1”"),
        ("/etc", "or a folder below"),
        ("samples/photoset", "or a folder below"),  # allowed, but where it is depends on who asks
        ("", "pseudo-labels need photos without labels"),
    ],
)
def test_what_names_no_photos_is_refused_in_the_form(
    client_for: ClientFor, fields: dict[str, Any], given: str, words: str
) -> None:
    response = client_for("admin").post(URL, fields | {"s-unlabelled": given})
    assert response.status_code == 422
    assert words in response.content.decode()
    assert not TrainingRun.objects.exists()


@pytest.mark.parametrize("name", ["gone", "circle/gone", "long" * 70])
def test_a_missing_folder_is_named_if_it_may_be(
    client_for: ClientFor, fields: dict[str, Any], tmp_path: Path, name: str
) -> None:
    (tmp_path / "circle").symlink_to("circle")
    response = client_for("admin").post(URL, fields | {"s-unlabelled": str(tmp_path / name)})
    assert "There is no folder" in response.content.decode()


def test_who_may_not_start_runs_learns_nothing(client_for: ClientFor, fields: dict[str, Any]) -> None:
    for role, status in (("viewer", 403), ("validator", 403)):
        assert client_for(role).post(URL, fields | {"s-unlabelled": "photo-set 1"}).status_code == status
    assert Client().post(URL, fields).status_code == 302  # to the sign-in
    assert not TrainingRun.objects.exists()


def started(photo_set: PhotoSet, release: Release, words: str) -> TrainingRun:
    recipe = {"unlabelled": words, "pseudo_confidence": 0.9}
    run = start.start_run(photo_set=photo_set, release=release, preset=PRESET, by=None, recipe=recipe)
    run.folder.mkdir(parents=True)
    return run


def test_the_engine_gets_the_photos_that_the_run_began_with(photo_set: PhotoSet, release: Release) -> None:
    run = started(photo_set, release, f"photo-set {photo_set.pk}")
    table = run.folder / "unlabelled.csv"
    assert supervision._unlabelled(run) == {"unlabelled": str(table)}
    with table.open(newline="") as file:
        paths = [row["path"] for row in csv.DictReader(file)]
    assert len(paths) == 40
    assert all(Path(path).is_file() for path in paths)
    photo_set.photos.filter(path__startswith="b/bar").delete()
    supervision._unlabelled(run)  # continued after an interruption
    assert len(table.read_text().splitlines()) == 41


def test_a_folder_is_passed_on_as_it_is(photo_set: PhotoSet, release: Release) -> None:
    run = started(photo_set, release, photo_set.root)
    assert supervision._unlabelled(run) == {"unlabelled": photo_set.root}


def test_photos_that_went_meanwhile_end_the_run_with_a_reason(photo_set: PhotoSet, release: Release) -> None:
    run = started(photo_set, release, "photo-set 999")
    with pytest.raises(JobError, match="There is no photo set 999"):
        supervision._unlabelled(run)


def test_a_run_without_them_asks_for_none(run: TrainingRun) -> None:
    assert supervision._unlabelled(run) == {}


class Album:
    """A fake kind of photos with numbers."""

    def check(self, number: int) -> None:
        if number != 7:
            raise unlabelled.NoPhotos(f"There is no album {number}.")

    def files(self, number: int) -> list[Path]:
        self.check(number)
        return [Path("/photos/1.jpg")]


def test_other_apps_have_kinds_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unlabelled, "_kinds", dict(unlabelled._kinds))
    unlabelled.register("album", Album())
    assert unlabelled.write_table("Album #7", tmp_path / "x.csv").read_text().split() == [
        "path",
        "/photos/1.jpg",
    ]
    with pytest.raises(unlabelled.NoPhotos, match="no album 8"):
        unlabelled.check("album 8")


REPORT: dict[str, Any] = {
    "pseudo_labels": {
        "unlabelled": 120,
        "labelled": 77,
        "labels": {"bar": 77},
        "first": {"accuracy": 0.7, "balanced_accuracy": 0.6},
        "again": {"accuracy": 0.8, "balanced_accuracy": 0.711},
        "only_first": 3,
        "only_again": 14,
        "p": 0.0127,
        "kept": True,
    },
    "levels": [0.97, 0.845, None],
    "masks": {
        "photos": 32,
        "with_masks": 20,
        "unusable": 1,
        "faults": [{"photo_id": "b/bar/3", "reason": "3.xml is no XML"}],
        "test_photos": 5,
        "attention_inside": 0.82,
        "area": 0.31,
        "segmenter_overlap": 0.6,
    },
}


def test_the_page_tells_both_trainings_and_the_test(client_for: ClientFor, run: TrainingRun) -> None:
    run.report |= REPORT
    run.save()
    page = " ".join(client_for("viewer").get(run.get_absolute_url()).content.decode().split())
    assert "77 of 120 photos without labels got one" in page
    assert "is better and was kept" in page
    assert "0.600 and then 0.711" in page
    assert "p = 0.013" in page
    assert "level 2 (group) 0.845, level 3 (scene class) –" in page
    assert "20 of 32 training photos have one; 1 file cannot be used" in page
    assert "3.xml is no XML" in page
    assert "0.820 of the attention is on objects" in page


def test_a_run_without_schemes_does_not_mention_them(
    client_for: ClientFor, run: TrainingRun, finished_job: Callable[..., Job]
) -> None:
    run.report |= {"levels": None, "masks": None}
    run.save()
    assert "new schemes" not in client_for("viewer").get(run.get_absolute_url()).content.decode()
