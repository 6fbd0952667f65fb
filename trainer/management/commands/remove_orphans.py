"""`manage.py remove_orphans`: removes leftover folders of deleted runs and models, here and in the bucket."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from formats.storage import StorageFailure
from trainer.deleting import finish_removals, orphan_trees, orphans
from trainer.shared import Tree


class Command(BaseCommand):
    help = "List the folders of runs and models that have no database row; with --yes, remove them."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--yes", action="store_true", help="remove them")

    def handle(self, *args: Any, **options: Any) -> None:
        folders = orphans()
        try:
            trees = orphan_trees()
        except StorageFailure as error:
            raise CommandError(f"The bucket cannot be asked: {error}. Nothing was removed.") from error
        for one in (*folders, *trees):
            self.stdout.write(str(one))
        if not options["yes"]:
            words = (
                "Nothing was removed. To remove them, add --yes."
                if folders or trees
                else "There are no orphans."
            )
            self.stdout.write(words)
            return
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)
        finish_removals()
        leftovers: list[Path | Tree] = [folder for folder in folders if folder.exists()]
        for tree in trees:
            try:
                tree.delete()
            except StorageFailure:
                leftovers.append(tree)
        self.stdout.write(f"{len(folders) + len(trees) - len(leftovers)} removed.")
        if leftovers:
            raise CommandError(f"{len(leftovers)} could not be removed: {', '.join(map(str, leftovers[:5]))}")
