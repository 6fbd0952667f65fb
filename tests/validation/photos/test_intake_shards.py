"""An intake of more files than a shard has: many workers open them, and the result is that of one."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from PIL import Image
from pytest_django import Settings

from jobs import crew, queue, shards, work
from jobs import lease as leases
from jobs.lease import Lease, LeaseLost, claim
from jobs.models import Job, Shard
from jobs.shards import ShardLease
from tests.validation.photos.test_intake import files_in, noise, states
from validation.models import Intake, Photo
from validation.photos import intake, intake_files, intake_shards
from validation.photos.similar import Hashes
from validation.photos.store import prepare, take_in, withdraw_everywhere

pytestmark = [pytest.mark.django_db, pytest.mark.postgres]


@pytest.fixture
def media(settings: Settings, tmp_path: Path) -> Path:
    settings.MEDIA_ROOT = tmp_path / "media"
    settings.PHOTO_ROOTS = [tmp_path]
    settings.SHARD_PHOTOS = 2
    return tmp_path / "media"


@pytest.fixture
def started(media: Path, tmp_path: Path) -> Intake:
    """Six files, three shards: near duplicates, equal files and a broken one are each in two shards."""
    first, smaller = noise(1, (400, 300)), io.BytesIO()
    Image.open(io.BytesIO(first)).resize((300, 225)).save(smaller, "JPEG")
    contents = {
        "1 original.jpg": first,
        "2 equal.jpg": noise(2),
        "3 smaller.jpg": smaller.getvalue(),
        "4 equal too.jpg": noise(2),
        "5 broken.jpg": b"no photo",
        "6 other.jpg": noise(3),
    }
    folder = tmp_path / "folder"
    folder.mkdir()
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return intake.start(name="x", by=None, folder=str(folder))


EXPECTED = {
    "1 original.jpg": "taken",
    "2 equal.jpg": "taken",
    "3 smaller.jpg": "similar",
    "4 equal too.jpg": "known",
    "5 broken.jpg": "refused",
    "6 other.jpg": "taken",
}


def plan(new_intake: Intake) -> Lease:
    """What the holder does before it takes its first shard."""
    assert new_intake.job
    lease = claim(new_intake.job.pk)
    assert lease
    intake_files.list_files(new_intake, intake_files.source_of(new_intake).names(), {})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(intake_shards, "work_off", lambda *args, **kwargs: None)
        intake_shards.prepare_in_shards(lease, new_intake, 6)
    return lease


def uploaded(photos: list[bytes]) -> tuple[Intake, Lease]:
    """An intake of these files, and its job's lease."""
    uploads = [SimpleUploadedFile(f"{number}.jpg", photo) for number, photo in enumerate(photos)]
    new_intake = intake.start(name="x", by=None, uploads=uploads)
    assert new_intake.job_id
    lease = claim(new_intake.job_id)
    assert lease
    return new_intake, lease


def taken(job: Job | None) -> ShardLease:
    assert job
    lease = shards.take(job.pk)
    assert lease
    return lease


def test_result_does_not_depend_on_who_is_faster(started: Intake, media: Path) -> None:
    lease = plan(started)
    mine = taken(started.job)
    crew.help_out()  # the later shards first
    assert not Photo.objects.exists()
    assert set(states(started).values()) == {"waiting", "refused"}
    mine.give_back()
    intake.take_all_in(lease)
    assert states(started) == EXPECTED
    names = list(Photo.objects.order_by("pk").values_list("name", flat=True))
    assert names == ["1 original.jpg", "2 equal.jpg", "3 smaller.jpg", "6 other.jpg"]
    assert Photo.objects.get(name="3 smaller.jpg").near_duplicate_of == Photo.objects.get(name=names[0])
    assert len(files_in(media)) == 4
    intake.take_all_in(lease)  # once more, as after a death at the very end
    assert (states(started), Photo.objects.count()) == (EXPECTED, 4)


def test_lease_is_renewed_with_the_rows_of_the_files(started: Intake) -> None:
    """SQLite lets nobody renew it while they are written."""
    counts = []
    names = intake_files.source_of(started).names()
    intake_files.list_files(started, names, {}, lambda: counts.append(started.files.count()))
    assert counts[-1] == 6


def test_worker_that_comes_late_writes_nothing_and_another_continues(started: Intake) -> None:
    lease = plan(started)
    late = taken(started.job)
    Shard.objects.filter(pk=late.shard.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    shards.requeue_expired()
    assert started.job
    with intake_shards.preparing(started.job) as prepare_shard, pytest.raises(LeaseLost):
        prepare_shard(late)
    assert not started.files.filter(terms__has_key=intake_shards.PREPARED).exists()
    intake.take_all_in(lease)
    assert states(started) == EXPECTED


def test_files_that_kill_every_worker_are_refused_and_others_are_taken_in(
    started: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two such files in one shard: five deaths, as many as make a shard fail at one place."""

    def die(**kwargs: Any) -> Any:
        if kwargs["name"] in ("3 smaller.jpg", "4 equal too.jpg"):
            raise KeyboardInterrupt  # nothing of the job's own code runs after it, as after a kill
        return prepare(**kwargs)

    monkeypatch.setattr(intake_shards, "prepare", die)
    job = started.job
    assert job
    past = timezone.now() - timedelta(seconds=1)
    for _ in range(shards.MOST_DEATHS):
        with pytest.raises(KeyboardInterrupt):
            work.run(job_id=str(job.pk))
        Job.objects.filter(pk=job.pk).update(lease_until=past)
        Shard.objects.filter(job=job, state="running").update(lease_until=past)
        queue.requeue_expired()
        shards.requeue_expired()
    work.run(job_id=str(job.pk))
    assert states(started) == EXPECTED | {"3 smaller.jpg": "refused", "4 equal too.jpg": "refused"}
    assert started.files.get(name="4 equal too.jpg").reason == intake_files.DEADLY


def test_photo_withdrawn_meanwhile_is_refused_and_what_is_prepared_is_not_left_behind(
    started: Intake, user_for: Callable[..., User], django_capture_on_commit_callbacks: Any, media: Path
) -> None:
    lease = plan(started)
    crew.help_out()
    assert len(files_in(media)) == 4
    photo = take_in(file=io.BytesIO(noise(3)), name="elsewhere.jpg", by=None)
    with django_capture_on_commit_callbacks(execute=True):
        withdraw_everywhere(photo=photo, by=user_for("admin"))
    default_storage.save(str(photo.file.name), io.BytesIO(b"prepared by a worker that was late"))
    away = prepare(file=io.BytesIO(noise(2)), name="equal.jpg")
    default_storage.delete(away.file)  # by another intake that could not add its row
    intake.take_all_in(lease)
    assert states(started) == EXPECTED | {"6 other.jpg": "refused"}
    assert started.files.get(name="6 other.jpg").reason.startswith("it was withdrawn")
    kept = Photo.objects.shown().values_list("file", flat=True)
    assert {str(path.relative_to(media)) for path in files_in(media)} == set(kept)


def test_giving_up_deletes_what_is_prepared_and_no_file_of_a_photo(started: Intake, media: Path) -> None:
    lease = plan(started)
    crew.help_out()
    photo = take_in(file=io.BytesIO(noise(3)), name="elsewhere.jpg", by=None)
    lease.finish(Job.State.CANCELLED)
    assert intake.give_up(intake=started)
    assert [str(path.relative_to(media)) for path in files_in(media)] == [photo.file.name]


def test_photo_that_is_opened_while_others_give_up_leaves_no_file(
    started: Intake, media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A helper learns of a cancelled job only after the photo that it has in hand."""
    lease = plan(started)

    def prepare_slowly(**terms: Any) -> Any:
        said = prepare(**terms)
        monkeypatch.setattr(intake_shards, "prepare", prepare)
        lease.finish(Job.State.CANCELLED)
        assert intake.can_be_given_up(Intake.objects.get()) is False  # a folder of which nothing was stored
        assert intake.give_up(intake=started)
        return said

    monkeypatch.setattr(intake_shards, "prepare", prepare_slowly)
    assert started.job
    with intake_shards.preparing(started.job) as prepare_shard:
        prepare_shard(taken(started.job))
    assert files_in(media) == []
    assert not started.files.exclude(state="refused").exists()


def test_rows_of_many_photos_take_as_many_queries_as_those_of_few(
    media: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers: list[tuple[int, int]] = []

    def count(*args: Any) -> set[int]:
        with CaptureQueriesContext(connection) as queries:
            are_added = add_new(*args)
        numbers.append((len(args[2]), len(queries)))
        return are_added

    add_new = intake._add_new
    monkeypatch.setattr(intake, "_add_new", count)
    for size in (3, 9):
        folder = tmp_path / str(size)
        folder.mkdir()
        for number in range(size):
            (folder / f"{number}.jpg").write_bytes(noise(100 * size + number))
        work.run(job_id=str(intake.start(name="x", by=None, folder=str(folder)).job_id))
    assert [photos for photos, _ in numbers] == [3, 9]
    assert numbers[0][1] == numbers[1][1]


def test_photo_that_another_takes_in_at_the_same_moment_is_known(
    started: Intake, media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease = plan(started)
    crew.help_out()
    new_photos = intake._new_photos

    def new_until_another_adds_one(files: Any) -> Any:
        new = new_photos(files)
        take_in(file=io.BytesIO(noise(2)), name="elsewhere.jpg", by=None)
        return new

    monkeypatch.setattr(intake, "_new_photos", new_until_another_adds_one)
    # Otherwise it would count as one that this intake has stored before a crash.
    monkeypatch.setattr(intake, "_was_left_by_a_crash", lambda *args: False)
    intake.take_all_in(lease)
    assert states(started) == EXPECTED | {"2 equal.jpg": "known"}
    kept = Photo.objects.values_list("file", flat=True)
    assert {str(path.relative_to(media)) for path in files_in(media)} == set(kept)


def test_files_that_another_intake_gives_up_are_stored_again_before_originals_are_deleted(
    media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether files are stored is asked for a hundred photos at once; their rows come later."""
    photos = [noise(seed) for seed in range(3)]
    (mine, lease), (theirs, their_lease) = uploaded(photos), uploaded(photos)
    intake_shards.prepare_in_shards(lease, mine, len(photos))
    intake_shards.prepare_in_shards(their_lease, theirs, len(photos))
    their_lease.finish(Job.State.FAILED)
    theirs.refresh_from_db()
    new_photos = intake._new_photos

    def new_until_another_gives_up(files: Any) -> Any:
        new = new_photos(files)
        assert intake.give_up(intake=theirs)
        return new

    monkeypatch.setattr(intake, "_new_photos", new_until_another_gives_up)
    intake.take_all_in(lease)
    assert set(states(mine).values()) == {"taken"}
    kept = Photo.objects.values_list("file", flat=True)
    assert len(kept) == 3
    assert {str(path.relative_to(media)) for path in files_in(media)} == set(kept)


def test_lease_is_renewed_while_originals_are_deleted(media: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow bucket takes longer for a hundred than a lease lasts."""
    _, lease = uploaded([noise(1), noise(2), noise(1), b"no photo"])  # two are new, one is known, one refused
    deleted = {}
    delete_original = intake_files.delete_original

    def delete(of: Intake, file: Any) -> None:
        deleted[file.name] = {type(one) for one in leases._in_a_long_step}
        delete_original(of, file)

    for module in (intake, intake_shards):
        monkeypatch.setattr(module, "delete_original", delete)
    intake.take_all_in(lease)
    holder, both = {Lease}, {Lease, ShardLease}
    assert deleted == {"0.jpg": holder, "1.jpg": holder, "2.jpg": holder, "3.jpg": both}


def test_death_after_the_photos_and_before_their_outcomes_changes_nothing(
    started: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease = plan(started)
    crew.help_out()

    def die(*args: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Hashes, "near_duplicates", die)
        with pytest.raises(KeyboardInterrupt):
            intake.take_all_in(lease)
    assert Photo.objects.count() == 3
    assert set(states(started).values()) == {"waiting", "refused"}
    intake.take_all_in(lease)
    assert (states(started), Photo.objects.count()) == (EXPECTED, 4)


def test_of_photos_added_together_later_ones_are_near_duplicates_of_earlier_originals() -> None:
    def stored(phash: int) -> int:
        name = f"{Photo.objects.count():064}"
        return Photo.objects.create(sha256=name, width=1, height=1, phash=phash).pk

    old, base = stored(-1), 0b101
    hashes = Hashes()
    first, theirs, near, chained, like_theirs = (
        stored(phash) for phash in (base, base ^ 0xFF00, base ^ 0x3F, base ^ 0xFFF, base ^ 0xFF01)
    )
    mine = Photo.objects.filter(pk__in=(first, near, chained, like_theirs))
    found = hashes.near_duplicates({pk: phash or 0 for pk, phash in mine.values_list("pk", "phash")})
    # 12 bits from the first, 6 from a photo that is no original: an original itself.
    assert found == {near: first, like_theirs: theirs}
    later = {stored(base ^ 0xFFE): base ^ 0xFFE, stored(-2): -2}
    assert hashes.near_duplicates(later) == dict(zip(later, (chained, old), strict=True))


def test_new_photos_are_compared_one_by_one_only_with_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """All photos from before are compared at once, also in the first call of an intake."""
    rows = [Photo(sha256=f"{at:064}", width=1, height=1, phash=at * 0x10001) for at in range(30)]
    Photo.objects.bulk_create(rows)
    phashes = dict(Photo.objects.order_by("-pk").values_list("pk", "phash")[:5])
    sizes = []
    nearest = Hashes._nearest

    def count(hashes: Hashes, *args: int) -> int | None:
        sizes.append(len(hashes.fresh))
        return nearest(hashes, *args)

    monkeypatch.setattr(Hashes, "_nearest", count)
    Hashes().near_duplicates({pk: phash or 0 for pk, phash in phashes.items()})
    assert len(sizes) == 5
    assert max(sizes) < 5
