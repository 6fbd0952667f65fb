"""Fifty people vote at once while photos come in and get predictions, connections break and workers die.

    python scripts/with_postgres.py python -m benchmarks.voters [--voters 50] [--votes 40] [--photos 400]
    python -m benchmarks.voters                      the same on SQLite

Real HTTP to `manage.py up`. Everybody uses a guest's link, holds two questions ready, and sends each vote.
One in ten connections is cut before the answer is read, and the vote is sent again with the same idempotency
key, as the page does. One in twenty votes is undone. At the same time an intake adds 300 photos to the
campaign, which get predictions; a web worker and the Celery worker are killed once each. At the end we check
the database: duplicates, missing acknowledged votes, questions with more answers than needed, errors 500.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import numpy as np
import psutil

from benchmarks.site import ROOT, Site

CUT, UNDONE, NEW_PHOTOS = 0.10, 0.05, 300
RATES = {"NEW_GUESTS_RATE": "10000/hour", "GUEST_VOTES_RATE": "100000/minute"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--voters", type=int, default=50)
    parser.add_argument("--votes", type=int, default=40, help="at most, per voter")
    parser.add_argument("--photos", type=int, default=400)
    parser.add_argument("--seed", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--check", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.seed or options.check:
        import django

        django.setup()
        print(json.dumps(check(options.check) if options.check else seed(options.photos)))
        return
    os.environ |= RATES
    with tempfile.TemporaryDirectory(prefix="scenetag-voters-") as name:
        os.environ["PHOTO_ROOTS"] = name
        make_photos(Path(name) / "new")
        site = Site(name)
        try:
            result = measure(site, Path(name), options)
        finally:
            site.stop()
    print(json.dumps(result))


def make_photos(folder: Path, numbers: Iterable[int] = range(NEW_PHOTOS)) -> None:
    from benchmarks.intake import noise

    folder.mkdir()
    for number in numbers:
        noise(number, (640, 480)).save(folder / f"{number}.jpg", quality=85)


# --- voters -----------------------------------------------------------------------------------


@dataclass
class Voter:
    """One person with a browser that remembers acknowledged votes."""

    port: int
    chance: random.Random
    cuts: float = CUT  # share of votes whose answer nobody reads
    cookies: dict[str, str] = field(default_factory=dict)
    kept_ids: set[str] = field(default_factory=set)  # request ids of acknowledged votes that were not undone
    statuses: Counter[int] = field(default_factory=Counter)
    looks: list[float] = field(default_factory=list)  # ms
    votes: list[float] = field(default_factory=list)
    cut: int = 0
    refused_ids: set[str] = field(default_factory=set)  # request ids of refused votes

    def ask(self, method: str, path: str, fields: dict[str, Any] | None = None) -> tuple[int, bytes, str]:
        """Send until somebody answers. Returns status, body and Location header."""
        for attempt in range(200):
            try:
                return self._once(method, path, fields)
            except (OSError, http.client.HTTPException):
                time.sleep(min(0.5, 0.02 * 2**attempt))
        raise SystemExit(f"{path} does not answer")

    def _once(self, method: str, path: str, fields: dict[str, Any] | None) -> tuple[int, bytes, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
            if fields is not None:
                headers |= {
                    "Content-Type": "application/x-www-form-urlencoded",
                    "X-CSRFToken": self.cookies.get("csrftoken", ""),
                    "Referer": f"http://127.0.0.1:{self.port}/",
                }
            connection.request(method, path, urlencode(fields) if fields is not None else None, headers)
            if fields is not None and "request_id" in fields and self.chance.random() < self.cuts:
                self.cut += 1
                raise OSError("cut")  # nobody reads the answer
            response = connection.getresponse()
            body = response.read()
        finally:
            connection.close()
        for value in response.headers.get_all("Set-Cookie") or []:
            self.cookies |= {name: morsel.value for name, morsel in SimpleCookie(value).items()}
        self.statuses[response.status] += 1
        return response.status, body, response.headers.get("Location", "")

    def join(self, path: str) -> None:
        self.ask("GET", path)
        status, _, self.page = self.ask("POST", path, {})
        assert status == 302, status

    def go(self, max_votes: int) -> None:
        vote_count, empty_answers = 0, 0
        while vote_count < max_votes and empty_answers < 3:
            began = time.perf_counter()
            status, body, _ = self.ask("GET", f"{self.page}next/?n=2")
            self.looks.append((time.perf_counter() - began) * 1000)
            questions = json.loads(body)["questions"] if status == 200 else []
            empty_answers = 0 if questions else empty_answers + 1
            for question in questions:
                vote_count += self.vote(question)

    def vote(self, question: dict[str, Any]) -> int:
        request_id = str(uuid4())
        answer = self.chance.choices(["fits", "does_not_fit", "skip"], [70, 25, 5])[0]
        fields = {"photo": question["photo"], "hashtag": question["hashtag"], "answer": answer}
        began = time.perf_counter()
        status, _, _ = self.ask(
            "POST", f"{self.page}votes/", fields | {"request_id": request_id, "seconds": 2}
        )
        self.votes.append((time.perf_counter() - began) * 1000)
        if status != 200:
            self.refused_ids.add(request_id)
            return 0
        self.kept_ids.add(request_id)
        if self.chance.random() < UNDONE:
            status, *_ = self.ask("POST", f"{self.page}take-back/", {"request_id": request_id})
            # After a cut, a repeated undo finds nothing to undo, but the vote is gone all the same.
            if status == 200:
                self.kept_ids.discard(request_id)
            return 0
        return 1


# --- the run ----------------------------------------------------------------------------------


def measure(site: Site, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    facts = in_the_database(folder, ["--seed", "--photos", str(options.photos)])
    voters = [Voter(site.port, random.Random(number)) for number in range(options.voters)]
    for voter in voters:
        voter.join(facts["link"])
    began = time.monotonic()
    killer = threading.Thread(target=kill_both, args=(site,))
    killer.start()
    with ThreadPoolExecutor(options.voters) as threads:
        list(threads.map(lambda voter: voter.go(options.votes), voters))
    seconds = time.monotonic() - began
    killer.join()
    record_file = folder / "kept.json"
    record = {"kept": [one for voter in voters for one in voter.kept_ids]}
    record["refused"] = [one for voter in voters for one in voter.refused_ids]
    record_file.write_text(json.dumps({**record, **facts}))
    findings = in_the_database(folder, ["--check", str(record_file)])
    statuses: Counter[int] = sum((voter.statuses for voter in voters), Counter())
    look_times = np.concatenate([voter.looks for voter in voters])
    vote_times = np.concatenate([voter.votes for voter in voters])
    result = {
        "database": "PostgreSQL" if "DATABASE_URL" in os.environ else "SQLite",
        "voters": options.voters,
        "seconds": round(seconds, 1),
        "acknowledged": sum(len(voter.kept_ids) for voter in voters),
        "votes_per_s": round(len(vote_times) / seconds, 1),
        "connections_cut": sum(voter.cut for voter in voters),
        "refused_in_words": len(record["refused"]),
        "errors_500": sum(n for status, n in statuses.items() if status >= 500),
        "next_p95_ms": round(float(np.percentile(look_times, 95))),
        "vote_p95_ms": round(float(np.percentile(vote_times, 95))),
        **findings,
    }
    for name, value in result.items():
        print(f"{name:<28}{value}")
    return result


def kill_both(site: Site) -> None:
    """Kill a web worker and the Celery worker after a few seconds. Gunicorn restarts the web worker."""
    time.sleep(3)
    web = processes(site, "gunicorn")
    web[-1].send_signal(signal.SIGKILL)  # the first process is the master
    time.sleep(2)
    processes(site, "celery")[0].send_signal(signal.SIGKILL)


def processes(site: Site, word: str) -> list[psutil.Process]:
    """The site's processes with this word in their command line, oldest first."""
    matches = []
    for one in psutil.Process(site.process.pid).children(recursive=True):
        try:
            if word in " ".join(one.cmdline()):
                matches.append((one.create_time(), one.pid, one))
        except psutil.NoSuchProcess:
            continue
    return [one for *_, one in sorted(matches)]


def in_the_database(folder: Path, argv: list[str]) -> dict[str, Any]:
    environment = os.environ | {
        "SCENETAG_VAR": str(folder),
        "DJANGO_SETTINGS_MODULE": "hashtags_site.settings",
    }
    command = [sys.executable, "-m", "benchmarks.voters", *argv]
    process = subprocess.run(
        command, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE, text=True
    )
    answer: dict[str, Any] = json.loads(process.stdout.splitlines()[-1])
    return answer


def seed(photos: int) -> dict[str, Any]:
    from django.conf import settings
    from django.urls import reverse

    from benchmarks.voting import bulk_photos, bulk_predictions
    from trainer.registry import serving
    from validation.campaigns.questions import make_questions
    from validation.models import Campaign, GoldAnswer, Question
    from validation.people import guests
    from validation.photos import intake

    model = serving.active_model()
    assert model
    campaign = Campaign.objects.create(
        name="Many", model=model, votes_per_photo=3, extra_votes=2, audience="link", gold_share=0.05
    )
    bulk_predictions(model, bulk_photos(campaign, photos))
    make_questions(campaign=campaign)
    for one in Question.objects.filter(campaign=campaign)[:20]:
        GoldAnswer.objects.create(photo_id=one.photo_id, hashtag_id=one.hashtag_id, fits=True)
    new_intake = intake.start(
        name="New", by=None, folder=str(settings.PHOTO_ROOTS[0] / "new"), campaign=campaign
    )
    link = reverse("validation:join", args=[guests.token(campaign)])
    return {"campaign": campaign.pk, "intake": new_intake.pk, "link": link}


def check(record_file: Path) -> dict[str, Any]:
    """Check the database after the predictions have ended."""
    from django.db import transaction
    from django.db.models import Count

    from validation.campaigns.counts import recount
    from validation.models import Campaign, Intake, Participation, Question, Vote

    record = json.loads(record_file.read_text())
    campaign = Campaign.objects.select_related("job").get(pk=record["campaign"])
    until = time.monotonic() + 120
    while campaign.job and campaign.job.is_live and time.monotonic() < until:
        time.sleep(0.5)
        campaign = Campaign.objects.select_related("job").get(pk=campaign.pk)
    votes = Vote.objects.filter(campaign=campaign)
    ids = {str(one) for one in votes.values_list("request_id", flat=True)}
    duplicates = votes.order_by().values("photo", "hashtag", "person").annotate(n=Count("pk")).filter(n__gt=1)
    questions = Question.objects.filter(campaign=campaign).order_by("pk")
    fields = ("pk", "fits", "does_not_fit", "skips", "needed", "is_done")
    before = list(questions.values_list(*fields))
    with transaction.atomic():
        recount(votes.values_list("photo_id", "hashtag_id"))
    after = questions.values_list(*fields)
    parts = Participation.objects.filter(campaign=campaign)
    participation_votes = sum(part.fits + part.does_not_fit + part.skips for part in parts)
    intake = Intake.objects.select_related("job").get(pk=record["intake"])
    return {
        "votes": len(ids),
        "duplicate_votes": duplicates.count(),
        "acknowledged_votes_lost": len(set(record["kept"]) - ids),
        "refused_votes_kept": len(set(record["refused"]) & ids),
        "over_quota": over_quota(campaign),
        "counts_wrong": sum(one != other for one, other in zip(before, after, strict=True)),
        "participation_wrong": abs(participation_votes - len(ids)),
        "intake_job": intake.job.state if intake.job else "",
        "prediction_job": campaign.job.state if campaign.job else "",
        "photos_predicted": campaign.photos.filter(predictions__model=campaign.model).count(),
    }


def over_quota(campaign: Any) -> int:
    """The number of votes on questions that needed no more, found by replaying all votes in order.

    Gold photos are shown to everybody, so they do not count. Skips are not answers.
    """
    from validation.campaigns.counts import count_needed
    from validation.models import GoldAnswer, Question, Vote

    gold_pairs = set(GoldAnswer.objects.values_list("photo_id", "hashtag_id"))
    kinds = {(one.photo_id, one.hashtag_id): one.kind for one in Question.objects.filter(campaign=campaign)}
    counts: dict[tuple[int, int], list[int]] = {}
    over = 0
    rows = Vote.objects.filter(campaign=campaign).exclude(answer="skip").order_by("pk")
    for photo, hashtag, answer in rows.values_list("photo_id", "hashtag_id", "answer"):
        pair = photo, hashtag
        if pair in gold_pairs or kinds.get(pair) == "gold":
            continue
        fits, not_fitting = counts.setdefault(pair, [0, 0])
        extra = campaign.extra_votes if kinds.get(pair) == "suggestion" else 0
        needed_votes = count_needed(
            votes_per_photo=campaign.votes_per_photo,
            extra_votes=extra,
            fits=fits,
            does_not_fit=not_fitting,
        )
        over += fits + not_fitting >= needed_votes
        counts[pair][answer != "fits"] += 1
    return over


if __name__ == "__main__":
    main()
