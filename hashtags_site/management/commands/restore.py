"""`manage.py restore FOLDER|s3://…`: checks a backup and brings it back."""

from __future__ import annotations

import os
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from formats.storage import StorageFailure
from hashtags_site.backup import backups
from hashtags_site.backup.rows import MoveError
from hashtags_site.backup.stores import TARGET, BackupError, find_store


class Command(BaseCommand):
    help = (
        "Bring back the newest backup of a folder or a bucket, or the one that is named. "
        "Migrate the database first."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("target", metavar="FOLDER|S3_URL", help=f"{TARGET}, or one backup in it")
        parser.add_argument("--force", action="store_true", help="replace what is here")
        parser.add_argument("--check", action="store_true", help="only compare every hash")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            store, name = find_store(options["target"])
            with backups.opened(store, name or backups.newest(store)) as backup:
                if options["check"]:
                    self.stdout.write(f"Whole: {backup}, {backups.check(backup):,} files")
                    return
                backups.restore(backup, force=options["force"], tell=self.stdout.write)
        except (BackupError, MoveError, StorageFailure) as error:
            raise CommandError(str(error)) from error
        for setting, value in backup.manifest.settings.items():
            if os.environ.get(setting) != value and setting not in backups.SECRETS:
                self.stdout.write(f"Another setting then: {setting}={value}")
        self.stdout.write(self.style.SUCCESS(f"Restored: {backup}"))
