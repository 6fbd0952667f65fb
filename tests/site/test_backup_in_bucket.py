"""`manage.py backup s3://…` and `restore`: what folders promise, buckets keep as well."""

from __future__ import annotations

import fcntl
import hashlib
import io
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Lock
from uuid import uuid4

import pytest
from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.management import CommandError
from pytest_django import DjangoDbBlocker, Settings

from hashtags_site.backup import backups, marks
from hashtags_site.backup.stores import BucketStore
from hashtags_site.doctor.checks import look_at_backup
from tests import database
from tests.conftest import RealBucket, S3Server
from tests.site.test_backup import _copies, figures, judged, run
from tests.trainer.conftest import _own_folders
from tests.validation.conftest import hashtags, make_campaign, model, picture, vote_as
from trainer.shared import Tree
from validation.models import Campaign, Photo, Vote
from validation.photos.store import take_in

__all__ = ["_copies", "_own_folders", "hashtags", "judged", "make_campaign", "model", "vote_as"]
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _any_database(transactional_db: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Not only those of the settings, which is all that Django allows a test."""
    with django_db_blocker.unblock():
        yield


@pytest.fixture
def target(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> RealBucket:
    """An empty bucket, which the settings of the site do not name."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "tests")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "tests")
    return RealBucket(s3_server, f"kept-{uuid4().hex[:12]}")


def kept(bucket: RealBucket) -> set[str]:
    """The contents in it."""
    return {key for key in bucket.keys if key.startswith("files/")}


@pytest.mark.postgres
def test_site_of_folders_comes_back_from_a_bucket(
    judged: Campaign, target: RealBucket, settings: Settings, tmp_path: Path
) -> None:
    before, photos = figures(judged), Photo.objects.count()
    first = run("backup", target.url).splitlines()[-1].removeprefix("Complete: ")
    assert first.startswith(f"s3://{target.name}/site/2")
    assert first in str(look_at_backup().fact)
    there = target.keys
    Vote.objects.filter(answer="fits").delete()
    assert "of which 0 are new here" in run("backup", target.url)
    assert kept(target) == {key for key in there if key.startswith("files/")}
    assert len(target.keys - there) == 3  # database, list and manifest
    assert [path.name for path in Path(settings.VAR_DIR).glob("backup*")] == ["backup.lock"]

    database.flush()
    settings.MEDIA_ROOT = tmp_path / "new"
    assert "Whole" in run("restore", first, "--check")
    assert f"Restored: {first}" in run("restore", first)
    assert figures(judged) == before
    assert [photo.file.read()[:2] for photo in Photo.objects.all()] == photos * [b"\xff\xd8"]


def test_what_is_wrong_in_a_bucket_is_named_before_anything_changes(
    judged: Campaign, target: RealBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("backup", target.url)
    damaged, missing = sorted(kept(target))[:2]
    size = target.client.head_object(Bucket=target.name, Key=f"site/{damaged}")["ContentLength"]
    target.client.put_object(Bucket=target.name, Key=f"site/{damaged}", Body=b"x" * size)
    Vote.objects.all().delete()
    with monkeypatch.context() as patch:
        patch.setattr(backups, "check", lambda backup: 0)  # as if it were damaged after that
        with pytest.raises(CommandError, match="is damaged in the backup"):
            run("restore", target.url, "--force")
    target.client.delete_object(Bucket=target.name, Key=f"site/{missing}")
    with pytest.raises(CommandError, match=r"(?s)/.* is damaged; .*/.* is missing"):
        run("restore", target.url, "--force")
    assert not Vote.objects.exists()
    assert "of which 1 are new here" in run("backup", target.url)  # what is missing is sent again


def test_site_of_a_bucket_comes_back_from_another(
    bucket: RealBucket, target: RealBucket, tmp_path: Path
) -> None:
    photo = take_in(file=io.BytesIO(picture(3)), name="a.jpg", by=None)
    (tmp_path / "run").mkdir()
    (tmp_path / "run/checkpoint").write_text("learned")
    Tree("runs", 7).store(tmp_path / "run", ["checkpoint"])
    before = bucket.keys
    run("backup", target.url)
    assert "of which 0 are new here" in run("backup", target.url)
    for key in before:
        bucket.client.delete_object(Bucket=bucket.name, Key=f"site/{key}")
    database.flush()
    run("restore", target.url)
    assert bucket.keys == before
    assert Photo.objects.get(pk=photo.pk).file.read()[:2] == b"\xff\xd8"
    for prefix in ("site", "site/kept", ""):
        with pytest.raises(CommandError, match="inside each other"):
            run("backup", bucket.url.replace("/site?", f"/{prefix}?"))
    run("backup", bucket.url.replace("/site?", "/site-kept?"))


def test_bucket_that_goes_away_keeps_the_earlier_backups(
    judged: Campaign, target: RealBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    names, send = list[str](), BucketStore._send
    put, sent, lock = BucketStore.put, list[str](), Lock()

    def record(store: BucketStore, path: Path, name: str) -> None:
        send(store, path, name)
        names.append(name)

    def go_away(store: BucketStore, part: Path, sha256: str) -> None:
        with lock:  # small files are sent at once
            if sent:
                target.server.stop()
            put(store, part, sha256)
            sent.append(sha256)

    with monkeypatch.context() as patch:
        patch.setattr(BucketStore, "_send", record)
        run("backup", target.url)
    assert names[-1].endswith("/manifest.json")  # wherever it goes away, what is there is not a backup
    before = target.keys
    for name in ("first", "second"):
        default_storage.save(f"photos/{name}.jpg", io.BytesIO(name.encode()))
    with monkeypatch.context() as patch:
        patch.setattr(BucketStore, "put", go_away)
        try:
            with pytest.raises(CommandError, match=r"does not count. Earlier ones are as they were \(1\)"):
                run("backup", target.url)
        finally:
            target.server.start()
    assert {key.rpartition("/")[2] for key in kept(target) - before} == set(sent)
    assert "Whole" in run("restore", target.url, "--check")
    # The mark that it could not delete was of this installation.
    assert "of which 1 are new here" in run("backup", target.url)
    for name in ("first", "second"):
        default_storage.delete(f"photos/{name}.jpg")


def test_old_backups_go_with_what_only_they_have(judged: Campaign, target: RealBucket) -> None:
    default_storage.save("photos/withdrawn.jpg", io.BytesIO(b"withdrawn"))
    run("backup", target.url)
    default_storage.delete("photos/withdrawn.jpg")
    for key in ("2026-11-29T033000.000000Z/db.sqlite3", "files/notes.txt"):  # cut off, and not ours
        target.client.put_object(Bucket=target.name, Key=f"site/{key}", Body=b"x")
    there = kept(target)
    run("backup", target.url, "--keep", "1")
    gone = hashlib.sha256(b"withdrawn").hexdigest()
    assert there - kept(target) == {f"files/{gone[:2]}/{gone}"}
    assert len({key.partition("/")[0] for key in target.keys}) == 2  # one backup, and the contents
    assert "Whole" in run("restore", target.url, "--check")


def test_second_backup_at_once_is_refused(
    target: RealBucket, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for file, place in ((Path(settings.VAR_DIR) / "backup.lock", target.url), (tmp_path / "lock", tmp_path)):
        with file.open("a+") as own:
            fcntl.flock(own, fcntl.LOCK_EX)  # as another process of this installation has it
            with pytest.raises(CommandError, match="Another backup"):
                run("backup", place)
    target.client.put_object(Bucket=target.name, Key="site/running/another", Body=b"")
    with pytest.raises(CommandError, match="Another backup is being made"):
        run("backup", target.url)
    assert target.keys == {"running/another"}
    look = marks.Mark.require_no_other

    def look_late(mark: marks.Mark) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(marks, "DEAD", -1)  # as if nobody had renewed it
            look(mark)

    monkeypatch.setattr(marks.Mark, "require_no_other", look_late)
    run("backup", target.url)
    assert not any(key.startswith("running/") for key in target.keys)


def test_mark_of_one_that_was_cut_off_is_taken_over_by_the_next_container(target: RealBucket) -> None:
    (Path(settings.VAR_DIR) / "backup.lock").write_text("own")
    target.client.put_object(Bucket=target.name, Key="site/running/own", Body=b"")
    run("backup", target.url)
    assert "running/own" not in target.keys


def test_backup_whose_mark_was_taken_away_does_not_count(
    target: RealBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents = BucketStore.contents

    def lose_mark(store: BucketStore) -> Iterator[tuple[str, int]]:
        store._storage.delete(store._mark.name)  # as another does after this process was halted for long
        return contents(store)

    monkeypatch.setattr(BucketStore, "contents", lose_mark)
    with pytest.raises(CommandError, match="Another backup"):
        run("backup", target.url)
    assert target.keys == kept(target)


@pytest.mark.parametrize("is_taken", [False, True])
def test_mark_that_another_took_away_does_not_come_back(
    target: RealBucket, monkeypatch: pytest.MonkeyPatch, is_taken: bool
) -> None:
    storage, done = BucketStore(target.url)._storage, Event()
    mark, other = marks.Mark(storage, "running/one"), marks.Mark(storage, "running/other")
    mark.write()
    save = storage.save

    def save_late(name: str, content: ContentFile[bytes]) -> None:
        monkeypatch.setattr(storage, "save", save)
        if is_taken:  # while the process is halted
            monkeypatch.setattr(marks, "DEAD", -1)
            other.write()
            other.require_no_other()
        save(name, content)
        done.set()

    monkeypatch.setattr(storage, "save", save_late)
    monkeypatch.setattr(marks, "RENEWED", 0)
    mark.renew_until(done)
    assert target.keys == {"running/other" if is_taken else "running/one"}
    if is_taken:
        with pytest.raises(marks.Taken):
            mark.require()
    else:
        assert mark.require() == mark.written


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("s3://Bad_Name/x", "cannot be the name of a bucket"),
        ("s3:/one/slash", "cannot be the name of a bucket"),
        ("s3://key:secret@photos/x", "keys do not belong in it"),
        ("gs://photos/x", "it must be like s3://"),
        ("{other}", "NoSuchBucket"),
        ("{site}/2026-11-29T033000.000000Z", "is a backup"),
    ],
)
def test_wrong_name_is_refused(target: RealBucket, name: str, words: str) -> None:
    place, _, query = target.url.partition("?")
    url = name.format(other=f"s3://no-such-bucket/x?{query}", site=place)
    with pytest.raises(CommandError, match=words) as error:
        run("backup", url)
    assert "secret" not in str(error.value)
    with pytest.raises(CommandError):
        run("restore", url, "--check")
