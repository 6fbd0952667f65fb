"""`manage.py register_photos PATH --name N`: registers a photo set from any folder or tar on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from jobs.lease import claim
from jobs.models import Job
from jobs.work import do_here
from trainer.models import PhotoSet
from trainer.photosets.registration import NameTaken, register_folder, register_tar


class Command(BaseCommand):
    help = "Register a folder or a tar with one folder per scene class (a/abbey/x.jpg) as a photo set."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("path", type=Path)
        parser.add_argument("--name", required=True)
        parser.add_argument(
            "--no-wait", action="store_true", help="leave the work to a worker instead of doing it here"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        path: Path = options["path"]
        if not path.exists():
            raise CommandError(f"There is no {path}.")
        with transaction.atomic():
            photo_set = _register(path, options["name"])
            assert photo_set.job is not None
            # Claimed before anybody can see it, so that no worker of a running site comes first.
            lease = None if options["no_wait"] else claim(photo_set.job.pk)
        if lease is None:
            self.stdout.write(f"“{photo_set}” is queued: a worker will register its photos.")
            return
        job = do_here(job=photo_set.job, lease=lease)
        photo_set.refresh_from_db()
        self._tell(photo_set, job)

    def _tell(self, photo_set: PhotoSet, job: Job) -> None:
        """Write what became of the photo set; raises CommandError unless it is ready."""
        report = photo_set.report
        for group in report.get("skipped", []):
            examples = ", ".join(group["examples"][:3])
            self.stdout.write(f"  {group['total']} skipped, {group['reason']}: {examples}")
        if report.get("warning"):
            self.stderr.write(f"The tar was read only in part: {report['warning']}")
        if job.state != Job.State.SUCCEEDED:
            words = f"{job.error} {job.hint}".strip() or f"It was {job.state}."
            raise CommandError(f"“{photo_set}” is not ready: {words}")
        self.stdout.write(f"“{photo_set}” is ready: {report['taken']} photos of {report['classes']} classes.")


def _register(path: Path, name: str) -> PhotoSet:
    try:
        if path.is_dir():
            return register_folder(name=name, folder=path.resolve(), by=None)
        return register_tar(name=name, tar=path, by=None)
    except NameTaken as error:
        raise CommandError(str(error)) from error
