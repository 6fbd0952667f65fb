"""Zips, folders and tables made to break an intake: they are refused by name, and good files are taken in."""

from __future__ import annotations

import io
import os
import shutil
import struct
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from string import ascii_uppercase

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone

from formats.storage import StorageFailure
from jobs.keeper import keep_house
from jobs.lease import JobError
from jobs.models import Job
from tests.validation.photos.hostile import archive
from tests.validation.photos.test_intake import media, noise, states
from validation.models import Intake, Photo
from validation.photos import intake, intake_files, intake_sources, intake_table
from validation.photos.intake_sources import allowed_folder
from validation.photos.intake_table import TableError, read_table
from validation.photos.notes import words_of

pytestmark = pytest.mark.django_db
RunJobs = Callable[[], list[Job]]
__all__ = ["media"]


def take_archive(raw: bytes, run_jobs: RunJobs) -> tuple[Intake, Job]:
    new_intake = intake.start(name="x", by=None, archive=SimpleUploadedFile("a.zip", raw))
    return new_intake, run_jobs()[0]


# --- zips -------------------------------------------------------------------------------------


def test_size_of_a_zip_directory_is_checked_before_it_is_read(
    run_jobs: RunJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = archive({f"{n}.jpg": b"x" for n in range(9)})  # a directory of 9 × 51 bytes
    lies = bytearray(raw)
    struct.pack_into("<HH", lies, len(raw) - 14, 1, 1)  # says that it has one entry
    for limit, value, words in (
        ("MOST_FILES", 8, "contains more than 8 files"),
        ("MOST_DIRECTORY_BYTES", 400, "directory has 0 MB; the limit is"),
    ):
        with monkeypatch.context() as smaller:
            smaller.setattr(intake_sources, limit, value)
            for content in (raw, bytes(lies), zip64_of(raw), raw[:-2] + b"\x07\x00comment"):
                with pytest.raises(JobError, match=words):
                    intake_sources._check_directory(io.BytesIO(content))
            _, job = take_archive(raw, run_jobs)
            assert (job.state, words in job.error) == (Job.State.FAILED, True), job.error


def zip64_of(raw: bytes) -> bytes:
    """The same zip, with the size and place of its directory in the 64-bit fields only."""
    body, end = raw[:-22], raw[-22:]
    count, size, at = struct.unpack_from("<HII", end, 10)
    large = struct.pack("<4sQHHIIQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, size, at)
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, len(body), 1)
    return body + large + locator + end[:8] + b"\xff" * 12 + end[20:]


def test_zip64_archive_is_taken_in(run_jobs: RunJobs) -> None:
    new_intake, _ = take_archive(zip64_of(archive({"a.jpg": noise(1)})), run_jobs)
    assert states(new_intake) == {"a.jpg": "taken"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda raw: raw.replace("é.jpg".encode(), b"\xff\xff.jpg"), "the name “��.jpg” in its directory"),
        (lambda raw: raw.replace(b"\5\0EXTRA", b"\x7f\0EXTRA"), "Corrupt extra field"),
        (lambda raw: raw[: len(raw) // 2], "not a valid zip file: it has no directory"),
        (
            lambda raw: raw[:-10] + b"\xff\xff\0\0" + raw[-6:],
            "not a valid zip file: its directory is cut off",
        ),
        (lambda raw: b"", "not a valid zip file"),
    ],
)
def test_broken_zip_directory_fails_with_an_explanation(
    run_jobs: RunJobs, change: Callable[[bytes], bytes], words: str
) -> None:
    def with_extra(entry: zipfile.ZipInfo) -> None:
        entry.extra = b"\xfe\xca\5\0EXTRA"

    changed = change(archive({"é.jpg": noise(1)}, with_extra))
    _, job = take_archive(changed, run_jobs)
    assert (job.state, words in job.error) == (Job.State.FAILED, True), job.error
    assert "fault of the program" not in job.hint


def terms_of(new_intake: Intake) -> dict[str, str]:
    return {file.name: file.terms.get("author", "") for file in new_intake.files.all()}


def packed(names: list[bytes], change: Callable[[zipfile.ZipInfo], None] | None = None) -> bytes:
    """A zip whose entries have these bytes as names, without a mark of UTF-8."""
    marks = [letter * len(name) for letter, name in zip(ascii_uppercase, names, strict=False)]
    raw = archive({mark: noise(number) for number, mark in enumerate(marks)}, change)
    for mark, name in zip(marks, names, strict=True):
        raw = raw.replace(mark.encode(), name)
    return raw


def listed(raw: bytes, table: str = "") -> Intake:
    """An intake whose files have been listed, but not taken in."""
    rows = SimpleUploadedFile("t.csv", table.encode()) if table else None
    new_intake = intake.start(name="x", by=None, archive=SimpleUploadedFile("a.zip", raw), table=rows)
    with closing(intake_files.source_of(new_intake)) as source:
        intake_files.list_files(
            new_intake, source.names(), intake_files.table_of(new_intake), notes=source.notes
        )
    return new_intake


def test_zip_of_windows_is_read_with_its_table() -> None:
    def is_of_windows(entry: zipfile.ZipInfo) -> None:
        entry.create_system = 0

    names = [b"trip\\X.jpg", b"trip\\Thumbs.db", b"trip\\sub\\", "trip\\Ёж.jpg".encode("cp866")]
    new_intake = listed(
        packed([*names, b"__MACOSX\\._X.jpg"], is_of_windows),
        "file,author\nTRIP/x.JPG,Ann\nC:\\trip\\Е\u0308ж.jpg,Bob\n",
    )
    assert terms_of(new_intake) == {"trip/X.jpg": "Ann", "trip/Ёж.jpg": "Bob"}
    assert "name of 1 entry is; we took Cyrillic (cp866): “trip" in words_of(new_intake.notes[0])


def test_what_cannot_be_told_from_names_is_said() -> None:
    raw = archive({name: noise(1) for name in ("a/X.jpg", "a/x.jpg", "b/y.jpg", "c/Y.jpg", "d/Z.jpg")})
    new_intake = listed(raw, "file,author\na/x.jpg,Ann\ny.jpg,Bob\nz.JPG,Eve\nz.jpg,Dan\n")
    assert terms_of(new_intake) == {
        "a/X.jpg": "Ann",
        "a/x.jpg": "Ann",
        "b/y.jpg": "Bob",
        "c/Y.jpg": "Bob",
        "d/Z.jpg": "",
    }
    assert [words_of(note) for note in new_intake.notes] == [
        "“d/Z.jpg” got no terms: “z.JPG”, “z.jpg” of the table fit.",
        "The table's row “a/x.jpg” was used for 2 files: “a/X.jpg”, “a/x.jpg”.",
        "The table's row “y.jpg” was used for 2 files: “b/y.jpg”, “c/Y.jpg”.",
    ]


def test_bytes_around_a_zip_are_reported(client_for: Callable[..., Client], run_jobs: RunJobs) -> None:
    raw = archive({"a.jpg": noise(1)})
    new_intake, _ = take_archive(raw + archive({"b.jpg": noise(2)}) + b"junk", run_jobs)
    new_intake.refresh_from_db()
    assert states(new_intake) == {"b.jpg": "taken"}
    assert [words_of(note) for note in new_intake.notes] == [
        f"{len(raw):,} bytes in front of the zip were not read: perhaps another archive.",
        "4 bytes behind the zip were not read: perhaps another archive.",
    ]
    admin, page = client_for("admin"), new_intake.get_absolute_url()
    assert "4 bytes behind the zip" in admin.get(page).content.decode()
    russian = admin.get(page, headers={"Accept-Language": "ru"}).content.decode()
    assert "4 байта после zip не прочитаны" in russian
    Intake.objects.update(notes=["4 bytes of before."])
    assert "4 bytes of before." in admin.get(page).content.decode()


# --- folders ----------------------------------------------------------------------------------


def deep(root: Path, levels: int) -> None:
    """Nested folders, deeper than the longest possible path."""
    at = os.open(root, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir("dddd", dir_fd=at)
        at, old = os.open("dddd", os.O_RDONLY, dir_fd=at), at
        os.close(old)
    os.close(at)


def test_folders_too_deep_to_list_are_refused_and_other_files_are_taken_in(
    run_jobs: RunJobs, tmp_path: Path
) -> None:
    root = tmp_path / "photos/x"
    root.mkdir()
    (root / "z.jpg").write_bytes(noise(1))
    deep(root, 1100)  # 5,500 characters; paths end at 4,096, recursion at 1,000 levels
    long = root / ("e" * 200) / ("f" * 200) / ("g" * 200)
    long.mkdir(parents=True)
    (long / "a.jpg").write_bytes(noise(2))
    (long / "b.jpg").write_bytes(noise(3))
    try:
        new_intake = intake.start(name="x", by=None, folder=str(root))
        run_jobs()
        refused = new_intake.files.get(state="refused")
        assert refused.reason == "folder cannot be listed (File name too long)"
        assert sorted(new_intake.files.values_list("state", flat=True)) == [
            "refused",
            "taken",
            "taken",
            "taken",
        ]
        assert Photo.objects.count() == 3
    finally:
        flatten(root)


def flatten(root: Path) -> None:
    """Level by level: pytest's own clean-up fails beyond a thousand levels."""
    while (root / "dddd/dddd").is_dir():
        (root / "dddd/dddd").rename(root / "up")
        (root / "dddd").rmdir()
        (root / "up").rename(root / "dddd")


def test_listing_keeps_the_lease_and_notices_a_cancel(
    run_jobs: RunJobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(self: intake_sources.Folder) -> Iterator[intake_sources.Listing]:
        yield "a.jpg", {}
        Job.objects.update(lease_until=timezone.now() - timedelta(minutes=5))
        keep_house()
        assert not Job.objects.get().is_silent
        yield "b.jpg", {}
        Job.objects.update(state=Job.State.CANCELLING)
        yield "c.jpg", {}
        pytest.fail("the job continued after the cancel")

    monkeypatch.setattr("jobs.lease.LOOK_EVERY", 0.0)
    monkeypatch.setattr(intake_sources.Folder, "names", slow)
    new_intake = intake.start(name="x", by=None, folder=str(tmp_path / "photos"))
    (job,) = run_jobs()
    assert (job.state, new_intake.files.count()) == (Job.State.CANCELLED, 0)


def test_folder_name_that_is_too_long_is_refused(tmp_path: Path) -> None:
    for name in ("n" * 300, "/".join(["n" * 200] * 30)):
        with pytest.raises(ValueError, match="cannot be opened"):
            allowed_folder(str(tmp_path / "photos" / name))


# --- names ------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_equal_and_long_names_get_numbers_and_are_listed_once(
    run_jobs: RunJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = "n" * 500
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        for name in ("a.jpg", "a.jpg (2)", "a.jpg", "a.jpg", long, long):
            file.writestr(name, b"x")
    new_intake = intake.start(name="x", by=None, archive=SimpleUploadedFile("a.zip", packed.getvalue()))
    monkeypatch.setattr(intake_files, "MOST_FILES", 6)  # as many as there are
    monkeypatch.setattr(intake, "receive", lambda **kwargs: 1 / 0)
    for _ in range(2):
        (job,) = run_jobs()
        assert "ZeroDivisionError" in job.error
        assert list(new_intake.files.values_list("name", flat=True)) == [
            "a.jpg",
            "a.jpg (2)",
            "a.jpg (3)",
            "a.jpg (4)",
            "n" * 480,
            "n" * 480 + " (2)",
        ]
        Job.objects.update(state=Job.State.QUEUED, finished_at=None)
    monkeypatch.setattr(intake_files, "MOST_FILES", 5)
    new_intake, job = take_archive(packed.getvalue(), lambda: run_jobs()[-1:])
    assert (job.error, new_intake.files.count()) == ("More than 5 files.", 0)


def test_numbering_twenty_thousand_equal_names_takes_few_lookups() -> None:
    class Counted(set[str]):
        looks = 0

        def __contains__(self, name: object) -> bool:
            Counted.looks += 1
            return super().__contains__(name)

    names, copies = Counted(), Counter[str]()
    for _ in range(20_000):
        intake_files._unique("a.jpg", names, copies)
    assert len(names) == 20_000
    assert Counted.looks < 50_000


# --- tables -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (b"file,author\na.jpg,A\0nn\n", "Line 2 is not text"),
        (b"file,hashtags\nb.jpg,x\na.jpg,#b\0ar\n", "Line 3 is not text"),
        (b"file,author\na.jpg,Ann\nb.jpg,Bo\na.jpg,Cy\n", "Row 4, file: a.jpg is in row 2 already"),
        (b"file,author,Author\na.jpg,Ann,Bo\n", "same meaning: author"),
    ],
)
def test_error_names_nul_characters_and_repeated_entries(table: bytes, words: str) -> None:
    with pytest.raises(TableError, match=words):
        read_table(io.BytesIO(table))


@pytest.mark.parametrize(
    "table",
    [
        "file;author;licence\nIMG_1.JPG;Ann;CC0\n",
        "\ufeffFile\tAuthor\tLicence\nIMG_1.JPG\tAnn\tCC0\n",
        "sep=;\nfile;author;licence;;\nIMG_1.JPG;Ann;CC0;;\n",
        "Photos of May\n\nfile,author,licence\nIMG_1.JPG,Ann,CC0\n\n",
    ],
)
def test_tables_of_other_tools_are_read(table: str) -> None:
    assert read_table(io.BytesIO(table.encode())) == {"IMG_1.JPG": {"author": "Ann", "licence": "CC0"}}


def test_hashtags_of_a_table_are_normalized() -> None:
    table = "file,hashtags,consent\na.jpg,#Cafe\u0301 café ＃İstanbul,Own\n"
    terms = read_table(io.BytesIO(table.encode()))["a.jpg"]
    assert terms == {"hashtags": ["café", "istanbul"], "consent": "own"}


def test_large_tables_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake_table, "MOST_FILES", 2)
    with pytest.raises(TableError, match="more than 2 rows"):
        read_table(io.BytesIO(b"file\na\nb\nc\n"))
    endless = io.BytesIO(b"file\n" + b"a" * (30 * 2**20))
    with pytest.raises(TableError, match="larger than 20 MB"):
        read_table(endless)
    assert endless.tell() == 20 * 2**20 + 1


def test_table_row_whose_path_matches_no_file_is_refused(run_jobs: RunJobs) -> None:
    table = SimpleUploadedFile("t.csv", b"file,author\nsub/a.jpg,Ann\nb.jpg,Bo\n")
    uploads = [SimpleUploadedFile(name, noise(n)) for n, name in enumerate(("a.jpg", "b.jpg"))]
    new_intake = intake.start(name="x", by=None, uploads=uploads, table=table)
    run_jobs()
    assert states(new_intake) == {"a.jpg": "taken", "b.jpg": "taken", "sub/a.jpg": "refused"}
    assert Photo.objects.get(name="b.jpg").author == "Bo"


def test_missing_archive_is_reported(run_jobs: RunJobs) -> None:
    default_storage.save("intake/1/other.zip", ContentFile(b"x"))
    with pytest.raises(JobError, match="missing from the storage"):
        intake_sources.Archive(lambda: default_storage.open("intake/1/archive.zip", "rb"))
    shutil.rmtree(default_storage.path(""))
    with pytest.raises(StorageFailure):  # nothing at all is there: the disk is away
        intake_sources.Archive(lambda: default_storage.open("intake/1/archive.zip", "rb"))
