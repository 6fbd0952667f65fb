from pathlib import Path
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError, CommandParser

from formats.classes import is_beside_classes
from formats.files import is_photo, walk
from formats.storage import StorageFailure
from formats.table import Problem, Unreadable
from mapping.files.classlists import ClassList, Row, decode
from mapping.files.exchange import KINDS, detect, read
from mapping.files.importing import PlanMoved, apply, plan
from mapping.lexicon.names import scene_key

SHOWN = 3  # things that were not read, in an error


class Command(BaseCommand):
    help = "Import classes or a mapping from a file, or the classes of a folder of photos. docs/formats.md"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "source", type=Path, help="a file, or a folder with one subfolder of photos per class"
        )
        parser.add_argument("--kind", choices=KINDS, help="the format of the file; by default it is guessed")
        parser.add_argument("--by", help="user to name in the history")
        parser.add_argument("--dry-run", action="store_true", help="only print the plan")

    def handle(self, *args: Any, **options: Any) -> None:
        by = get_user_model().objects.filter(username=options["by"]).first()
        if options["by"] and by is None:
            raise CommandError(f"There is no user “{options['by']}”.")
        try:
            class_list = _read_source(options["source"], options["kind"])
        except (OSError, StorageFailure, Unreadable) as error:
            raise CommandError(str(error)) from error
        import_plan = plan(class_list)
        for note in import_plan.notes:
            self.stdout.write(f"row {note.line}: {note.text}")
        for problem in import_plan.problems:
            self.stderr.write(f"row {problem.line}, {problem.field}: {problem.text}")
        if import_plan.problems:
            raise CommandError(f"{len(import_plan.problems)} problems. Nothing was imported.")
        if not options["dry_run"]:
            try:
                apply(class_list=class_list, seen=import_plan.fingerprint, by=by)
            except PlanMoved as error:
                raise CommandError(
                    "The mapping changed in the meantime. Nothing was imported. Try again."
                ) from error
        counts = ", ".join(
            f"{import_plan.counts[kind]} {kind}" for kind in ("new", "changed", "same", "kept")
        )
        self.stdout.write(f"Would be: {counts}." if options["dry_run"] else f"Imported: {counts}.")


def _read_source(source: Path, kind: str | None) -> ClassList:
    if not source.is_dir():
        text = decode(source.read_bytes())
        return read(text, kind or detect(text))
    return _read_folder(source)


def _read_folder(root: Path) -> ClassList:
    """The classes of the photos below root; two spellings of a class are one, and no link is followed."""
    keys: set[str] = set()
    notes: list[Problem] = []
    for path, reason in walk(root):
        folder = path.rpartition("/")[0]
        if reason:
            notes.append(Problem(0, "key", f"{path}: {reason}"))
        elif folder and is_photo(path) and not is_beside_classes(folder):
            keys.add(scene_key(folder))
    if not keys:
        reasons = "".join(f" {note.text}." for note in notes[:SHOWN])
        raise Unreadable(f"{root} contains no folders with photos.{reasons}")
    return ClassList([Row(number, key, {}) for number, key in enumerate(sorted(keys), start=1)], notes=notes)
