"""Files come in pieces: an interrupted upload goes on where it stopped, and a drop becomes one intake."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from threading import Barrier
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.core.files.storage import default_storage
from django.db import connection
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from jobs.keeper import keep_house
from jobs.models import Job
from tests.validation.photos.hostile import archive
from tests.validation.photos.test_intake import files_in, media, noise, states
from tests.validation.photos.test_intake_storage import attempt
from trainer.models import TrainedModel
from validation.models import AuthorHashtag, Campaign, Intake, Photo, Upload
from validation.photos import intake as intakes
from validation.photos import uploads

pytestmark = pytest.mark.django_db
__all__ = ["media"]
ClientFor = Callable[..., Client]
RunJobs = Callable[[], list[Job]]
PIECE = 1000  # bytes
ALL = "/validation/uploads/"
NEW = "/validation/intakes/new/"
RAW = bytes(range(250)) * 10  # 2,500 bytes: two pieces and a half


@pytest.fixture(autouse=True)
def _small_pieces(settings: Settings) -> None:
    settings.UPLOAD_PIECE_BYTES = PIECE


def begin(
    client: Client, name: str = "a.zip", size: int = len(RAW), modified: str = "5", **headers: str
) -> Any:
    facts = {"filename": name, "modified": modified}
    pairs = (f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in facts.items())
    more = {"Tus-Resumable": "1.0.0", "Upload-Length": str(size), "Upload-Metadata": ",".join(pairs)}
    return client.post(ALL, headers=more | headers)


def send(client: Client, address: str, offset: int, raw: bytes | None = None, **headers: Any) -> Any:
    raw = RAW[offset : offset + PIECE] if raw is None else raw
    more = {"Tus-Resumable": "1.0.0", "Upload-Offset": str(offset)}
    kind = "application/offset+octet-stream"
    return client.patch(address, raw, content_type=kind, headers=more | headers)


def upload(owner: User, name: str, raw: bytes) -> Upload:
    """A complete upload."""
    row = uploads.begin(owner=owner, name=name, size=len(raw))
    while not row.is_complete:
        uploads.add_piece(upload=row, offset=row.offset, raw=raw[row.offset : row.offset + row.piece])
    return row


def content(row: Upload) -> bytes:
    with uploads.open_upload(row) as file:
        return file.read()


# --- pieces -----------------------------------------------------------------------------------


def test_upload_goes_on_where_it_stopped_also_from_another_browser(client_for: ClientFor) -> None:
    first, later = client_for("admin"), client_for("admin")
    began = begin(first)
    assert (began.status_code, began["Upload-Offset"], began["Upload-Piece"]) == (201, "0", "1000")
    assert send(first, began["Location"], 0).status_code == 204
    again = begin(later)  # the same file, chosen again
    assert (again["Location"], again["Upload-Offset"]) == (began["Location"], "1000")
    head = later.head(began["Location"], headers={"Tus-Resumable": "1.0.0"})
    assert (head.status_code, head["Upload-Offset"], head["Upload-Length"]) == (200, "1000", "2500")
    assert "no-store" in head["Cache-Control"]
    for offset in (1000, 2000):
        assert send(later, began["Location"], offset).status_code == 204
    row = Upload.objects.get()
    assert row.is_complete
    assert content(row) == RAW


def test_another_file_of_the_same_name_is_another_upload(client_for: ClientFor) -> None:
    client = client_for("admin")
    places = {begin(client, modified=modified)["Location"] for modified in ("5", "6")}
    assert len(places) == 2


def test_two_tabs_send_the_same_file(client_for: ClientFor, media: Path) -> None:
    """The piece that comes second is refused, leaves nothing, and is told where to go on."""
    client = client_for("admin")
    address = begin(client)["Location"]
    row = Upload.objects.get()
    assert send(client, address, 0).status_code == 204
    with pytest.raises(uploads.WrongOffset):  # read before the other tab's piece was stored
        uploads.add_piece(upload=row, offset=0, raw=b"x" * PIECE)
    answer = send(client, address, 0)
    assert (answer.status_code, answer["Upload-Offset"]) == (409, "1000")
    assert len(files_in(media)) == 1


def test_repeated_last_piece_changes_nothing(client_for: ClientFor) -> None:
    client = client_for("admin")
    address = begin(client)["Location"]
    for offset in (0, 1000, 2000):
        send(client, address, offset)
    answer = send(client, address, 2000)
    assert (answer.status_code, answer["Upload-Offset"]) == (409, "2500")
    assert content(Upload.objects.get()) == RAW


@pytest.mark.parametrize("raw", [b"x" * 999, b"x" * 1001])
def test_piece_of_another_length_than_it_should_have_is_refused(
    client_for: ClientFor, media: Path, raw: bytes
) -> None:
    client = client_for("admin")
    answer = send(client, begin(client)["Location"], 0, raw)
    assert (answer.status_code, "not 1,000" in answer.content.decode()) == (400, True)
    assert Upload.objects.get().offset == 0
    assert not files_in(media)


def test_piece_that_was_changed_on_its_way_is_refused(client_for: ClientFor) -> None:
    client = client_for("admin")
    address = begin(client)["Location"]
    digest = base64.b64encode(hashlib.sha256(RAW[:PIECE]).digest()).decode()
    checksum: dict[str, Any] = {"Upload-Checksum": f"sha256 {digest}"}
    assert send(client, address, 0, b"x" * PIECE, **checksum).status_code == 460
    assert send(client, address, 0, None, **{"Upload-Checksum": "md9 aa"}).status_code == 400
    assert send(client, address, 0, None, **checksum).status_code == 204


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Tus-Resumable": "0.2"}, 412),
        ({"Upload-Offset": "-1"}, 400),
        ({"Upload-Offset": "9" * 30}, 400),
        ({"Upload-Offset": "2000"}, 409),
    ],
)
def test_piece_with_wrong_headers_is_refused(
    client_for: ClientFor, headers: dict[str, Any], status: int
) -> None:
    client = client_for("admin")
    address = begin(client)["Location"]
    assert send(client, address, 0, None, **headers).status_code == status
    assert Upload.objects.get().offset == 0


def test_nobody_else_sees_or_changes_an_upload(client_for: ClientFor) -> None:
    owner, other = client_for("admin"), client_for("admin", "another")
    address = begin(owner)["Location"]
    assert send(other, address, 0).status_code == 404
    assert other.head(address).status_code == 404
    assert other.delete(address, headers={"Tus-Resumable": "1.0.0"}).status_code == 404
    other.post(f"{address}throw-away/")
    assert begin(other)["Location"] != address  # the same file is an upload of their own
    assert Upload.objects.count() == 2


def test_full_disk_is_reported_and_what_was_stored_is_kept(client_for: ClientFor, media: Path) -> None:
    client = client_for("admin")
    address = begin(client)["Location"]
    send(client, address, 0)
    folder = media / "uploads" / str(Upload.objects.get().pk)
    folder.rename(folder.with_name("away"))
    folder.write_bytes(b"")  # a file where the folder belongs: no piece can be written
    answer = send(client, address, 1000)
    assert (answer.status_code, "is kept; go on later" in answer.content.decode()) == (503, True)
    folder.unlink()
    folder.with_name("away").rename(folder)
    assert send(client, address, 1000).status_code == 204


# --- what may be uploaded ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "size", "status", "words"),
    [
        ("notes.pdf", 5, 415, "“notes.pdf” cannot be taken in. Photos (JPEG"),
        ("a.tar", 5, 415, "zip archives"),
        ("a.jpg", 0, 400, "is empty"),
        ("a.jpg", 15 * 2**20 + 1, 413, "larger than 15 MB"),
        ("a.csv", 21 * 2**20, 413, "larger than 20 MB"),
        ("", 5, 400, "name"),
    ],
)
def test_file_that_cannot_be_taken_is_refused_at_once(
    client_for: ClientFor, name: str, size: int, status: int, words: str
) -> None:
    answer = begin(client_for("admin"), name, size)
    assert (answer.status_code, words in answer.content.decode()) == (status, True)
    assert not Upload.objects.exists()


def test_broken_metadata_are_refused(client_for: ClientFor) -> None:
    client = client_for("admin")
    for metadata in ("filename ~", "filename AA==", "filename /w=="):  # no base64; a NUL; no UTF-8
        assert begin(client, "a.zip", 5, **{"Upload-Metadata": metadata}).status_code == 400


def test_uploads_of_one_person_are_limited(client_for: ClientFor, settings: Settings) -> None:
    client = client_for("admin")
    settings.MAX_UPLOADS_BYTES = 6000
    assert [begin(client, f"{n}.zip").status_code for n in range(3)] == [201, 201, 413]
    settings.MAX_UPLOADS = 2
    assert begin(client, "3.zip", 1).status_code == 409
    assert begin(client, "0.zip").status_code == 201  # to go on is always possible
    assert begin(client_for("admin", "another"), "3.zip").status_code == 201


@pytest.mark.postgres
@pytest.mark.integration
@pytest.mark.django_db(transaction=True)
def test_uploads_begun_at_once_are_limited_as_those_begun_one_by_one(
    user_for: Callable[..., User], settings: Settings
) -> None:
    owner, together = user_for("admin"), Barrier(8)
    settings.MAX_UPLOADS_BYTES = 6000

    def start(number: int) -> int:
        try:
            together.wait(20)
            return uploads.begin(owner=owner, name=f"{number // 2}.zip", size=len(RAW)).pk
        except uploads.CannotUpload:
            return 0
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as threads:
        begun = set(threads.map(start, range(8)))  # each of four files by two tabs
    assert begun == {0, *Upload.objects.values_list("pk", flat=True)}
    assert Upload.objects.count() == 2


def test_upload_is_thrown_away_by_its_owner_once(client_for: ClientFor, media: Path) -> None:
    client = client_for("admin")
    address = begin(client)["Location"]
    send(client, address, 0)
    assert f'form="throw-away-{Upload.objects.get().pk}"' in client.get(NEW).content.decode()
    first = client.post(f"{address}throw-away/", follow=True).content.decode()
    again = client.post(f"{address}throw-away/", follow=True).content.decode()
    assert ("is deleted" in first, "nothing left" in again) == (True, True)
    assert not files_in(media)
    assert send(client, address, 1000).status_code == 404
    address = begin(client)["Location"]
    assert client.delete(address, headers={"Tus-Resumable": "1.0.0"}).status_code == 204
    assert not Upload.objects.exists()


def test_keeper_ends_uploads_that_nobody_goes_on_with(user_for: Callable[..., User], media: Path) -> None:
    owner = user_for("admin")
    old, new = (upload(owner, name, RAW) for name in ("old.zip", "new.zip"))
    past = timezone.now() - timedelta(hours=25)
    Upload.objects.filter(pk=old.pk).update(touched_at=past)
    default_storage.save(f"uploads/{old.pk}/left-by-a-crash", default_storage.open(old.parts[0]))
    keep_house()
    assert list(Upload.objects.all()) == [new]
    assert len(files_in(media)) == 3
    assert not (media / "uploads" / str(old.pk)).exists()


# --- an intake of what was dropped ------------------------------------------------------------


@pytest.fixture
def drop(user_for: Callable[..., User]) -> list[Upload]:
    owner = user_for("admin")
    table = b"file,hashtags,author\nb.jpg,#Cafe,Ann\nx/c.jpg,bar,Bo\n"
    files = {
        "a.jpg": noise(1),
        "b.jpg": noise(2),
        "x.zip": archive({"x/c.jpg": noise(3), "a.jpg": noise(1), "no.txt": b"no"}),
        "y.zip": b"no zip at all",
        "list.csv": table,
    }
    return [upload(owner, name, raw) for name, raw in files.items()]


def form(drop: list[Upload], **more: Any) -> dict[str, Any]:
    return {"name": "Drop", "dropped": [one.pk for one in drop], "request_id": str(uuid4()), **more}


def test_all_that_was_dropped_becomes_one_intake(
    client_for: ClientFor, run_jobs: RunJobs, drop: list[Upload], media: Path
) -> None:
    client = client_for("admin")
    sent = form(drop, author="Everybody")
    assert client.post(NEW, sent).status_code == 302
    run_jobs()
    intake = Intake.objects.get()
    assert states(intake) == {
        "a.jpg": "taken",
        "b.jpg": "taken",
        "x.zip/x/c.jpg": "taken",
        "x.zip/a.jpg": "known",
        "x.zip/no.txt": "refused",
        "y.zip": "refused",
    }
    assert "not a valid zip" in intake.files.get(name="y.zip").reason
    authors = {photo.name: photo.author for photo in Photo.objects.all()}
    assert authors == {"a.jpg": "Everybody", "b.jpg": "Ann", "c.jpg": "Bo"}
    assert set(AuthorHashtag.objects.values_list("name", flat=True)) == {"cafe", "bar"}
    assert not Upload.objects.exists()
    assert not [path for path in files_in(media) if "photos" not in path.parts]  # no original is left
    answer = client.post(NEW, sent, follow=True)  # the form is sent once more
    assert "This form was sent before" in answer.content.decode()
    assert Intake.objects.count() == 1


def test_stale_page_takes_nothing_in(client_for: ClientFor, drop: list[Upload]) -> None:
    client = client_for("admin")
    client.post(NEW, form(drop[:1]))
    answer = client.post(NEW, form(drop[:2]))
    assert (answer.status_code, "no longer here" in answer.content.decode()) == (422, True)
    assert Intake.objects.count() == 1
    assert drop[1] in Upload.objects.waiting()


def test_uploads_of_another_person_or_incomplete_ones_are_not_taken(
    client_for: ClientFor, drop: list[Upload], user_for: Callable[..., User]
) -> None:
    assert client_for("admin", "another").post(NEW, form(drop)).status_code == 422
    begun = uploads.begin(owner=user_for("admin"), name="z.zip", size=5)
    assert client_for("admin").post(NEW, form([*drop, begun])).status_code == 422
    with pytest.raises(uploads.UploadsGone):
        intakes.start(name="x", by=user_for("admin"), dropped=[*drop, begun])
    assert not Intake.objects.exists()
    assert Upload.objects.waiting().count() == len(drop) + 1


def test_broken_table_stops_the_form_and_keeps_the_uploads(
    client_for: ClientFor, user_for: Callable[..., User], drop: list[Upload]
) -> None:
    client = client_for("admin")
    answer = client.post(NEW, form([*drop[:1], upload(user_for("admin"), "t.csv", b"name\nx\n")]))
    assert (answer.status_code, "The first row must name the columns" in answer.content.decode()) == (
        422,
        True,
    )
    answer = client.post(NEW, form([*drop, Upload.objects.get(name="t.csv")]))
    assert "Only one table" in answer.content.decode()
    assert Upload.objects.waiting().count() == len(drop) + 1


def test_table_may_be_dropped_for_a_folder_but_not_alone(
    client_for: ClientFor, run_jobs: RunJobs, drop: list[Upload], tmp_path: Path
) -> None:
    client, table = client_for("admin"), drop[-1:]
    assert "only a table" in client.post(NEW, form(table)).content.decode()
    (tmp_path / "photos" / "b.jpg").write_bytes(noise(2))
    assert "untick" in client.post(NEW, form(drop, folder=str(tmp_path / "photos"))).content.decode()
    client.post(NEW, form(table, folder=str(tmp_path / "photos")))
    run_jobs()
    assert Photo.objects.get().author == "Ann"
    assert table[0] not in Upload.objects.all()


def test_giving_up_deletes_what_was_dropped(
    user_for: Callable[..., User], drop: list[Upload], media: Path
) -> None:
    intake = intakes.start(name="x", by=user_for("admin"), dropped=drop)
    Job.objects.update(state=Job.State.FAILED, finished_at=timezone.now())
    assert intakes.give_up(intake=intake)
    assert not files_in(media)
    assert not intakes.give_up(intake=intake)


def test_photo_with_a_missing_part_is_refused_and_a_disk_that_is_away_is_waited_for(
    user_for: Callable[..., User], drop: list[Upload], media: Path
) -> None:
    intake = intakes.start(name="x", by=user_for("admin"), dropped=drop[:2])
    (media / "uploads").rename(media / "unmounted")
    assert attempt(intake).state == Job.State.QUEUED
    (media / "unmounted").rename(media / "uploads")
    default_storage.delete(drop[0].parts[1])
    assert attempt(intake).state == Job.State.SUCCEEDED
    assert states(intake) == {"a.jpg": "refused", "b.jpg": "taken"}


def test_campaign_takes_dropped_photos_but_no_zip(
    client_for: ClientFor, drop: list[Upload], model: TrainedModel, user_for: Callable[..., User]
) -> None:
    client = client_for("admin")
    fields = {"name": "Dropped", "model": model.pk, "votes_per_photo": 3}
    address = "/validation/campaigns/new/"
    refused = client.post(address, fields | {"dropped": [drop[0].pk, drop[2].pk]})
    assert (refused.status_code, "Only photos: take zips" in refused.content.decode()) == (422, True)
    broken = upload(user_for("admin"), "broken.jpg", b"no photo")
    photos = [drop[0], drop[1], broken]
    answer = client.post(address, fields | {"dropped": [one.pk for one in photos]}, follow=True)
    assert "Not taken in: broken.jpg: not a JPEG" in answer.content.decode()
    assert Campaign.objects.get().photos.count() == 2
    assert set(Upload.objects.all()) == set(drop[2:])
