"""`manage.py backup`, `restore` and `move_to`: nothing is lost, and nothing is half done."""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.files.storage import default_storage
from django.core.management import CommandError, call_command
from django.db import DEFAULT_DB_ALIAS, connection
from django.utils import timezone
from pytest_django import DjangoDbBlocker

from hashtags_site.backup import backups, files
from hashtags_site.backup import rows as rows_of_backups
from hashtags_site.backup.lists import Entry, FileList
from hashtags_site.backup.rows import all_rows, connected, count_rows, sqlite_url, tables
from hashtags_site.backup.stores import FolderStore
from hashtags_site.management.commands import move_to
from jobs.models import Worker
from tests import database
from tests.trainer.conftest import _own_folders
from tests.validation.conftest import MakeCampaign, MakeVote, hashtags, make_campaign, model, vote_as
from trainer.models import PhotoSet
from validation.agreement import results
from validation.models import Campaign, Photo, Vote

__all__ = ["_own_folders", "hashtags", "make_campaign", "model", "vote_as"]
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("backup")]


@pytest.fixture(autouse=True)
def _any_database(transactional_db: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Not only those of the settings, which is all that Django allows a test."""
    with django_db_blocker.unblock():
        yield


@pytest.fixture(autouse=True)
def _copies(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every database here is of this program: migrating it takes ten seconds and gives the same as a copy.
    `move_to` on SQLite migrates for real.
    """
    migrated = database.migrated_file(request.config.cache.mkdir("migrated"))

    def migrate(url: str) -> None:
        file = Path(url.removeprefix("sqlite:///"))
        if not file.exists():  # it is on PostgreSQL that a backup begins with an empty one
            shutil.copyfile(migrated, file) if migrated.exists() else rows_of_backups.migrate(url)

    monkeypatch.setattr(backups, "migrate", migrate)
    if connection.vendor == "postgresql":
        monkeypatch.setattr(move_to, "migrate", migrate)


def run(command: str, *arguments: object, **options: Any) -> str:
    out = StringIO()
    call_command(command, *map(str, arguments), stdout=out, stderr=out, **options)
    return out.getvalue()


def newest(folder: Path) -> Path:
    return folder / backups.newest(FolderStore(folder))


def listed(backup: Path) -> list[Entry]:
    with closing(FileList(backup / "files.sqlite3")) as found:
        return list(found)


def of_first_format(backup: Path) -> dict[str, Any]:
    """The manifest as it was when it listed the files itself."""
    facts = json.loads((backup / "manifest.json").read_text())
    del facts["files_sha256"]
    return {**facts, "format": "scenetag-backup/1", "files": [list(entry) for entry in listed(backup)]}


@pytest.fixture
def judged(make_campaign: MakeCampaign, vote_as: MakeVote) -> Campaign:
    """Three photos with their files, and votes on each."""
    campaign = make_campaign("cafe", "bar", "sport")
    for number, answer in enumerate(("fits", "fits", "does_not_fit")):
        for person in range(3):
            vote_as(campaign, number, answer, name=f"p{person}")
    return campaign


def figures(campaign: Campaign) -> object:
    return results.headline(), results.summarise(Campaign.objects.get(pk=campaign.pk))


def rows(using: str) -> dict[str, list[tuple[Any, ...]]]:
    """Every value of every row, as Python has it."""
    found = {}
    for one in tables():
        names = [field.attname for field in one._meta.local_concrete_fields]
        found[one._meta.db_table] = [
            tuple(bytes(value) if isinstance(value, memoryview) else value for value in row)
            for row in all_rows(one, using).order_by("pk").values_list(*names)
        ]
    return found


@pytest.mark.postgres
def test_restored_site_shows_the_same_figures(judged: Campaign, tmp_path: Path) -> None:
    before, everything = figures(judged), rows(DEFAULT_DB_ALIAS)
    photo = Photo.objects.first()
    assert photo
    content = default_storage.open(str(photo.file.name)).read()
    assert "Complete" in run("backup", tmp_path / "kept")

    Vote.objects.filter(answer="fits").delete()
    default_storage.delete(str(photo.file.name))
    with pytest.raises(CommandError, match="not empty"):
        run("restore", tmp_path / "kept")
    assert not Vote.objects.filter(answer="fits").exists()

    run("restore", tmp_path / "kept", "--force")
    assert figures(judged) == before
    assert rows(DEFAULT_DB_ALIAS) == everything
    assert default_storage.open(str(photo.file.name)).read() == content
    judged.pk, judged.name = None, "Next"
    judged.save()  # numbers go on where they were: PostgreSQL counts them apart from the rows


@pytest.mark.postgres
def test_move_to_another_database_takes_every_value(judged: Campaign, tmp_path: Path) -> None:
    url = sqlite_url(tmp_path / "other.sqlite3")
    answer = run("move_to", url)
    assert f"{sum(count_rows(DEFAULT_DB_ALIAS).values()):,} rows" in answer
    with connected(url) as other:
        assert rows(other) == rows(DEFAULT_DB_ALIAS)
        Vote.objects.using(other).first()
    with pytest.raises(CommandError, match="not empty"):
        run("move_to", url)


def test_second_backup_copies_only_what_is_new(judged: Campaign, tmp_path: Path) -> None:
    first = run("backup", tmp_path / "kept")
    assert "of which 0 are new here" not in first
    assert "of which 0 are new here" in run("backup", tmp_path / "kept")
    models = files.roots()["models"]
    models.mkdir(parents=True, exist_ok=True)
    (models / "new.onnx").write_bytes(b"x")
    (models / os.fsdecode(b"caf\xe9.txt")).write_bytes(b"no UTF-8")
    assert "of which 2 are new here" in run("backup", tmp_path / "kept")
    [entry] = [entry for entry in listed(newest(tmp_path / "kept")) if entry.path == "new.onnx"]
    (models / "new.onnx").write_bytes(b"y")
    os.utime(models / "new.onnx", ns=(entry.changed, entry.changed))
    assert "of which 0 are new here" in run("backup", tmp_path / "kept")  # size and time say: not read again
    (tmp_path / "kept/files" / entry.sha256[:2] / entry.sha256).unlink()
    assert "of which 1 are new here" in run("backup", tmp_path / "kept")  # the backups had lost it
    assert "Whole" in run("restore", newest(tmp_path / "kept"), "--check")


def test_backup_of_the_first_format_is_read(judged: Campaign, tmp_path: Path) -> None:
    before = figures(judged)
    run("backup", tmp_path / "kept")
    first = newest(tmp_path / "kept")
    (first / "manifest.json").write_text(json.dumps(of_first_format(first)))
    (first / "files.sqlite3").unlink()
    assert "of which 0 are new here" in run("backup", tmp_path / "kept")
    Vote.objects.all().delete()
    run("restore", first, "--force")
    assert figures(judged) == before


def test_damaged_list_of_files_keeps_nobody_from_the_next_backup(judged: Campaign, tmp_path: Path) -> None:
    run("backup", tmp_path / "kept")
    (newest(tmp_path / "kept") / "files.sqlite3").open("ab").write(b"x")
    with pytest.raises(CommandError, match="the list of its files is damaged"):
        run("restore", tmp_path / "kept", "--force")
    with pytest.raises(CommandError, match="is complete, but not all older ones could be deleted"):
        run("backup", tmp_path / "kept", "--keep", "2")
    assert "Whole" in run("restore", tmp_path / "kept", "--check")
    run("backup", tmp_path / "kept", "--keep", "1")
    assert len(FolderStore(tmp_path / "kept").backups()) == 1


def test_damaged_backup_changes_nothing(judged: Campaign, tmp_path: Path) -> None:
    run("backup", tmp_path / "kept")
    assert "Whole" in run("restore", tmp_path / "kept", "--check")
    backup = newest(tmp_path / "kept")
    entry = listed(backup)[0]
    stored = tmp_path / "kept" / "files" / entry.sha256[:2] / entry.sha256
    stored.write_bytes(stored.read_bytes()[:-1] + b"\0")
    (backup / "db.sqlite3").open("ab").write(b"x")
    Vote.objects.all().delete()
    for options in (["--check"], ["--force"]):
        with pytest.raises(CommandError) as error:
            run("restore", tmp_path / "kept", *options)
        assert f"{entry.root}/{entry.path} is damaged" in str(error.value)
        assert "the database is missing or damaged" in str(error.value)
    assert not Vote.objects.exists()


def test_interrupted_backup_leaves_the_earlier_one(
    judged: Campaign, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("backup", tmp_path / "kept")
    earlier = newest(tmp_path / "kept")
    put = FolderStore.put

    def interrupt(store: FolderStore, part: Path, sha256: str) -> None:
        put(store, part, sha256)
        raise KeyboardInterrupt

    photos = files.roots()["media"]
    (photos / "photos/new.jpg").write_bytes(b"new")
    monkeypatch.setattr(FolderStore, "put", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run("backup", tmp_path / "kept")
    assert newest(tmp_path / "kept") == earlier
    assert "Whole" in run("restore", tmp_path / "kept", "--check")
    monkeypatch.undo()
    run("backup", tmp_path / "kept")
    assert not list((tmp_path / "kept").glob("*.part"))
    (photos / "photos/new.jpg").unlink()


@pytest.mark.parametrize("full", ["files.sqlite3", "db.sqlite3", ""])
def test_full_disk_leaves_the_earlier_backup(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, full: str
) -> None:
    run("backup", tmp_path / "kept")
    connect = sqlite3.connect

    def connect_full(file: object, *more: Any, **options: Any) -> sqlite3.Connection:
        base = connect(file, *more, **options)  # type: ignore[call-overload]
        if Path(str(file)).name == full:
            base.execute("PRAGMA max_page_count = 1")
        return base  # type: ignore[no-any-return]

    monkeypatch.setattr(sqlite3, "connect", connect_full)  # Django has its own name for it
    with pytest.raises(CommandError, match=r"is full. This backup is not complete and does not count"):
        run("backup", tmp_path / "kept")
    assert len(FolderStore(tmp_path / "kept").backups()) == 1


def test_old_backups_are_deleted_with_what_only_they_have(judged: Campaign, tmp_path: Path) -> None:
    photo = Photo.objects.first()
    assert photo
    run("backup", tmp_path / "kept")
    default_storage.delete(str(photo.file.name))  # as when it is withdrawn
    kept = len(list((tmp_path / "kept/files").glob("*/*")))
    run("backup", tmp_path / "kept", "--keep", "1")
    assert len(FolderStore(tmp_path / "kept").backups()) == 1
    assert len(list((tmp_path / "kept/files").glob("*/*"))) == kept - 1
    assert "Whole" in run("restore", tmp_path / "kept", "--check")


def test_secrets_stay_here_unless_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    monkeypatch.setenv("METRICS_TOKEN", "hush")
    monkeypatch.setenv("SUGGEST_RATE", "9/minute")
    settings.SECRET_KEY = "the-key-of-this-site"
    run("backup", tmp_path / "kept")
    text = (newest(tmp_path / "kept") / "manifest.json").read_text()
    assert json.loads(text)["settings"]["SUGGEST_RATE"] == "9/minute"
    assert "hush" not in text
    assert "the-key-of-this-site" not in text
    run("backup", tmp_path / "kept", "--secrets")
    text = (newest(tmp_path / "kept") / "manifest.json").read_text()
    assert "hush" in text
    assert "the-key-of-this-site" in text


def test_every_setting_that_may_hold_a_secret_is_known_as_one() -> None:
    text = (settings.BASE_DIR / "hashtags_site/settings.py").read_text()
    names = set(re.findall(r'env\.\w+\(\s*"([A-Z0-9_]*(?:SECRET|TOKEN|DSN|KEY|_URL)[A-Z0-9_]*)"', text))
    assert names - backups.SECRETS == {
        "SITE_URL",
        "STORAGE_URL",
    }  # the one is public, the other takes no keys


def test_running_site_is_not_overwritten(tmp_path: Path) -> None:
    run("backup", tmp_path / "kept")
    Worker.objects.create(name="w:1", seen_at=timezone.now())
    for command in (["restore", tmp_path / "kept", "--force"], ["move_to", sqlite_url(tmp_path / "x")]):
        with pytest.raises(CommandError, match="Stop the site first"):
            run(*map(str, command))


def test_unpacked_photos_are_found_in_their_new_folder(tmp_path: Path, settings: Any) -> None:
    old = files.roots()["photo_sets"]
    (old / "5").mkdir(parents=True)
    (old / "5/a.jpg").write_bytes(b"a")
    PhotoSet.objects.create(pk=5, name="Unpacked", source="x.tar", root=str(old / "5"))
    PhotoSet.objects.create(pk=6, name="In place", source="/photos", root="/photos")
    answer = run("backup", tmp_path / "kept")
    assert "“In place”" in answer
    assert "“Unpacked”" not in answer
    shutil.rmtree(old)
    settings.PHOTO_SETS_DIR = tmp_path / "elsewhere"
    run("restore", tmp_path / "kept", "--force")
    assert (Path(PhotoSet.objects.get(pk=5).root) / "a.jpg").read_bytes() == b"a"
    assert PhotoSet.objects.get(pk=6).root == "/photos"


@pytest.mark.parametrize("change", ["format", "newer", "outside"])
def test_backup_of_another_kind_is_refused(tmp_path: Path, change: str, judged: Campaign) -> None:
    run("backup", tmp_path / "kept")
    file = newest(tmp_path / "kept") / "manifest.json"
    facts = json.loads(file.read_text())
    if change == "format":
        facts["format"] = "scenetag-backup/3"
    elif change == "newer":
        facts["migrations"].append(["jobs", "9999_of_tomorrow"])
    else:
        facts = of_first_format(file.parent)
        facts["files"][0][1] = "../../stolen"
    file.write_text(json.dumps(facts))
    with pytest.raises(CommandError, match=r"does not know|newer program|leads out"):
        run("restore", tmp_path / "kept", "--force")
    assert Vote.objects.count() == 9


def test_files_of_before_are_not_mixed_in(tmp_path: Path, judged: Campaign) -> None:
    runs = files.roots()["runs"]
    (runs / "4").mkdir(parents=True)
    (runs / "4/report.json").write_text("{}")
    run("backup", tmp_path / "kept")
    (runs / "4/checkpoint.pt").write_text("of another run 4")
    run("restore", tmp_path / "kept", "--force")
    assert [path.name for path in (runs / "4").iterdir()] == ["report.json"]
    assert not (runs / backups.ASIDE).exists()


def test_files_of_before_come_back_if_the_rows_cannot_be_restored(
    tmp_path: Path, judged: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = files.roots()["runs"]
    run("backup", tmp_path / "kept")
    (runs / "5").mkdir(parents=True)
    (runs / "5/report.json").write_text("{}")
    Vote.objects.all().delete()
    monkeypatch.setattr(backups, "_count", lambda stage: {})  # as if rows were lost on the way
    with pytest.raises(CommandError, match="other numbers of rows"):
        run("restore", tmp_path / "kept", "--force")
    assert (runs / "5/report.json").read_text() == "{}"
    assert not (runs / backups.ASIDE).exists()
    assert not Vote.objects.exists()


def test_folder_inside_what_is_backed_up_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="inside a folder"):
        run("backup", files.roots()["runs"] / "kept")


def test_nothing_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="no complete backup"):
        run("restore", tmp_path)
