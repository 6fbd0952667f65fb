"""`manage.py prepare`: what a start needs in the database. Safe to repeat; a repeat takes a second."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from hashtags_site import setup
from hashtags_site.demo import prepare_demo
from mapping.files.catalogue import CatalogueError


class Command(BaseCommand):
    help = "Load the SUN397 catalogue and the starter models; with --demo sample photos and accounts too."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--demo", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            for line in setup.load(self._warn):
                self.stdout.write(line)
        except CatalogueError:
            raise
        except Exception as error:
            raise CommandError(f"A starter model could not be installed: {error}") from error
        if options["demo"]:
            for line in prepare_demo():
                self.stdout.write(line)

    def _warn(self, reason: str) -> None:
        self.stderr.write(f"A starter model could not be installed. {reason}")
