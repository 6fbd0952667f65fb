"""`manage.py restore FOLDER`: checks a backup and brings it back."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from formats.storage import StorageFailure
from hashtags_site.backup import backups
from hashtags_site.backup.rows import MoveError


class Command(BaseCommand):
    help = "Bring back the newest backup of FOLDER, or the one that FOLDER is. Migrate the database first."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("folder", type=Path, metavar="FOLDER")
        parser.add_argument("--force", action="store_true", help="replace what is here")
        parser.add_argument("--check", action="store_true", help="only compare every hash")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            backup = backups.newest(options["folder"].resolve())
            if options["check"]:
                manifest = backups.check(backup)
                self.stdout.write(f"Whole: {backup}, {len(manifest.files):,} files")
                return
            manifest = backups.restore(backup, force=options["force"], tell=self.stdout.write)
        except (backups.BackupError, MoveError, StorageFailure) as error:
            raise CommandError(str(error)) from error
        for name, value in manifest.settings.items():
            if os.environ.get(name) != value and name not in backups.SECRETS:
                self.stdout.write(f"Another setting then: {name}={value}")
        self.stdout.write(self.style.SUCCESS(f"Restored: {backup}"))
