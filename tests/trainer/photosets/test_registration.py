"""Registering a photo set: the job, its report, and the form in the browser."""

from __future__ import annotations

import io
import os
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from celery import current_app
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile, TemporaryUploadedFile
from django.core.management import CommandError, call_command
from django.test import Client, override_settings
from django.urls import reverse
from PIL import Image
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from formats.storage import StorageFailure
from jobs import work
from jobs.lease import Cancelled, Lease, LeaseLost, claim
from jobs.models import Job
from mapping.models import SceneClass
from tests.trainer.conftest import jpeg, write
from tests.trainer.photosets.test_archive import entry, tar_of
from trainer.models import PhotoSet, ScenePhoto
from trainer.photosets import registration

URL = "/trainer/photo-sets/new/"
RunJobs = Callable[[], list[Job]]
pytestmark = pytest.mark.django_db


def skipped(photo_set: PhotoSet) -> dict[str, int]:
    photo_set.refresh_from_db()
    return {row["reason"]: row["total"] for row in photo_set.report["skipped"]}


def test_folder_is_registered_and_stays_where_it_is(classes: object, folder: Path, run_jobs: RunJobs) -> None:
    write(folder / "a/athletic_field/outdoor/x.jpg", jpeg((1, 2, 3)))
    photo_set = registration.register_folder(name="SUN", folder=folder, by=None)
    [job] = run_jobs()
    assert job.state == Job.State.SUCCEEDED
    photo_set.refresh_from_db()
    assert photo_set.report["taken"] == photo_set.photos.count() == 41
    deep = photo_set.photos.get(path="a/athletic_field/outdoor/x.jpg")
    assert deep.scene_class.key == "a/athletic_field/outdoor"
    assert deep.file.read_bytes() == jpeg((1, 2, 3))
    assert photo_set.report["skipped"] == []


def test_one_bad_file_never_stops_the_rest(classes: object, folder: Path, run_jobs: RunJobs) -> None:
    write(folder / "b/bar/broken.jpg", jpeg(size=(300, 300))[:-200])
    write(folder / "b/bar/empty.jpg", b"")
    write(folder / "b/bar/again.jpg", (folder / "b/bar/0.jpg").read_bytes())
    write(folder / "b/bar/notes.txt", b"x")
    for i in range(30):
        write(folder / f"x/nowhere{i}/1.jpg", jpeg())
        write(folder / f"x/nowhere{i}/2.jpg", jpeg())
    secret = write(folder.parent / "secret.jpg", jpeg((9, 9, 9)))
    (folder / "b/bar/link.jpg").symlink_to(secret)
    photo_set = registration.register_folder(name="SUN", folder=folder, by=None)
    run_jobs()
    assert skipped(photo_set) == {
        "unknown class folder": 60,
        "does not decode": 1,
        "empty file": 1,
        "the same photo as another": 1,
        "not a photo file": 1,
        "link that leads out of the folder": 1,
    }
    unknown = photo_set.report["skipped"][0]
    assert len(unknown["examples"]) == registration.EXAMPLES
    assert unknown["examples"][0] == "x/nowhere0/ (2 files)"
    assert photo_set.photos.count() == 40


def test_folders_mean_the_class_in_any_spelling_and_links_are_named(
    classes: object, folder: Path, run_jobs: RunJobs
) -> None:
    for number, name in enumerate(("A/Athletic-Field/outdoor", "a/athletic field/Outdoor")):
        write(folder / name / "x.jpg", jpeg((1, 2, 90 * number)))
    write(folder.parent / "real/1.jpg", jpeg((7, 8, 9)))
    (folder / "b/shore").symlink_to(folder.parent / "real")
    photo_set = registration.register_folder(name="SUN", folder=folder, by=None)
    run_jobs()
    assert photo_set.photos.filter(scene_class__key="a/athletic_field/outdoor").count() == 2
    assert skipped(photo_set) == {"link to a folder: links are not followed": 1}
    assert photo_set.report["skipped"][0]["examples"] == ["b/shore"]


def test_name_that_is_no_text_is_reported(classes: object, folder: Path, run_jobs: RunJobs) -> None:
    target = os.fsencode(folder / "b/bar") + b"/\xff\xfe.jpg"
    with open(target, "wb") as file:
        file.write(jpeg((5, 5, 5)))
    photo_set = registration.register_folder(name="SUN", folder=folder, by=None)
    run_jobs()
    assert skipped(photo_set) == {"name is not text, or too long": 1}


def test_interrupted_registration_continues(
    classes: object, folder: Path, monkeypatch: pytest.MonkeyPatch, run_jobs: RunJobs
) -> None:
    monkeypatch.setattr(registration, "BATCH", 8)
    photo_set = registration.register_folder(name="SUN", folder=folder, by=None)
    assert photo_set.job
    lease = claim(photo_set.job.pk)
    assert lease
    read: list[str] = []
    check = registration._check

    def counted(root: Path, path: str) -> Any:
        read.append(path)
        return check(root, path)

    monkeypatch.setattr(registration, "_check", counted)
    fences = 0
    fenced = Lease.fenced

    def dies_at_the_third(self: Lease) -> Any:
        nonlocal fences
        fences += 1
        if fences == 3:
            Job.objects.filter(pk=self.job.pk).update(state=Job.State.QUEUED, lease_until=None)
        return fenced(self)

    monkeypatch.setattr(Lease, "fenced", dies_at_the_third)
    with pytest.raises(LeaseLost):
        registration.register(lease)
    assert photo_set.photos.count() == 16
    read.clear()
    run_jobs()
    assert photo_set.photos.count() == 40
    assert len(read) == 24
    photo_set.refresh_from_db()
    assert photo_set.report["taken"] == 40


def test_two_sets_may_share_photos(classes: object, folder: Path, run_jobs: RunJobs) -> None:
    registration.register_folder(name="one", folder=folder, by=None)
    registration.register_folder(name="two", folder=folder, by=None)
    assert [job.state for job in run_jobs()] == ["succeeded", "succeeded"]
    assert ScenePhoto.objects.count() == 80


def test_folder_without_photos_fails_with_a_reason(
    classes: object, tmp_path: Path, run_jobs: RunJobs
) -> None:
    (tmp_path / "empty").mkdir()
    registration.register_folder(name="SUN", folder=tmp_path / "empty", by=None)
    registration.register_folder(name="gone", folder=tmp_path / "gone", by=None)
    first, second = run_jobs()
    assert (first.state, first.error) == (Job.State.FAILED, "No photo was registered.")
    assert "There is no folder" in second.error


def test_tar_is_unpacked_and_reported(classes: object, tmp_path: Path, run_jobs: RunJobs) -> None:
    tar = tar_of(
        tmp_path / "t.tar.gz",
        entry("SUN397/b/bar/1.jpg", jpeg((1, 1, 1))),
        entry("SUN397/b/bar/../../../up.jpg", b"x"),
        entry("SUN397/b/bar/2.jpg", b"broken"),
        mode="w:gz",
    )
    photo_set = registration.register_tar(name="SUN", tar=tar, by=None)
    [job] = run_jobs()
    assert job.state == Job.State.SUCCEEDED
    assert skipped(photo_set) == {"path leads out of the archive (..)": 1, "does not decode": 1}
    assert photo_set.photos.get().file.is_relative_to(settings.PHOTO_SETS_DIR / str(photo_set.pk))
    assert tar.exists()


def test_truncated_tar_is_registered_in_part_with_a_warning(
    classes: object, tmp_path: Path, run_jobs: RunJobs
) -> None:
    tar = tar_of(tmp_path / "t.tar", *(entry(f"b/bar/{i}.jpg", jpeg((i, 1, 1))) for i in range(20)))
    tar.write_bytes(tar.read_bytes()[:15_000])
    photo_set = registration.register_tar(name="SUN", tar=tar, by=None)
    [job] = run_jobs()
    photo_set.refresh_from_db()
    assert job.state == Job.State.SUCCEEDED
    assert "cut off or damaged" in photo_set.report["warning"]
    assert 0 < photo_set.photos.count() < 20


def test_file_that_is_not_a_tar_fails_with_a_reason(
    classes: object, tmp_path: Path, run_jobs: RunJobs
) -> None:
    registration.register_tar(name="SUN", tar=write(tmp_path / "t.tar", b"hello"), by=None)
    [job] = run_jobs()
    assert job.state == Job.State.FAILED
    assert "not a tar" in job.error


def test_upload_is_deleted_when_all_photos_are_registered(
    classes: object, tmp_path: Path, run_jobs: RunJobs
) -> None:
    tar = tar_of(tmp_path / "t.tar", entry("b/bar/1.jpg", jpeg()))
    upload = TemporaryUploadedFile("../../t.tar", "application/x-tar", tar.stat().st_size, None)
    upload.write(tar.read_bytes())
    upload.seek(0)
    photo_set = registration.register_upload(name="SUN", upload=upload, by=None)
    upload.close()
    kept = Path(photo_set.source)
    assert kept.is_file()
    assert kept.is_relative_to(settings.PHOTO_SETS_DIR)
    [job] = run_jobs()
    assert job.state == Job.State.SUCCEEDED
    assert not kept.exists()


# --- the disk fails ---------------------------------------------------------------------------


def attempt(photo_set: PhotoSet) -> Job:
    assert photo_set.job
    work.run(job_id=str(photo_set.job.pk))
    return Job.objects.get(pk=photo_set.job.pk)


def test_folder_that_goes_away_is_waited_for(
    classes: object, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo_set = registration.register_folder(name="SUN", folder=folder, by=None)
    away = folder.with_name("unmounted")
    check, count = registration._check, 0

    def unmounted_at_the_fifth(root: Path, path: str) -> Any:
        nonlocal count
        count += 1
        if count == 5:
            folder.rename(away)
        return check(root, path)

    monkeypatch.setattr(registration, "BATCH", 8)
    monkeypatch.setattr(registration, "_check", unmounted_at_the_fifth)
    monkeypatch.setattr(registration, "_threads", lambda: 1)
    job = attempt(photo_set)
    assert (job.state, job.message[:23]) == (Job.State.QUEUED, "Waiting for the storage")
    photo_set.refresh_from_db()
    assert (photo_set.photos.count(), photo_set.report) == (0, {})
    away.rename(folder)
    assert attempt(photo_set).state == Job.State.SUCCEEDED
    photo_set.refresh_from_db()
    assert (photo_set.photos.count(), photo_set.report["skipped_total"]) == (40, 0)


def test_registered_folder_that_is_away_is_waited_for(classes: object, folder: Path) -> None:
    photo_set = registration.register_folder(name="SUN", folder=folder, by=None)
    job = attempt(photo_set)
    Job.objects.filter(pk=job.pk).update(state=Job.State.QUEUED, finished_at=None)
    folder.rename(folder.with_name("unmounted"))
    assert attempt(photo_set).state == Job.State.QUEUED


def test_tar_is_unpacked_when_there_is_room_again(classes: object, tmp_path: Path) -> None:
    big = jpeg(size=(48, 32)) + bytes(2**25)  # larger than the database
    tar = tar_of(tmp_path / "t.tar", entry("b/bar/1.jpg", jpeg((1, 1, 1))), entry("b/bar/2.jpg", big))
    photo_set = registration.register_tar(name="SUN", tar=tar, by=None)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**25, hard))
    try:
        with override_settings(MAX_PHOTO_BYTES=2**26):
            job = attempt(photo_set)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (job.state, "File too large" in job.message) == (Job.State.QUEUED, True)
    photos = [path.name for path in Path(photo_set.root).rglob("*") if path.is_file()]
    assert photos == ["1.jpg"]
    with override_settings(MAX_PHOTO_BYTES=2**26):
        assert attempt(photo_set).state == Job.State.SUCCEEDED
    photo_set.refresh_from_db()
    assert (photo_set.photos.count(), skipped(photo_set)) == (2, {})


def test_place_of_unpacked_photos_that_is_no_folder_is_waited_for(
    classes: object, tmp_path: Path, settings: Settings
) -> None:
    settings.PHOTO_SETS_DIR = tmp_path / "sets"
    settings.PHOTO_SETS_DIR.touch()
    tar = tar_of(tmp_path / "t.tar", entry("b/bar/1.jpg", jpeg()))
    photo_set = registration.register_tar(name="SUN", tar=tar, by=None)
    assert attempt(photo_set).state == Job.State.QUEUED
    settings.PHOTO_SETS_DIR.unlink()
    assert attempt(photo_set).state == Job.State.SUCCEEDED


def test_upload_that_cannot_be_kept_leaves_nothing(
    classes: object, tmp_path: Path, settings: Settings
) -> None:
    settings.PHOTO_SETS_DIR = tmp_path / "sets"
    settings.PHOTO_SETS_DIR.touch()
    with pytest.raises(StorageFailure):
        registration.register_upload(name="SUN", upload=SimpleUploadedFile("t.tar", b"x"), by=None)
    assert not PhotoSet.objects.exists()


# --- in the browser ---------------------------------------------------------------------------


def test_admin_registers_a_folder(
    client_for: Callable[..., Client], classes: object, folder: Path, run_jobs: RunJobs
) -> None:
    client = client_for("admin")
    response = client.post(URL, {"name": "SUN", "folder": str(folder)})
    photo_set = PhotoSet.objects.get()
    assert response["Location"] == photo_set.get_absolute_url()
    run_jobs()
    page = client.get(photo_set.get_absolute_url()).content.decode()
    assert "photos registered" in page
    assert "No files were skipped" in page


def test_admin_uploads_a_tar(
    client_for: Callable[..., Client], classes: object, tmp_path: Path, run_jobs: RunJobs
) -> None:
    tar = tar_of(tmp_path / "t.tar", entry("b/bar/1.jpg", jpeg()), entry("../evil.jpg", b"x"))
    client = client_for("admin")
    client.post(URL, {"name": "SUN", "tar": SimpleUploadedFile("t.tar", tar.read_bytes())})
    run_jobs()
    page = client.get(PhotoSet.objects.get().get_absolute_url()).content.decode()
    assert "Path leads out of the archive" in page
    assert "../evil.jpg" in page


@pytest.mark.parametrize(
    "outside", ["/etc", "/", "relative/path", "{root}/../..", "{root}/link", "{root}/gone"]
)
def test_folders_elsewhere_are_refused(
    client_for: Callable[..., Client], classes: object, tmp_path: Path, outside: str
) -> None:
    settings.PHOTO_ROOTS[0].joinpath("link").symlink_to("/etc")
    response = client_for("admin").post(URL, {"name": "SUN", "folder": outside.format(root=tmp_path)})
    assert response.status_code == 422
    assert not PhotoSet.objects.exists()
    words = "There is no folder" if outside.endswith("gone") else "can be registered here"
    assert words in response.content.decode()


def test_upload_over_the_limit_is_refused(
    client_for: Callable[..., Client], classes: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "MAX_ARCHIVE_BYTES", 100)
    response = client_for("admin").post(URL, {"name": "SUN", "tar": SimpleUploadedFile("t.tar", b"x" * 200)})
    assert "the limit is 100" in response.content.decode()
    assert not PhotoSet.objects.exists()


@pytest.mark.parametrize("fields", [{}, {"folder": "both"}])
def test_folder_or_tar_and_not_both(
    client_for: Callable[..., Client], classes: object, folder: Path, fields: dict[str, str]
) -> None:
    data: dict[str, Any] = {"name": "SUN"}
    if fields:
        data |= {"folder": str(folder), "tar": SimpleUploadedFile("t.tar", b"x")}
    response = client_for("admin").post(URL, data)
    assert "Give either a folder" in response.content.decode()


def test_repeated_click_makes_one_set(client_for: Callable[..., Client], folder: Path) -> None:
    client = client_for("admin")
    first, second = (client.post(URL, {"name": "SUN", "folder": str(folder)}) for _ in range(2))
    assert first["Location"] == second["Location"]
    assert PhotoSet.objects.count() == Job.objects.count() == 1


def test_name_of_another_set_is_refused(
    client_for: Callable[..., Client], photo_set: PhotoSet, folder: Path
) -> None:
    response = client_for("admin").post(URL, {"name": photo_set.name, "folder": str(folder / "b")})
    assert response.status_code == 422
    assert "exists already" in response.content.decode()


@pytest.mark.parametrize("role", ["viewer", "curator", "validator", "network", "nobody"])
@pytest.mark.parametrize("method", ["get", "post"])
def test_others_may_not(client_for: Callable[..., Client], folder: Path, role: str, method: str) -> None:
    response = getattr(client_for(role), method)(URL, {"name": "SUN", "folder": str(folder)})
    assert response.status_code == 403
    assert not PhotoSet.objects.exists()


def test_stranger_is_asked_to_sign_in(client: Client, db: None) -> None:
    assert client.post(URL, {"name": "SUN"})["Location"].startswith("/login/")


# --- from the command line --------------------------------------------------------------------


def test_command_registers_any_folder_and_prints_the_counts(
    classes: object, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "PHOTO_ROOTS", [])
    write(folder / "x/nowhere/1.jpg", jpeg())
    call_command("register_photos", str(folder), name="SUN")
    out = capsys.readouterr().out
    assert "40 photos of 4 classes" in out
    assert "1 skipped, unknown class folder: x/nowhere/" in out
    with pytest.raises(CommandError, match="exists already"):
        call_command("register_photos", str(folder), name="SUN")


def test_command_fails_with_a_reason(classes: object, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="There is no"):
        call_command("register_photos", str(tmp_path / "gone"), name="SUN")
    with pytest.raises(CommandError, match="not a tar"):
        call_command("register_photos", str(write(tmp_path / "t.tar", b"x")), name="SUN")


def test_command_does_the_work_before_any_worker_can(
    classes: object,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Beside a running site a delivery comes first and finds nothing to claim, so none is sent."""
    deliveries: list[object] = []
    monkeypatch.setattr(current_app, "send_task", lambda *given, **_: deliveries.append(given))
    with caplog.at_level("INFO"), django_capture_on_commit_callbacks(execute=True):
        call_command("register_photos", str(folder), name="SUN")
    assert "“SUN” is ready: 40 photos of 4 classes." in capsys.readouterr().out
    assert (deliveries, caplog.messages) == ([], [])
    with django_capture_on_commit_callbacks(execute=True):
        call_command("register_photos", str(folder), name="later", no_wait=True)
    assert "“later” is queued" in capsys.readouterr().out
    assert len(deliveries) == 1
    assert PhotoSet.objects.get(name="later").job.state == Job.State.QUEUED  # type: ignore[union-attr]


def test_command_waits_for_the_storage_and_for_a_worker(
    classes: object, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    away = folder.with_name("unmounted")
    check, looks = registration._check, 0

    def unmounted(root: Path, path: str) -> Any:
        if folder.exists() and not looks:
            folder.rename(away)
        return check(root, path)

    def look(seconds: float) -> None:
        """At the first look a worker has the job and finds nothing, at the second the folder is back."""
        nonlocal looks
        looks += 1
        if looks == 1:
            assert claim(Job.objects.get().pk)
        else:
            away.rename(folder)
            Job.objects.update(state=Job.State.QUEUED, lease_until=None)

    monkeypatch.setattr(registration, "_check", unmounted)
    monkeypatch.setattr(registration, "_threads", lambda: 1)
    monkeypatch.setattr(time, "sleep", look)
    call_command("register_photos", str(folder), name="SUN")
    assert looks == 2
    assert "“SUN” is ready: 40 photos" in capsys.readouterr().out


def test_command_fails_if_somebody_cancels(
    classes: object, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cancelled(lease: Lease) -> None:
        raise Cancelled

    monkeypatch.setattr(work, "handler_of", lambda kind: cancelled)
    with pytest.raises(CommandError, match="“SUN” is not ready: It was cancelled"):
        call_command("register_photos", str(folder), name="SUN")


# --- looking at it ----------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["photo_sets", "photo_set"])
def test_pages_take_as_many_queries_for_many_as_for_few(
    client_for: Callable[..., Client],
    photo_set: PhotoSet,
    classes: dict[str, SceneClass],
    address: str,
    django_assert_max_num_queries: Any,
) -> None:
    client = client_for("viewer")
    url = reverse(f"trainer:{address}", args=[photo_set.pk] if address == "photo_set" else [])
    with django_assert_max_num_queries(14) as few:
        client.get(url)
    for i in range(12):
        PhotoSet.objects.create(name=f"set {i}", source="x", root="x")
    ScenePhoto.objects.bulk_create(
        ScenePhoto(photo_set=photo_set, scene_class=c, path=f"{c.key}/n", sha256=c.key, width=1, height=1)
        for c in classes.values()
    )
    with django_assert_max_num_queries(len(few)):
        assert client.get(url).status_code == 200


def test_photo_is_served_and_kept_by_the_browser(
    client_for: Callable[..., Client], photo_set: PhotoSet
) -> None:
    photo = photo_set.photos.all()[0]
    client = client_for("viewer")
    response = client.get(reverse("trainer:photo", args=[photo.pk]))
    assert b"".join(response.streaming_content) == photo.file.read_bytes()  # type: ignore[attr-defined]
    small = client.get(reverse("trainer:small_photo", args=[photo.pk]))
    assert small["Content-Type"] == "image/jpeg"
    again = client.get(
        reverse("trainer:small_photo", args=[photo.pk]), headers={"if-none-match": small["ETag"]}
    )
    assert again.status_code == 304


def test_the_gallery_shows_transparency_as_the_network_sees_it(
    client_for: Callable[..., Client], photo_set: PhotoSet
) -> None:
    photo = photo_set.photos.all()[0]
    Image.new("RGBA", (32, 24), (0, 0, 0, 64)).save(photo.file, "PNG")
    response = client_for("viewer").get(reverse("trainer:small_photo", args=[photo.pk]))
    small = Image.open(io.BytesIO(response.content))
    assert small.getpixel((5, 5)) == pytest.approx((191, 191, 191), abs=2)


def test_photo_outside_its_set_is_not_served(
    client_for: Callable[..., Client], photo_set: PhotoSet, tmp_path: Path
) -> None:
    photo = photo_set.photos.all()[0]
    write(tmp_path / "secret.jpg", jpeg())
    ScenePhoto.objects.filter(pk=photo.pk).update(path="../secret.jpg")
    assert client_for("viewer").get(reverse("trainer:photo", args=[photo.pk])).status_code == 404
    assert client_for("validator").get(reverse("trainer:photo", args=[photo.pk])).status_code == 403


def test_a_photo_is_away_with_its_folder_or_gone_alone(
    client_for: Callable[..., Client], photo_set: PhotoSet
) -> None:
    client = client_for("viewer")
    client.raise_request_exception = False
    photo = photo_set.photos.all()[0]
    addresses = [reverse(f"trainer:{name}", args=[photo.pk]) for name in ("photo", "small_photo")]
    root = Path(photo_set.root)
    root.rename(root.with_name("unmounted"))
    assert [client.get(address).status_code for address in addresses] == [503, 503]
    root.with_name("unmounted").rename(root)
    photo.file.unlink()
    assert [client.get(address).status_code for address in addresses] == [404, 404]
