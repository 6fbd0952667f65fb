from celery import shared_task

from jobs import crew, queue, work


@shared_task(name=queue.TASK)
def run_job(job_id: str) -> None:
    work.run(job_id=job_id)


@shared_task(name=queue.HELP)
def help_out() -> None:
    crew.help_out()
