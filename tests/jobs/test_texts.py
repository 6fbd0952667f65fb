"""What a job says is kept in English, and shown in the language of each reader."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from django.test import Client
from django.utils import translation

from formats.texts import Text
from jobs import crew, queue, registry, shards
from jobs.lease import JobError, Lease, claim
from jobs.models import Job, Shard
from jobs.processes import MEMORY_HINT
from jobs.shards import Part, ShardLease
from notices.models import Notice
from notices.words import shown

pytestmark = pytest.mark.django_db
ClientFor = Callable[..., Client]
RUSSIAN = {"Accept-Language": "ru"}


@pytest.fixture
def kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(lease: Lease) -> None:
        error = Text("%(n)s of the uploaded files could not be deleted.", n=1200)
        raise JobError(error, Text("Retry to delete them."))

    def split(lease: Lease) -> None:
        shards.plan(lease, [Part(Text("files %(first)s to %(last)s", first=1, last=2), 2)])
        crew.work_off(lease, total=2, message=Text("Opening photos"))

    @contextmanager
    def refusing(job: Job) -> Iterator[Callable[[ShardLease], None]]:
        def refuse(lease: ShardLease) -> None:
            raise JobError(Text("“%(model)s” has not been exported yet.", model="Ночь"), MEMORY_HINT)

        yield refuse

    monkeypatch.setattr(registry, "_kinds", dict(registry._kinds))
    registry.register("t.fails", fail)
    registry.register("t.split", split, shards=refusing)


def page(client: Client, path: str, **headers: str) -> str:
    return " ".join(client.get(path, headers=headers).content.decode().split())


def test_a_failed_job_is_read_in_the_readers_language(
    kinds: None, run_jobs: Callable[[], list[Job]], client_for: ClientFor
) -> None:
    job = queue.enqueue(kind="t.fails", title=Text("Take in “%(name)s”", name="100 % <Лето>"), by=None)
    run_jobs()
    job.refresh_from_db()
    assert job.title == "Take in “100 % <Лето>”"
    assert job.error == "1,200 of the uploaded files could not be deleted."
    assert job.hint == "Retry to delete them."
    admin = client_for("admin")
    own, rows = page(admin, f"/jobs/{job.pk}/", **RUSSIAN), page(admin, "/jobs/", **RUSSIAN)
    for text in (own, rows):
        assert "Принять «100 % &lt;Лето&gt;»" in text
        assert "Не удалось удалить загруженные файлы: 1 200." in text
    assert "Попробуйте ещё раз, чтобы удалить их." in own
    assert "Принять «100 % &lt;Лето&gt;»: не удалось" in page(admin, "/notices/", **RUSSIAN)
    assert Notice.objects.get().facts["error"] == job.error
    assert "1,200 of the uploaded files could not be deleted." in page(admin, f"/jobs/{job.pk}/")


def test_shards_and_progress_are_read_in_the_readers_language(
    kinds: None, run_jobs: Callable[[], list[Job]], client_for: ClientFor
) -> None:
    job = queue.enqueue(kind="t.split", title=Text("Export “%(name)s”", name="Ночь"), by=None)
    run_jobs()
    job.refresh_from_db()
    assert job.error == "Shard 1 (files 1 to 2): “Ночь” has not been exported yet."
    text = page(client_for("admin"), f"/jobs/{job.pk}/", **RUSSIAN)
    assert "Часть 1 (файлы с 1 по 2): Модель «Ночь» ещё не экспортирована." in text
    assert "Часть 1 (файлы с 1 по 2), попытка 1: Модель «Ночь»" in text
    assert "Обычно машине не хватило памяти" in text
    assert "Повтор сделает только недостающее." in text
    assert Shard.objects.get().label == "files 1 to 2"

    queue.retry(job=job, by=None)
    lease = claim(job.pk)
    assert lease
    lease.beat(1, 2, Text("Opening photos"))
    text = page(client_for("admin"), f"/jobs/{job.pk}/", **RUSSIAN)
    assert "Открытие фото" in text
    assert "Модель «Ночь» ещё не экспортирована. </strong>" not in text
    lease.give_back()
    assert "Ждёт рабочего процесса, чтобы продолжить" in page(client_for("admin"), "/jobs/", **RUSSIAN)


def test_what_old_rows_say_is_shown_as_it_is(client_for: ClientFor) -> None:
    job = Job.objects.create(kind="x", title="Predict 100 % of Summer", message="Opening photos")
    text = page(client_for("admin"), f"/jobs/{job.pk}/", **RUSSIAN)
    assert "Predict 100 % of Summer" in text
    assert "Opening photos" in text


def test_a_dead_jobs_reason_is_part_of_a_sentence_in_the_readers_language() -> None:
    lease = claim(queue.enqueue(kind="x", title="x", by=None).pk)
    assert lease
    lease.died(Text("The program was ended from outside (%(signal)s).", signal="SIGKILL"), MEMORY_HINT)
    job = Job.objects.get()
    assert job.message == "The program was ended from outside (SIGKILL). It will continue where it stopped"
    with translation.override("ru"):
        assert job.shown_message == "Программа завершена извне (SIGKILL). Продолжится с того же места"
        assert shown("") == shown(Text("")) == ""
