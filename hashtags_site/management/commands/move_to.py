"""`manage.py move_to DATABASE_URL`: copies everything from the present database to another one.

`manage.py move_to STORAGE_URL` copies the files of this machine's folders into that bucket.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DEFAULT_DB_ALIAS, Error

from formats.storage import StorageFailure
from hashtags_site.backup.moving import move_files
from hashtags_site.backup.rows import MoveError, connected, copy_rows, is_empty, migrate
from jobs.models import Worker


class Command(BaseCommand):
    help = (
        "Copy all rows to an empty database, from SQLite to PostgreSQL for example; or all files into the "
        "bucket of STORAGE_URL. Stop the site first."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("url", metavar="DATABASE_URL|STORAGE_URL")

    def handle(self, *args: Any, **options: Any) -> None:
        if Worker.objects.live().exists():
            raise CommandError(
                "A worker is running. Stop the site first: what comes in meanwhile would be lost."
            )
        url = options["url"]
        if url.startswith("s3:"):
            self._move_files(url)
            return
        try:
            migrate(url)
            with connected(url) as target:
                if not is_empty(target):
                    raise CommandError("The other database is not empty. Nothing was changed.")
                rows = copy_rows(source=DEFAULT_DB_ALIAS, target=target, tell=self.stdout.write)
        except (MoveError, Error) as error:
            raise CommandError(f"{error} Nothing was changed.") from error
        total = sum(rows.values())
        self.stdout.write(
            self.style.SUCCESS(f"Copied and counted again: {total:,} rows in {len(rows)} tables.")
        )
        self.stdout.write("Now set DATABASE_URL to it and start the site.")

    def _move_files(self, url: str) -> None:
        if url != settings.STORAGE_URL:
            raise CommandError("Set STORAGE_URL to it first. Nothing was changed.")
        try:
            move_files(tell=self.stdout.write)
        except StorageFailure as error:
            raise CommandError(f"{error}. What was copied stays: run it again to go on.") from error
        self.stdout.write(self.style.SUCCESS("Copied. The folders are copies from now on."))
