"""`manage.py remove_orphans`: removes leftover folders of deleted runs and models."""

from __future__ import annotations

import shutil
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from trainer.deleting import finish_removals, orphans


class Command(BaseCommand):
    help = "List the folders of runs and models that have no database row; with --yes, remove them."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--yes", action="store_true", help="remove them")

    def handle(self, *args: Any, **options: Any) -> None:
        folders = orphans()
        for folder in folders:
            self.stdout.write(str(folder))
        if not options["yes"]:
            words = "Nothing was removed. To remove them, add --yes." if folders else "There are no orphans."
            self.stdout.write(words)
            return
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)
        finish_removals()
        leftovers = [folder for folder in folders if folder.exists()]
        self.stdout.write(f"{len(folders) - len(leftovers)} removed.")
        if leftovers:
            raise CommandError(f"{len(leftovers)} could not be removed: {', '.join(map(str, leftovers[:5]))}")
