"""`manage.py remove_orphans`: folders of runs and models that are deleted, but whose files were left."""

from __future__ import annotations

import shutil
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from trainer.deleting import orphans, sweep_gone


class Command(BaseCommand):
    help = "List the folders of runs and models that no database row is about; with --yes, remove them."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--yes", action="store_true", help="remove them")

    def handle(self, *args: Any, **options: Any) -> None:
        folders = orphans()
        for folder in folders:
            self.stdout.write(str(folder))
        if not options["yes"]:
            words = "Nothing was removed: --yes does that." if folders else "There is no orphan."
            self.stdout.write(words)
            return
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)
        sweep_gone()
        self.stdout.write(f"{len(folders)} removed.")
