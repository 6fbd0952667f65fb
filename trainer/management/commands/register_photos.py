"""`manage.py register_photos PATH --name N`: registers a photo set from any folder or tar on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from jobs.models import Job
from jobs.work import run
from trainer.photosets.registration import NameTaken, register_folder, register_tar


class Command(BaseCommand):
    help = "Register a folder or a tar with one folder per scene class (a/abbey/x.jpg) as a photo set."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("path", type=Path)
        parser.add_argument("--name", required=True)
        parser.add_argument(
            "--queue", action="store_true", help="leave the work to a worker instead of doing it here"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        path: Path = options["path"]
        if not path.exists():
            raise CommandError(f"There is no {path}.")
        try:
            if path.is_dir():
                photo_set = register_folder(name=options["name"], folder=path.resolve(), by=None)
            else:
                photo_set = register_tar(name=options["name"], tar=path, by=None)
        except NameTaken as error:
            raise CommandError(str(error)) from error
        assert photo_set.job is not None
        if options["queue"]:
            self.stdout.write(f"“{photo_set}” is queued.")
            return
        run(job_id=str(photo_set.job.pk))
        photo_set.refresh_from_db()
        job = Job.objects.get(pk=photo_set.job.pk)
        for group in photo_set.report.get("skipped", []):
            examples = ", ".join(group["examples"][:3])
            self.stdout.write(f"  {group['total']} skipped, {group['reason']}: {examples}")
        if photo_set.report.get("warning"):
            self.stderr.write(f"The tar was read only in part: {photo_set.report['warning']}")
        if job.state == Job.State.FAILED:
            raise CommandError(f"{job.error} {job.hint}".strip())
        report = photo_set.report
        if report:
            self.stdout.write(f"“{photo_set}”: {report['taken']} photos of {report['classes']} classes.")
        else:
            self.stdout.write(f"A worker took the job of “{photo_set}”: {job.state}.")
