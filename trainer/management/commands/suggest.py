"""`manage.py suggest PHOTO…`: prints what the active model suggests for photos on this machine."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from formats.files import walk
from formats.json_text import to_json
from formats.storage import StorageFailure
from trainer.engine.errors import ModelError
from trainer.models import TrainedModel
from trainer.photosets.layout import is_photo_name
from trainer.registry.serving import NoActiveModel, suggest, unreadable

if TYPE_CHECKING:
    from trainer.engine.serving.predict import Suggestion


class Command(BaseCommand):
    help = "Suggest a hashtag for each photo, or say why not. Folders are searched for photos."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("photos", nargs="+", type=Path, metavar="PHOTO")
        parser.add_argument("--json", action="store_true", help="print one line of JSON per photo")
        parser.add_argument("--model", type=int, metavar="ID", help="use this model, not the active one")

    def handle(self, *args: Any, **options: Any) -> None:
        model = None
        if options["model"] is not None:
            model = TrainedModel.objects.filter(pk=options["model"]).first()
            if model is None or not model.is_ready:
                raise CommandError(f"There is no exported model {options['model']}.")
        try:
            photos = self._files(options["photos"])
            answers = suggest(photos, model=model, threads=None)
        except (NoActiveModel, ModelError, StorageFailure) as error:
            raise CommandError(str(error)) from error
        try:
            count = self._suggest(answers, as_json=options["json"])
        except StorageFailure as error:
            raise CommandError(f"The photos cannot be read: {error}") from error
        if not count:
            self.stderr.write("No photo could be read.")
            sys.exit(1)

    def _files(self, paths: list[Path]) -> Iterator[Path]:
        """These photos, and those below these folders. What cannot be entered is told as an error."""
        for path in paths:
            if not path.is_dir():
                yield path
                continue
            for name, reason in walk(path):
                if reason:
                    self.stderr.write(f"{path / name}: {reason}")
                elif is_photo_name(name):
                    yield path / name

    def _suggest(self, answers: Iterable[Suggestion], *, as_json: bool) -> int:
        """Write the answers; how many photos could be read."""
        count = 0
        for answer in answers:
            reason = unreadable(answer)
            count += not reason
            if as_json:
                self.stdout.write(to_json(answer.as_dict()))
            elif reason:
                self.stderr.write(f"{answer.file}: cannot be read: {reason}")
            else:
                self.stdout.write(f"{answer.file}: {_describe(answer)}")
        return count


def _describe(answer: Suggestion) -> str:
    if answer.hashtag is None:
        return f"silent ({answer.reason})"
    return f"#{answer.hashtag} ({answer.confidence:.0%})"
