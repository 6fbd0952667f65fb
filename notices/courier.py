"""Delivers notices to hooks, and e-mails to people, in two threads of each worker.

It is no job: jobs wait while all slots of a worker train, for hours. It asks the database for what is due, so
nothing is lost while the queue is away or a worker is killed. Several workers can safely do it at once: a
delivery is taken by one conditional UPDATE, and belongs to its taker until `due_at`.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from datetime import timedelta

import urllib3
from celery.signals import worker_ready, worker_shutting_down
from django.db import close_old_connections, transaction
from django.db.models import F
from django.utils import timezone
from urllib3.exceptions import HTTPError

from formats.json_text import to_json
from notices import signatures, targets
from notices.models import Delivery, Hook, Notice
from people import letters
from people.deeds import record

EVERY = 2.0  # seconds between looks at what is due
SECONDS = 10.0  # that an attempt may take
TAKEN = timedelta(seconds=60)  # after which the delivery of a courier that died is due again
# Between attempts. After the last one, nine hours after the first, the delivery has failed.
PAUSES = tuple(timedelta(seconds=s) for s in (10, 60, 300, 1800, 7200, 21600))
MOST_FAILURES = 20  # attempts in a row; then the hook is switched off
KEPT = timedelta(days=90)  # notices, and so deliveries
SHOWN = 200  # characters of an error
log = logging.getLogger(__name__)
_stopping = threading.Event()


def deliver_due() -> int:
    """Try one delivery of each hook that has one due; the number of attempts. So a hook that does not answer
    delays the others by SECONDS at most, however much waits for it."""
    attempts = 0
    for hook in Hook.objects.filter(pk__in=Delivery.objects.due().values("hook")):
        first = Delivery.objects.due().filter(hook=hook).order_by("due_at", "pk").first()
        if first and _take(first):
            status, error = _send(hook, first)
            _note(first, status, error)
            attempts += 1
    return attempts


def forget_old() -> None:
    Notice.objects.filter(at__lt=timezone.now() - KEPT).delete()


def body_of(notice: Notice) -> bytes:
    """The same in each attempt, so that a receiver can tell by the id what it has had before."""
    facts = {"event": notice.event, "title": notice.title, "url": notice.url, "facts": notice.facts}
    return to_json({"id": notice.pk, "at": notice.at.isoformat(), **facts}).encode()


def _take(delivery: Delivery) -> bool:
    now = timezone.now()
    row = Delivery.objects.due().filter(pk=delivery.pk, due_at=delivery.due_at)
    return bool(row.update(due_at=now + TAKEN, tried_at=now, attempts=F("attempts") + 1))


def _send(hook: Hook, delivery: Delivery) -> tuple[int | None, str]:
    """The status of the answer, and what is wrong: empty if it was delivered. Of the answer nothing else is
    kept: it might be a page that only this server can see."""
    body = body_of(delivery.notice)
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Scenetag",
        "Scenetag-Event": delivery.notice.event,
        signatures.HEADER: signatures.sign(body, secret=signatures.secret_of(hook), at=int(time.time())),
    }
    answers: queue.Queue[int | Exception] = queue.Queue()
    # A receiver that sends a byte now and then keeps to the limits of a socket, so a thread may be left.
    threading.Thread(target=_post, args=(hook.address, body, headers, answers), daemon=True).start()
    try:
        status = answers.get(timeout=SECONDS)
    except queue.Empty:
        return None, f"No whole answer came within {SECONDS:.0f} seconds."
    if isinstance(status, targets.NotAllowed):
        return None, str(status)[:SHOWN]
    if isinstance(status, Exception):
        return None, f"{type(status).__name__}: {status}"[:SHOWN]
    if 200 <= status < 300:
        return status, ""
    words = "a redirect, which is not followed" if 300 <= status < 400 else "not a status of success"
    return status, f"It answered {status}: {words}."


def _post(name: str, body: bytes, headers: dict[str, str], answers: queue.Queue[int | Exception]) -> None:
    """Puts the status of the answer there, or what went wrong."""
    try:
        target = targets.read(name)
        with _pool(target, targets.resolve(target)) as pool:
            response = pool.urlopen(
                "POST",
                target.path,
                body=body,
                headers=headers | {"Host": target.host_header},
                redirect=False,
                preload_content=False,
            )
            response.close()
        answers.put(response.status)
    except (targets.NotAllowed, HTTPError, OSError, ValueError) as error:
        answers.put(error)


def _pool(target: targets.Target, address: str) -> urllib3.HTTPConnectionPool:
    """Connects to this address and no other; the certificate must be the host's."""
    timeout = urllib3.Timeout(connect=SECONDS / 3, read=SECONDS / 2)
    if not target.is_https:
        return urllib3.HTTPConnectionPool(address, target.port, timeout=timeout, retries=False)
    return urllib3.HTTPSConnectionPool(
        address,
        target.port,
        timeout=timeout,
        retries=False,
        cert_reqs="CERT_REQUIRED",
        server_hostname=target.host,
        assert_hostname=target.host,
    )


@transaction.atomic
def _note(delivery: Delivery, status: int | None, error: str) -> None:
    hook = Hook.objects.select_for_update().filter(pk=delivery.hook_id).first()
    row = Delivery.objects.filter(pk=delivery.pk)
    attempts = row.values_list("attempts", flat=True).first()
    if hook is None or attempts is None:  # deleted meanwhile
        return
    if not error:
        row.update(state=Delivery.State.DELIVERED, status=status, error="")
        Hook.objects.filter(pk=hook.pk).update(failures=0)
        return
    if attempts > len(PAUSES):
        row.update(state=Delivery.State.FAILED, status=status, error=error)
    else:
        row.update(status=status, error=error, due_at=timezone.now() + PAUSES[attempts - 1])
    failures = hook.failures + 1
    Hook.objects.filter(pk=hook.pk).update(failures=failures)
    if failures >= MOST_FAILURES and hook.is_enabled:
        Hook.objects.filter(pk=hook.pk).update(is_enabled=False)
        record(by=None, what="switch off hook", about=f"{hook}: {failures} attempts in a row failed")


def _rounds(deliver: Callable[[], int], forget: Callable[[], None]) -> None:
    next_forgetting = 0.0
    while not _stopping.is_set():
        try:
            close_old_connections()
            if time.monotonic() >= next_forgetting:
                forget()
                next_forgetting = time.monotonic() + 24 * 3600
            deliver()
        except Exception:  # a database that is down for a minute must not end the deliveries
            log.exception("Nothing could be delivered; next try in %s s", EVERY)
        _stopping.wait(EVERY)


@worker_ready.connect
def _start(**_: object) -> None:
    for name, job in (
        ("courier", (deliver_due, forget_old)),
        ("postman", (letters.deliver_due, letters.forget_old)),
    ):
        threading.Thread(target=_rounds, args=job, name=name, daemon=True).start()


@worker_shutting_down.connect
def _stop(**_: object) -> None:
    _stopping.set()
