from typing import Any

from celery import shared_task

from formats import spans
from jobs import queue, work


@shared_task(name=queue.TASK, bind=True)
def run_job(self: Any, job_id: str) -> None:
    with spans.span(queue.TASK, kind="CONSUMER", parent=self.request.get("traceparent") or ""):
        work.run(job_id=job_id)


@shared_task(name=queue.HELP)
def help_out() -> None:
    work.help_out()
