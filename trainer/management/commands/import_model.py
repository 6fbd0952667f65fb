"""`manage.py import_model FILE`: imports a model that another installation exported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from formats.storage import StorageFailure
from trainer.registry.packages import BadPackage, import_model


class Command(BaseCommand):
    help = (
        "Import a model from the zip file that a model's page offers for download. "
        "Importing the same file twice gives one model."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE")

    def handle(self, *args: Any, **options: Any) -> None:
        path: Path = options["file"]
        try:
            file = path.open("rb")
        except OSError as error:
            raise CommandError(f"{path} cannot be read: {error.strerror}") from error
        try:
            with file:
                model = import_model(file=file, file_name=path.name, by=None)
        except BadPackage as error:
            raise CommandError(f"{error} Nothing was kept.") from error
        except StorageFailure as error:
            raise CommandError(f"The model cannot be stored: {error}. Nothing was kept.") from error
        self.stdout.write(f"Model {model.pk}: {model}")
