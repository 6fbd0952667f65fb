"""Photo sets in the browser: the form, the gallery and its photos."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from PIL import Image

from hashtags_site import outages
from jobs.models import Job
from mapping.models import SceneClass
from tests.trainer.conftest import jpeg, write
from tests.trainer.photosets.test_archive import entry, tar_of
from trainer.engine.budget import DECODING
from trainer.models import PhotoSet, ScenePhoto

URL = "/trainer/photo-sets/new/"
RunJobs = Callable[[], list[Job]]
pytestmark = pytest.mark.django_db


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
    "outside",
    [
        *("/etc", "/", "relative/path", "{root}/../..", "{root}/link", "{root}/gone"),
        *("{root}/circle/gone", "{root}/" + "long" * 70 + "/gone"),
    ],
)
def test_folders_elsewhere_are_refused(
    client_for: Callable[..., Client], classes: object, tmp_path: Path, outside: str
) -> None:
    settings.PHOTO_ROOTS[0].joinpath("link").symlink_to("/etc")
    settings.PHOTO_ROOTS[0].joinpath("circle").symlink_to("circle")
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


def test_gallery_waits_for_memory_a_moment_only(
    client_for: Callable[..., Client], photo_set: PhotoSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outages, "PATIENCE", 0)
    client, photo = client_for("viewer"), photo_set.photos.all()[0]
    address = reverse("trainer:small_photo", args=[photo.pk])
    with DECODING.share(DECODING.size):
        response = client.get(address)
        assert (response.status_code, response["Retry-After"]) == (503, "10")
        assert client.get(reverse("trainer:photo", args=[photo.pk])).status_code == 200  # not decoded
    assert client.get(address).status_code == 200


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
