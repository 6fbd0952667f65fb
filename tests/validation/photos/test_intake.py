"""Many photos at once: every refusal has a reason and stores nothing, and an interruption loses nothing."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from PIL import Image
from pytest_django import Settings

from jobs import queue as jobs
from jobs.models import Job
from tests.validation.conftest import MakeVote, picture
from tests.validation.photos import hostile
from validation.models import AuthorHashtag, Campaign, Intake, IntakeFile, Photo, Question, Vote
from validation.photos import intake, store
from validation.photos.intake_table import read_table
from validation.photos.similar import NEAR, Hashes, perceptual_hash
from validation.photos.store import PhotoRefused, take_in, withdraw_everywhere

pytestmark = pytest.mark.django_db
ClientFor = Callable[..., Client]
RunJobs = Callable[[], list[Job]]
NEW = "/validation/intakes/new/"
LATER = 10**9  # a primary key that no photo has yet


@pytest.fixture(autouse=True)
def media(settings: Settings, tmp_path: Path, db: None) -> Path:
    settings.MEDIA_ROOT = tmp_path / "media"
    settings.PHOTO_ROOTS = [tmp_path / "photos"]
    (tmp_path / "photos").mkdir()
    return tmp_path / "media"


def noise(seed: int, size: tuple[int, int] = (200, 150), kind: str = "JPEG", **options: Any) -> bytes:
    """Random blocks of colour, so that photos of different seeds also look different."""
    import random

    chance, buffer = random.Random(seed), io.BytesIO()
    small = Image.new("L", (9, 9))
    small.putdata([chance.randrange(256) for _ in range(81)])
    small.resize(size, Image.Resampling.BICUBIC).convert("RGB").save(buffer, kind, **options)
    return buffer.getvalue()


def upload(name: str, raw: bytes) -> SimpleUploadedFile:
    return SimpleUploadedFile(name, raw)


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def states(intake: Intake) -> dict[str, str]:
    return dict(intake.files.values_list("name", "state"))


# --- one file ---------------------------------------------------------------------------------


def test_sixty_hostile_files_are_refused_with_a_reason_and_leave_nothing(media: Path) -> None:
    files = hostile.files()
    assert len(files) >= 60
    for name, raw in files.items():
        with pytest.raises(PhotoRefused) as refused:
            take_in(file=io.BytesIO(raw), name=name, by=None)
        assert str(refused.value).startswith(f"{name}: "), name
        assert refused.value.reason, name
    assert not Photo.objects.exists()
    assert not media.exists() or not files_in(media)


def test_a_phone_gets_a_smaller_file_and_heic_is_read() -> None:
    raw = Path(__file__).with_name("large.heic").read_bytes()  # 1600 × 1200
    photo = take_in(file=io.BytesIO(raw), name="a.heic", by=None)
    assert (photo.width, photo.height) == (1280, 960)
    with photo.small.open("rb") as file:
        assert Image.open(file).size == (640, 480)
    assert take_in(file=io.BytesIO(noise(2)), name="b.jpg", by=None).small.name == ""


def test_incomplete_file_left_by_a_crash_is_written_again(media: Path) -> None:
    raw = noise(3)
    photo = take_in(file=io.BytesIO(raw), name="a.jpg", by=None)
    name = str(photo.file.name)
    photo.delete()
    (media / name).write_bytes(b"half")
    again = take_in(file=io.BytesIO(raw), name="a.jpg", by=None)
    assert again.file.name == name
    assert len(files_in(media)) == 1
    with again.file.open("rb") as file:
        Image.open(file).load()


def test_near_duplicates_are_found_and_others_are_not() -> None:
    base = Image.open(io.BytesIO(noise(1, (800, 600))))
    smaller, cropped = base.resize((400, 300)), base.crop((4, 4, 796, 596))
    other = Image.open(io.BytesIO(noise(2, (800, 600))))
    first = Photo.objects.create(sha256="1", name="1", width=1, height=1, phash=perceptual_hash(base))
    hashes = Hashes()
    for near in (smaller, cropped):
        assert hashes.nearest(perceptual_hash(near), before=LATER) == first.pk
    assert hashes.nearest(perceptual_hash(other), before=LATER) is None
    assert hashes.nearest(perceptual_hash(base), before=first.pk) is None
    # Another intake stores one meanwhile: later photos are compared with it, earlier ones are not.
    theirs = Photo.objects.create(sha256="1" * 64, width=1, height=1, phash=perceptual_hash(other))
    assert hashes.nearest(perceptual_hash(other) ^ 0b111111, before=LATER) == theirs.pk
    assert hashes.nearest(perceptual_hash(other) ^ 0b1111111, before=LATER) is None
    assert hashes.nearest(perceptual_hash(other), before=theirs.pk) is None
    assert Hashes().nearest(perceptual_hash(other), before=theirs.pk) is None
    assert NEAR == 6


# --- many -------------------------------------------------------------------------------------


def test_only_the_good_photo_of_an_archive_with_traps_is_taken_in(
    campaign: Campaign, user_for: Callable[..., User], run_jobs: RunJobs, media: Path
) -> None:
    raw, traps = hostile.hostile_archive(noise(1))
    new_intake = intake.start(
        name="Traps", by=user_for("admin"), archive=upload("a.zip", raw), campaign=campaign, licence="CC0"
    )
    job, _ = run_jobs()
    assert job.state == Job.State.SUCCEEDED
    reasons = dict(new_intake.files.exclude(state="taken").values_list("name", "reason"))
    assert reasons.keys() == traps.keys()
    for name, word in traps.items():
        assert word in reasons[name], name
    photo = Photo.objects.get(name="good.jpg")
    assert (photo.licence, campaign.photos.filter(pk=photo.pk).exists()) == ("CC0", True)
    assert not default_storage.exists(f"intake/{new_intake.pk}/archive.zip")


def test_table_gives_the_terms_of_single_files_and_missing_files_are_refused(
    user_for: Callable[..., User], run_jobs: RunJobs, tmp_path: Path
) -> None:
    root = tmp_path / "photos/trip"
    (root / "sub").mkdir(parents=True)
    (root / "a.jpg").write_bytes(noise(1))
    (root / "sub/b.jpg").write_bytes(noise(2))
    (root / "again.jpg").write_bytes(noise(1))
    (root / "out.jpg").symlink_to("/etc/passwd")
    os.mkfifo(root / "pipe.jpg")
    head = b"\xef\xbb\xbffile,hashtags,author,licence\n"
    table = head + b"a.jpg,#Bar #cafe,Ann,CC BY 4.0\nsub/b.jpg,sky,,\ngone.jpg,,,\n"
    new_intake = intake.start(
        name="Trip",
        by=user_for("admin"),
        folder=str(root),
        table=upload("t.csv", table),
        licence="CC0",
        author="Us",
    )
    run_jobs()
    assert states(new_intake) == {
        "a.jpg": "taken",
        "again.jpg": "known",
        "sub/b.jpg": "taken",
        "out.jpg": "refused",
        "pipe.jpg": "refused",
        "gone.jpg": "refused",
    }
    assert new_intake.files.get(name="gone.jpg").reason == "named in the table, but not among the files"
    first, second = Photo.objects.order_by("name")
    assert (first.author, first.licence) == ("Ann", "CC BY 4.0")
    assert (second.author, second.licence) == ("Us", "CC0")
    assert list(AuthorHashtag.objects.filter(photo=first).values_list("name", flat=True)) == ["bar", "cafe"]


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (b"name,hashtags\na.jpg,x\n", "one of them"),
        (b"file,colour\na.jpg,red\n", "Unknown columns: colour"),
        (b"file,hashtags\na.jpg\n", "Row 2: it has 1 cell, the header has 2"),
        (b"file,hashtags\na.jpg,x\n,y\n", "Row 3 names no file"),
        (b"file,source_url\na.jpg,javascript:1\n", "Row 2, source_url: not a web address"),
        (b"file,licence\na.jpg," + b"x" * 101 + b"\n", "Row 2, licence: longer than 100"),
        (b"file,consent\na.jpg,maybe\n", "Row 2, consent"),
        (b"file\n\xff\xfe\n", "not UTF-8"),
        (b"", "one of them"),
    ],
)
def test_error_in_a_table_names_row_and_column(table: bytes, words: str) -> None:
    with pytest.raises(intake.TableError, match=words):
        read_table(io.BytesIO(table))


def test_interrupted_intake_continues_where_it_stopped(
    user_for: Callable[..., User], run_jobs: RunJobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "photos/many"
    root.mkdir()
    for seed in range(6):
        (root / f"{seed}.jpg").write_bytes(noise(seed))
    new_intake = intake.start(name="Many", by=user_for("admin"), folder=str(root))
    real, names = store.receive, list[str]()

    def dies(**kwargs: Any) -> Any:
        if len(names) == 3:
            raise MemoryError
        names.append(kwargs["name"])
        return real(**kwargs)

    monkeypatch.setattr(intake, "receive", dies)
    run_jobs()
    assert sorted(states(new_intake).values()) == ["taken"] * 3 + ["waiting"] * 3
    monkeypatch.setattr(intake, "receive", real)
    new_intake.refresh_from_db()
    assert new_intake.job
    assert jobs.retry(job=new_intake.job, by=None)
    run_jobs()
    assert set(states(new_intake).values()) == {"taken"}
    assert Photo.objects.count() == 6


def test_near_duplicates_stay_out_of_the_campaign_unless_wanted(
    campaign: Campaign, user_for: Callable[..., User], run_jobs: RunJobs, media: Path
) -> None:
    base = noise(1, (800, 600))
    buffer = io.BytesIO()
    Image.open(io.BytesIO(base)).resize((640, 480)).save(buffer, "JPEG", quality=70)
    before = campaign.photos.count()
    new_intake = intake.start(
        name="Two",
        by=user_for("admin"),
        uploads=[upload("a.jpg", base), upload("a.jpg", buffer.getvalue())],
        campaign=campaign,
    )
    run_jobs()
    assert states(new_intake) == {"a.jpg": "taken", "a.jpg (2)": "similar"}
    assert campaign.photos.count() == before + 1
    near = Photo.objects.get(near_duplicate_of__isnull=False)
    assert near.near_duplicate_of == new_intake.files.get(name="a.jpg").photo
    assert not [path for path in files_in(media) if "intake" in path.parts]


def test_file_that_is_not_a_zip_fails_with_an_explanation(
    user_for: Callable[..., User], run_jobs: RunJobs
) -> None:
    intake.start(name="Bad", by=user_for("admin"), archive=upload("a.zip", b"not a zip"))
    (job,) = run_jobs()
    assert (job.state, "not a valid zip file" in job.error, job.hint) == (
        Job.State.FAILED,
        True,
        "Pack it again.",
    )


# --- pages ------------------------------------------------------------------------------------


def test_admin_takes_photos_in_from_the_page(
    campaign: Campaign, client_for: ClientFor, run_jobs: RunJobs
) -> None:
    client = client_for("admin")
    form = {"name": "Mine", "uploads": [upload("a.jpg", noise(1)), upload("b.jpg", b"x")], "consent": "own"}
    response = client.post(NEW, form | {"campaign": campaign.pk})
    new_intake = Intake.objects.get()
    assert response["Location"] == f"/validation/intakes/{new_intake.pk}/"
    run_jobs()
    page = client.get(f"/validation/intakes/{new_intake.pk}/").content.decode()
    assert "b.jpg" in page
    assert "not a JPEG, PNG, WebP or HEIC photo" in page
    taken_page = client.get(f"/validation/intakes/{new_intake.pk}/?show=taken").content.decode()
    assert f"/validation/photos/{Photo.objects.get(name='a.jpg').pk}/" in taken_page
    assert b"Mine" in client.get("/validation/intakes/").content


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, "one of the three"),
        ({"folder": "/etc"}, "PHOTO_ROOTS"),
        ({"folder": "nowhere/../../etc"}, "PHOTO_ROOTS"),
        ({"uploads": [SimpleUploadedFile("t.jpg", b"x")], "folder": "ROOT"}, "one of the three"),
        ({"folder": "ROOT", "table": SimpleUploadedFile("t.csv", b"file,size\n")}, "Unknown columns: size"),
        ({"folder": "ROOT", "source_url": "javascript:1"}, "valid URL"),
    ],
)
def test_invalid_form_starts_no_intake(
    client_for: ClientFor, tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    if change.get("folder") == "ROOT":
        change = change | {"folder": str(tmp_path / "photos")}
    page = client_for("admin").post(NEW, {"name": "x"} | change)
    assert (page.status_code, words in page.content.decode()) == (422, True)
    assert not Intake.objects.exists()
    assert not Job.objects.exists()


@pytest.mark.parametrize(
    ("role", "status"), [("stranger", 302), ("nobody", 403), ("viewer", 403), ("validator", 403)]
)
def test_only_admins_take_in_and_withdraw_photos(
    campaign: Campaign, client_for: ClientFor, role: str, status: int
) -> None:
    client, photo = client_for(role), campaign.photos.all()[0]
    new_intake = Intake.objects.create(name="x", kind="upload")
    for path in ("/validation/intakes/", NEW, f"/validation/intakes/{new_intake.pk}/"):
        assert client.get(path).status_code == status, path
    assert client.post(NEW, {"name": "y"}).status_code == status
    assert client.post(f"/validation/photos/{photo.pk}/withdraw/").status_code == status
    photo.refresh_from_db()
    assert photo.withdrawn_at is None


def test_a_photo_is_withdrawn_everywhere_in_one_click(
    campaign: Campaign,
    vote_as: MakeVote,
    client_for: ClientFor,
    django_capture_on_commit_callbacks: Callable[..., Any],
) -> None:
    photo = vote_as(campaign, 0, "fits", "ann").photo
    client, path = client_for("admin"), f"/validation/photos/{photo.pk}"
    with django_capture_on_commit_callbacks(execute=True):
        page = client.post(f"{path}/withdraw/", {"why": "asked by its author"}, follow=True)
    assert b"is withdrawn everywhere" in page.content
    assert b"asked by its author" in page.content
    assert b"was withdrawn already" in client.post(f"{path}/withdraw/", follow=True).content
    assert not default_storage.exists(str(photo.file.name))
    assert client.get(f"{path}.jpg").status_code == 404
    assert not campaign.photos.filter(pk=photo.pk).exists()
    assert not Question.objects.filter(photo=photo).exists()
    assert Vote.objects.count() == 1


def test_a_withdrawn_photo_does_not_come_back(user_for: Callable[..., User]) -> None:
    raw = picture(5)
    photo = take_in(file=io.BytesIO(raw), name="a.jpg", by=None)
    assert withdraw_everywhere(photo=photo, by=user_for("admin"))
    with pytest.raises(PhotoRefused, match="it was withdrawn on"):
        take_in(file=io.BytesIO(raw), name="b.jpg", by=None)
    assert IntakeFile.objects.count() == 0
