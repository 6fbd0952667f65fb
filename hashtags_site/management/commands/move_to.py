"""`manage.py move_to DATABASE_URL`: copies everything from the present database to another one."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DEFAULT_DB_ALIAS, Error

from hashtags_site.backup.rows import MoveError, connected, copy_rows, is_empty, migrate
from jobs.models import Worker


class Command(BaseCommand):
    help = "Copy all rows to an empty database, from SQLite to PostgreSQL for example. Stop the site first."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("url", metavar="DATABASE_URL")

    def handle(self, *args: Any, **options: Any) -> None:
        if Worker.objects.live().exists():
            raise CommandError(
                "A worker is running. Stop the site first: what comes in meanwhile would be lost."
            )
        url = options["url"]
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
