"""`manage.py backup FOLDER|s3://…`: a copy of the database and of all files, taken while the site runs."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from formats.storage import StorageFailure
from hashtags_site.backup.backups import left_out, make_backup
from hashtags_site.backup.rows import MoveError
from hashtags_site.backup.stores import TARGET, BackupError, find_store


class Command(BaseCommand):
    help = "Add a backup to a folder or a bucket. Files that an earlier one has are not copied again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("target", metavar="FOLDER|S3_URL", help=TARGET)
        parser.add_argument("--secrets", action="store_true", help="with SECRET_KEY, passwords and tokens")
        parser.add_argument("--keep", type=int, default=0, metavar="N", help="delete all but the newest N")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["keep"] < 0:
            raise CommandError("--keep must be 1 or more.")
        try:
            store, name = find_store(options["target"])
            if name:
                raise BackupError(f"{store.name_of(name)} is a backup. Name what it is in: {store}")
            made = make_backup(
                store, secrets=options["secrets"], keep=options["keep"], tell=self.stdout.write
            )
        except (BackupError, MoveError, StorageFailure) as error:
            raise CommandError(str(error)) from error
        for name in left_out():
            self.stderr.write(
                f"Not in the backup: the photos of “{name}”, which lie in a folder of their own."
            )
        self.stdout.write(self.style.SUCCESS(f"Complete: {made}"))
