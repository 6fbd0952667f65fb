"""Shards: two workers against one, overhead against a raw loop, many small photos, killed workers.

    python -m benchmarks.shards [--photos 600] [--many 0] [--kills 30] [--kill-photos 600] [--rounds 3]

All runs predict a campaign of small JPEGs of noise with the starter "fast", on SQLite, pinned to two cores. A
worker has one thread, so one worker uses one core. "raw" is the same network in one thread, without Django:
read a file, open it, ask, judge. "--many N" takes N small photos in and predicts them, with two workers
(100,000 is the aim), and says of both how long they took, in which steps, the workers' memory, and what was
written twice or lost. The kills are SIGKILL of a worker that holds a shard, at a random moment; there are two
workers, and the killed one is started again. A trigger of the database counts every write of a prediction,
also one that a constraint would ignore: so "twice" is what workers really wrote twice. Speed says something
only on two idle cores; the kills do not depend on it.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import random
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil

from benchmarks.small_site import Site, wait_until

if TYPE_CHECKING:
    from jobs.models import Job, Shard
    from trainer.models import TrainedModel
    from validation.models import Campaign, Photo

LEASE = 5  # seconds
SIZE = (96, 72)
NOTED = (
    "CREATE TABLE IF NOT EXISTS bench_written (sha256, photo)",
    "CREATE TRIGGER IF NOT EXISTS bench_photo BEFORE INSERT ON validation_photo"
    " BEGIN INSERT INTO bench_written (sha256) VALUES (NEW.sha256); END",
    "CREATE TRIGGER IF NOT EXISTS bench_prediction BEFORE INSERT ON validation_prediction"
    " BEGIN INSERT INTO bench_written (photo) VALUES (NEW.photo_id); END",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--photos", type=int, default=600, help="of each timed run; 0: no timed runs")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--many", type=int, default=0, help="small photos from folder to prediction")
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument(
        "--kill-photos", type=int, default=600, help="predicted by each job that is disturbed"
    )
    parser.add_argument("--shard-photos", type=int, default=50, help="256 is the site's usual")
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])
    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="scenetag-shards-") as name:
        folder = Path(name)
        environment = {"STARTER": "fast", "SHARD_PHOTOS": str(options.shard_photos), "SHARD_HELPERS": "1"}
        site = Bench(folder / "var", lease=LEASE, PHOTO_ROOTS=str(folder), **environment)
        try:
            site.prepare()
            if options.photos:
                result |= timed(site, options.photos, options.rounds)
            if options.many:
                result["many"] = many(site, folder / "many", options.many)
            if options.kills:
                result["kills"] = killed(site, options.kill_photos, options.kills)
        finally:
            site.stop()
    for row, value in result.items():
        print(f"{row:24} {value}")
    print(json.dumps(result))


class Bench(Site):
    """A small site whose workers have one thread each."""

    concurrency = 1

    def prepare(self) -> None:
        from trainer.registry.starter import install_starters

        self.model: TrainedModel = install_starters(wanted="fast")[0]
        self.campaigns = 0

    def workers_are(self, count: int) -> None:
        from jobs.models import Worker

        while len(self.workers) > count:
            self.kill_worker(self.workers[-1])
        while len(self.workers) < count:
            self.start_worker()
        pids = {str(part.process.pid) for part in self.workers}

        def are_there() -> bool:
            names = Worker.objects.live().values_list("name", flat=True)
            return pids <= {name.rpartition(":")[2] for name in names}

        Worker.objects.all().delete()
        wait_until(are_there, 120, "a worker did not start")

    def start(self, photos: Iterable[Photo]) -> Campaign:
        from validation.campaigns.acts import create_campaign
        from validation.models import Prediction

        Prediction.objects.all().delete()
        self.campaigns += 1
        return create_campaign(name=f"Run {self.campaigns}", model=self.model, photos=photos, by=None)

    def last_shards(self) -> list[Shard]:
        from jobs.models import Job

        return list(Job.objects.latest("created_at").shards.all())

    def run(self, photos: Sequence[Photo]) -> tuple[float, float]:
        """Seconds of the whole job, and from the first shard's start to the last one's end."""
        job = self.start(photos).job
        assert job
        wait_until(lambda: has_ended(job), 3600, "the job did not end", every=0.2)
        shards = self.last_shards()
        began, ended = (
            min(shard.started_at for shard in shards if shard.started_at),
            max(shard.finished_at for shard in shards if shard.finished_at),
        )
        assert job.started_at
        assert job.finished_at
        return (job.finished_at - job.started_at).total_seconds(), (ended - began).total_seconds()


def has_ended(job: Any) -> bool:
    job.refresh_from_db()
    if job.state in ("failed", "cancelled"):
        raise RuntimeError(f"{job}: {job.error} {job.hint}")
    return not job.is_live


def noise(number: int) -> bytes:
    rng = np.random.default_rng(number)
    from PIL import Image

    pixels = rng.integers(0, 255, (SIZE[1] // 8, SIZE[0] // 8, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).resize(SIZE, Image.Resampling.BICUBIC).save(file, "JPEG")
    return file.getvalue()


def stored(count: int, first: int = 0) -> list[Photo]:
    from validation.photos.store import take_in

    return [
        take_in(file=io.BytesIO(noise(number)), name=f"{number}.jpg", by=None)
        for number in range(first, first + count)
    ]


# --- speed ------------------------------------------------------------------------------------


def timed(site: Bench, count: int, rounds: int) -> dict[str, Any]:
    """Photos a second: raw, one worker, two workers, in turn."""
    from trainer.engine.serving.predict import Suggester

    photos = stored(count)
    paths = [photo.file.path for photo in photos]
    network = Suggester(site.model.folder, threads=1)
    list(network.suggest(paths[:20]))
    seconds: dict[str, list[float]] = {"raw": [], "one": [], "one_shards": [], "two": [], "two_shards": []}
    for _ in range(rounds):
        site.workers_are(0)
        began = time.monotonic()
        list(network.suggest(paths))
        seconds["raw"].append(time.monotonic() - began)
        for workers, row in ((1, "one"), (2, "two")):
            site.workers_are(workers)
            site.run(photos[:100])  # every worker has its network now
            whole, shards = site.run(photos)
            seconds[row].append(whole)
            seconds[f"{row}_shards"].append(shards)
    middle = {row: median(some) for row, some in seconds.items()}
    return {
        "photos_per_second": {row: round(count / value, 1) for row, value in middle.items()},
        "two_to_one": round(middle["one"] / middle["two"], 2),
        "two_to_one_shards": round(middle["one_shards"] / middle["two_shards"], 2),
        "overhead": round(middle["one"] / middle["raw"] - 1, 3),
        "overhead_shards": round(middle["one_shards"] / middle["raw"] - 1, 3),
    }


# --- many photos ------------------------------------------------------------------------------


def many(site: Bench, folder: Path, count: int) -> dict[str, Any]:
    """From a folder of small photos to predictions, through an intake, with two workers. Of 100 files one is
    an equal copy of an earlier file, and one is an earlier photo saved again at another quality.
    """
    from django.conf import settings
    from django.db import connection

    from validation.models import Photo, Prediction, Question
    from validation.photos.intake import start

    began = time.monotonic()
    copies = _write_many(folder, count)
    print(f"{count:,} files written in {time.monotonic() - began:.0f} s", file=sys.stderr)
    _note_writes()
    site.workers_are(2)
    before = Photo.objects.count()
    intake = start(name="Many", by=None, folder=str(folder), licence="CC0", consent="own")
    assert intake.job
    result: dict[str, Any] = {"files": count, "intake": _watched(site, intake.job, count)}
    photos = Photo.objects.filter(intake_files__intake=intake).distinct()
    n_photos = photos.count()
    outcomes = Counter(intake.files.values_list("state", flat=True))
    written, different, *_ = _written()
    lost = count - copies - (Photo.objects.count() - before)
    result["intake"] |= dict(outcomes) | {"twice": written - different, "lost": lost}

    campaign = site.start(photos)
    assert campaign.job
    result["prediction"] = _watched(site, campaign.job, n_photos)
    *_, written, different = _written()
    result["prediction"] |= {
        "questions": Question.objects.of_campaign(campaign).count(),
        "twice": written - different,
        "lost": n_photos - Prediction.objects.filter(photo__in=photos).count(),
    }
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    result["database_mb"] = round(Path(settings.DATABASES["default"]["NAME"]).stat().st_size / 2**20)
    return result


def _write_many(folder: Path, count: int) -> int:
    """Returns how many are equal copies."""
    from PIL import Image

    copies = 0
    for number in range(count):
        place = folder / f"{number // 1000:03}"
        place.mkdir(parents=True, exist_ok=True)
        content = noise(1_000_000 + number - (25 if number % 50 == 49 else 0))
        if number % 100 == 49:
            again = io.BytesIO()
            Image.open(io.BytesIO(content)).save(again, "JPEG", quality=60)
            content = again.getvalue()
        elif number % 100 == 99:
            copies += 1
        (place / f"{number}.jpg").write_bytes(content)
    return copies


def _watched(site: Bench, job: Job, count: int) -> dict[str, Any]:
    """Wait for the job: photos a second, seconds by what its page said, and of the workers their processor
    time and peaks of memory.
    """
    phases: Counter[str] = Counter()
    last = time.monotonic()
    processor = _processor_seconds(site)

    def look() -> bool:
        nonlocal last
        ended, now = has_ended(job), time.monotonic()
        phases[job.message] += now - last  # type: ignore[assignment]
        last = now
        return ended

    wait_until(look, 36_000, "the job did not end", every=0.2)
    job.refresh_from_db()
    assert job.started_at
    assert job.finished_at
    seconds = (job.finished_at - job.started_at).total_seconds()
    return {
        "seconds": round(seconds, 1),
        "photos_per_second": round(count / seconds, 1),
        "processor_ms_a_photo": round(1000 * (_processor_seconds(site) - processor) / count, 1),
        "phases": {words: round(value, 1) for words, value in phases.items() if words},
        "attempts": job.token,
        "shards_by_worker": sorted(Counter(job.shards.values_list("worker", flat=True)).values()),
        "memory_mb": [_peak_mb(part.process.pid) for part in site.workers],
    }


def _processor_seconds(site: Bench) -> float:
    times = [psutil.Process(part.process.pid).cpu_times() for part in site.workers]
    return sum(one.user + one.system for one in times)


def _peak_mb(pid: int) -> int:
    """A process's peak of memory so far, where Linux tells it; otherwise what it has now."""
    status = Path(f"/proc/{pid}/status")
    if status.exists():
        kilobytes = re.search(r"VmHWM:\s+(\d+)", status.read_text())
        return int(kilobytes[1]) >> 10 if kilobytes else 0
    return int(psutil.Process(pid).memory_info().rss) >> 20


def _note_writes() -> None:
    """Have the database note every write of a photo or prediction, also one that a constraint ignores."""
    from django.db import connection

    with connection.cursor() as cursor:
        for statement in NOTED:
            cursor.execute(statement)


def _written() -> tuple[int, int, int, int]:
    """Writes of photos, different photos; writes of predictions, different photos that have them."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT COUNT(sha256), COUNT(DISTINCT sha256), COUNT(photo), COUNT(DISTINCT photo)"
            " FROM bench_written"
        )
        photos, different, predictions, predicted = cursor.fetchone()
    return photos, different, predictions, predicted


# --- kills ------------------------------------------------------------------------------------


def killed(site: Bench, count: int, kills: int) -> dict[str, Any]:
    """Kill one of two workers at random moments of prediction jobs, in as many rounds as it takes.

    The next kill comes once the killed worker is there again, after a time drawn between nothing and four
    times what a shard takes undisturbed. A job that fails by its bound of deaths is tried again, as a person
    would; how often is told.
    """
    from django.db import connection

    rng = random.Random(0)
    photos = stored(count, first=500_000)
    _note_writes()
    site.workers_are(2)
    site.run(photos)
    shards = site.last_shards()
    usual = median(seconds for shard in shards if (seconds := shard.seconds))
    done = rounds = twice = lost = given_up = 0
    both = 0  # kills while the other worker was at work, too
    while done < kills:
        rounds += 1
        site.workers_are(2)
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM bench_written")
        job = site.start(photos).job
        assert job
        while job.is_live and done < kills:
            time.sleep(rng.uniform(0, 4 * usual))
            job.refresh_from_db()
            if not job.is_live:
                break
            names = job.shards.filter(state="running").values_list("worker", flat=True)
            pids = {name.rpartition(":")[2] for name in names}
            at_work = [part for part in site.workers if str(part.process.pid) in pids]
            if not at_work:
                continue
            site.kill_worker(rng.choice(at_work))
            site.workers_are(2)
            done, both = done + 1, both + (len(at_work) == 2)
            print(f"kill {done}: {job.shards.filter(state='done').count()} shards done", file=sys.stderr)
        given_up += _finish(job)
        *_, written, different = _written()
        twice += written - different
        lost += count - different
    return {
        "seconds_of_a_shard": round(usual, 1),
        "kills": done,
        "kills_while_both_worked": both,
        "rounds": rounds,
        "photos": rounds * count,
        "twice": twice,
        "lost": lost,
        "tried_again": given_up,
    }


def _finish(job: Job) -> int:
    """Wait for the job's end, and try it again while it fails. Returns how often that was."""
    from jobs import queue

    for times in range(100):
        try:
            wait_until(lambda: has_ended(job), 1800, "the job did not end", every=0.2)
        except RuntimeError as error:
            print(error, file=sys.stderr)
            queue.retry(job=job, by=None)
        else:
            return times
    raise RuntimeError(f"{job} failed a hundred times")


if __name__ == "__main__":
    main()
