"""`manage.py suggest PHOTO…`: prints what the active model suggests for photos on this machine."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from trainer.models import TrainedModel
from trainer.photosets.layout import is_photo_name, walk
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
            photos = _files(options["photos"])
            answers = suggest(photos, model=model, threads=os.cpu_count() or 1)
        except NoActiveModel as error:
            raise CommandError(str(error)) from error
        count = 0
        for answer in answers:
            reason = unreadable(answer)
            count += not reason
            if options["json"]:
                self.stdout.write(json.dumps(answer.as_dict(), ensure_ascii=False))
            elif reason:
                self.stderr.write(f"{answer.file}: cannot be read: {reason}")
            else:
                self.stdout.write(f"{answer.file}: {_describe(answer)}")
        if not count:
            self.stderr.write("No photo could be read.")
            sys.exit(1)


def _files(paths: list[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from (path / name for name in walk(path) if is_photo_name(name))
        else:
            yield path


def _describe(answer: Suggestion) -> str:
    if answer.hashtag is None:
        return f"silent ({answer.reason})"
    return f"#{answer.hashtag} ({answer.confidence:.0%})"
