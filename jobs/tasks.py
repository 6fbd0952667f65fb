from celery import shared_task

from jobs import services


@shared_task(name="jobs.run")
def run_job(job_id: str) -> None:
    services.run(job_id=job_id)
