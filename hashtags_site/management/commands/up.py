"""`manage.py up`: the whole site from one command, and every process of it ended by Ctrl-C."""

from __future__ import annotations

import ctypes
import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connections
from django.utils import timezone

from hashtags_site import setup
from hashtags_site.roles import setup_roles
from hashtags_site.valkey import answers, valkey_command
from jobs.models import Worker
from people import accounts

STOP_SECONDS = 8.0  # what a process gets to end by itself
PR_SET_PDEATHSIG = 1


def _die_with_parent() -> None:
    """Linux ends the child when `up` itself is killed hard; elsewhere Ctrl-C is what ends it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def check_free(host: str, port: int) -> None:
    """Raises CommandError if another program listens there, before anything is started."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            words = f"Port {port} of {host} cannot be used ({error.strerror})."
            raise CommandError(f"{words} Choose another: PORT=8001 make demo") from error


def is_served(host: str, port: int) -> bool:
    """Whether the site answers. Its redirect to https or a refusal of our host name is an answer, too."""
    address = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    connection = http.client.HTTPConnection(address, port, timeout=2)
    try:
        connection.request("GET", "/health/")
        return connection.getresponse().status < 500
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


class Part:
    """One process of the site, started again when it dies."""

    def __init__(self, name: str, argv: list[str], **environment: str) -> None:
        self.name, self.argv, self.environment = name, argv, os.environ | environment
        self.start()

    def start(self) -> None:
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            self.argv,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=_die_with_parent,
        )

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()

    def wait(self, until: float) -> None:
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(max(0.1, until - time.monotonic()))
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)  # and whatever it left behind
        self.process.wait()


def _has_ended(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except PermissionError:  # it is somebody else's
        pass
    return False


class Command(BaseCommand):
    help = "Prepare the database and start the site: web server, worker and, without REDIS_URL, a Valkey."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=int(os.environ.get("PORT", 8000)))
        parser.add_argument("--web-workers", type=int, default=2)
        parser.add_argument("--demo", action="store_true", help="load sample photos and demo accounts")

    def handle(self, *args: Any, **options: Any) -> None:
        self.parts: list[Part] = []
        self.stopping = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda *_: self.stopping.set())
        check_free(options["host"], options["port"])
        began = time.monotonic()
        try:
            self._prepare(demo=options["demo"])
            if not self.stopping.is_set():
                self._start(options)
                if self._wait_until_ready(options):
                    self._say_where(options, time.monotonic() - began)
                self._watch()
        finally:
            self._stop()

    def _prepare(self, *, demo: bool) -> None:
        if "REDIS_URL" not in os.environ:
            self._start_valkey()
        if demo:
            os.environ["SCENETAG_DEMO"] = "1"
        call_command("migrate", verbosity=0)
        setup_roles()
        call_command("collectstatic", interactive=False, verbosity=0)
        is_pending = not demo and setup.is_pending()  # then an administrator chooses what is loaded
        connections.close_all()
        if is_pending:
            return
        # In a process of its own: it loads a model, and this one shall stay small for as long as it watches.
        prepare = [sys.executable, str(settings.BASE_DIR / "manage.py"), "prepare", *["--demo"] * demo]
        if subprocess.run(prepare, check=False).returncode:
            raise CommandError("The start is not complete: see the message above.")

    def _start_valkey(self) -> None:
        socket: Path = settings.VALKEY_SOCKET
        if answers(socket):
            raise CommandError(f"Scenetag is already running here ({settings.VAR_DIR}). Stop it first.")
        socket.unlink(missing_ok=True)
        self.parts.append(Part("valkey", valkey_command(socket)))
        while not answers(socket):
            if self.parts[0].process.poll() is not None:
                raise CommandError(
                    "The embedded Valkey does not start: set REDIS_URL to a Redis of your own."
                )
            time.sleep(0.02)

    def _start(self, options: dict[str, Any]) -> None:
        bind = f"{options['host']}:{options['port']}"
        web = ["gunicorn", "hashtags_site.wsgi", "--bind", bind, "--workers", str(options["web_workers"])]
        web += ["--worker-class", "hashtags_site.front.worker.Worker", "--threads", "4", "--timeout", "60"]
        web += ["--log-level", "warning", "--preload"]
        worker = [
            "celery",
            "--quiet",
            "-A",
            "hashtags_site",
            "worker",
            "--pool",
            "threads",
            "--concurrency",
            str(settings.TRAINING_SLOTS + 1),  # trainings never keep short jobs from being done
        ]
        worker += ["--loglevel", "WARNING", "--without-gossip", "--without-mingle"]
        quiet = ["-W", "ignore:You're running the worker"]  # a container's only user is root
        self.parts += [
            # Its suggester learns beside the pages: on one core.
            Part("web", [sys.executable, "-m", *web], OPENBLAS_NUM_THREADS="1"),
            Part("worker", [sys.executable, *quiet, "-m", *worker]),
        ]

    def _wait_until_ready(self, options: dict[str, Any]) -> bool:
        deadline = time.monotonic() + 60
        began = timezone.now()
        while time.monotonic() < deadline and not self.stopping.is_set():
            web = self._part("web")
            if web.process.poll() is not None:
                self.stopping.set()
                raise CommandError("The web server did not start: see its message above.")
            served = is_served(options["host"], options["port"])
            if served and Worker.objects.filter(seen_at__gte=began).exists():
                return True
            time.sleep(0.1)
        return False

    def _part(self, name: str) -> Part:
        return next(part for part in self.parts if part.name == name)

    def _say_where(self, options: dict[str, Any], seconds: float) -> None:
        host = "localhost" if options["host"] in ("127.0.0.1", "0.0.0.0") else options["host"]  # noqa: S104
        self.stdout.write(self.style.SUCCESS(f"\nScenetag is ready after {seconds:.0f} s."))
        self.stdout.write(f"\n  Open  http://{host}:{options['port']}/\n")
        if options["demo"]:
            from hashtags_site.demo import ACCOUNTS

            self.stdout.write("\n  Demo accounts (the password is the same word):")
            for name, _, what in ACCOUNTS:
                self.stdout.write(f"    {name:<10} {what}")
        self._say_how_to_begin(f"http://{host}:{options['port']}")
        self.stdout.write("\n  Ctrl-C stops everything.\n")
        self.stdout.flush()

    def _say_how_to_begin(self, site: str) -> None:
        if accounts.administrators().exists():
            return
        self.stdout.write("\n  Nobody manages this site yet. This link makes one administrator, for a day:")
        self.stdout.write(f"\n    {accounts.make_administrator_link(site=site)}\n")
        self.stdout.write(f"\n  Another one: python manage.py administrator_link --site {site}")

    def _watch(self) -> None:
        """Start a dead part again, until somebody asks to stop."""
        while not self.stopping.wait(0.5):
            for part in self.parts:
                code = part.process.poll()
                if code is None or time.monotonic() - part.started < 2:
                    continue
                self.stderr.write(f"{part.name} ended (code {code}); starting it again")
                part.start()

    def _stop(self) -> None:
        """Worker and web first: they still talk to the queue while they end."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        until = time.monotonic() + STOP_SECONDS
        rest = [part for part in self.parts if part.name != "valkey"]
        for part in rest:
            part.stop()
        for part in rest:
            part.wait(until)
        for part in self.parts:
            if part.name == "valkey":
                part.stop()
                part.wait(time.monotonic() + 2)
        if self.parts:  # nothing of a site that was running here before
            for counts in settings.METRICS_DIR.glob("*_*.db"):
                if _has_ended(int(counts.stem.rpartition("_")[2])):
                    counts.unlink(missing_ok=True)
            self.stdout.write("Scenetag has stopped.")
