"""Shards: two workers against one, overhead against a raw loop, many small photos, killed workers.

    python -m benchmarks.shards [--photos 600] [--many 0] [--kills 30] [--kill-photos 600] [--rounds 3]

All runs predict a campaign of small JPEGs of noise with the starter "fast", on SQLite, pinned to two cores. A
worker has one thread, so one worker uses one core. "raw" is the same network in one thread, without Django:
read a file, open it, ask, judge. "--many N" takes N small photos in and predicts them, with two workers
(100,000 is the aim). The kills are SIGKILL of a worker that holds a shard, at a random moment; there are two
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
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.small_site import Site, wait_until

if TYPE_CHECKING:
    from jobs.models import Job, Shard
    from trainer.models import TrainedModel
    from validation.models import Campaign, Photo

LEASE = 5  # seconds
SIZE = (96, 72)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--photos", type=int, default=600, help="of each timed run; 0: no timed runs")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--many", type=int, default=0, help="small photos from folder to prediction")
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument(
        "--kill-photos", type=int, default=600, help="predicted by each job that is disturbed"
    )
    parser.add_argument("--shard-photos", type=int, default=50)
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

    def start(self, photos: Sequence[Photo]) -> Campaign:
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


def many(site: Bench, folder: Path, count: int) -> dict[str, Any]:
    """From a folder of small photos to predictions, through an intake into a campaign, with two workers."""
    from validation.models import Photo, Prediction
    from validation.photos.intake import start

    folder.mkdir()
    for number in range(count):
        (folder / f"{number}.jpg").write_bytes(noise(1_000_000 + number))
    site.workers_are(2)
    began = time.monotonic()
    intake = start(name="Many", by=None, folder=str(folder), licence="CC0", consent="own")
    wait_until(lambda: has_ended(intake.job), 36_000, "the intake did not end", every=0.5)
    taken = time.monotonic() - began
    photos = list(Photo.objects.filter(intake_files__intake=intake).distinct())
    site.run(photos)
    seconds = time.monotonic() - began
    return {
        "photos": len(photos),
        "predicted": Prediction.objects.filter(photo__in=photos).count(),
        "seconds_intake": round(taken),
        "seconds": round(seconds),
        "photos_per_second": round(count / seconds, 1),
    }


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
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE bench_written (photo integer)")
        cursor.execute(
            "CREATE TRIGGER bench_write BEFORE INSERT ON validation_prediction"
            " BEGIN INSERT INTO bench_written VALUES (NEW.photo_id); END"
        )
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
        with connection.cursor() as cursor:
            cursor.execute("SELECT COUNT(*), COUNT(DISTINCT photo) FROM bench_written")
            written, distinct = cursor.fetchone()
        twice += written - distinct
        lost += count - distinct
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
