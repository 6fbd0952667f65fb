"""`manage.py check_hashtags PHOTO… --hashtags beach,sunset`: do the hashtags fit photos of this machine?"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from formats.json_text import to_json
from formats.storage import StorageFailure, raise_if_of_storage
from formats.table import Columns, Unreadable, read_table
from serving.checking import Post, check
from serving.spelling import BadHashtags, read_hashtags
from trainer.engine.errors import ModelError
from trainer.models import TrainedModel
from trainer.registry.serving import UNREADABLE, NoActiveModel

TABLE = Columns(
    {
        **dict.fromkeys(("photo", "path", "file"), "photo"),
        **dict.fromkeys(("hashtags", "hashtag"), "hashtags"),
    },
    required=[("photo",), ("hashtags",)],
    asks="The table needs the columns photo and hashtags.",
)
WORDS = {"fits": "fits", "doubtful": "doubtful", "does_not_fit": "does not fit", "unknown": "unknown"}
Photos = list[tuple[Path, list[str]]]


class Command(BaseCommand):
    help = "Say of each hashtag whether it fits the photo. Photos and hashtags may also come from a CSV file."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("photos", nargs="*", type=Path, metavar="PHOTO")
        parser.add_argument("--hashtags", default="", help="of all these photos, divided by commas")
        parser.add_argument("--csv", type=Path, help="a table with the columns photo and hashtags, instead")
        parser.add_argument("--json", action="store_true", help="print one line of JSON per photo")
        parser.add_argument("--model", type=int, metavar="ID", help="use this model, not the active one")

    def handle(self, *args: Any, **options: Any) -> None:
        photos = self._photos(options)
        model = None
        if options["model"] is not None:
            model = TrainedModel.objects.filter(pk=options["model"]).first()
            if model is None or not model.is_ready:
                raise CommandError(f"There is no exported model {options['model']}.")
        try:
            count = self._write(
                check(photos, model=model, threads=os.cpu_count() or 1), as_json=options["json"]
            )
        except (NoActiveModel, ModelError) as error:
            hint = getattr(error, "hint", "")
            raise CommandError(f"{error}. {hint}" if hint else str(error)) from error
        except StorageFailure as error:
            raise CommandError(f"The photos cannot be read: {error}") from error
        if not count:
            self.stderr.write("No photo could be read.")
            sys.exit(1)

    def _photos(self, options: dict[str, Any]) -> Photos:
        """Each photo with its hashtags. Raises CommandError, which names the wrong option or line."""
        if options["csv"]:
            if options["photos"] or options["hashtags"]:
                raise CommandError("--csv names photos and hashtags: give no others.")
            return _read(options["csv"])
        if not options["photos"]:
            raise CommandError("Name photos, or a table with --csv.")
        try:
            hashtags = read_hashtags([options["hashtags"]])
        except BadHashtags as error:
            raise CommandError(f"--hashtags: {error}") from error
        return [(path, hashtags) for path in options["photos"]]

    def _write(self, posts: Iterable[Post], *, as_json: bool) -> int:
        """Write the answers; how many photos could be judged."""
        count = 0
        for post in posts:
            count += post.problem is None
            if as_json:
                self.stdout.write(to_json(post.as_dict() | {"problem": post.problem}))
            elif post.problem:
                self.stderr.write(f"{post.file}: cannot be read: {post.problem.removeprefix(UNREADABLE)}")
            else:
                self.stdout.write(f"{post.file}: {post.score.sentence}")
                for answer in post.answers:
                    self.stdout.write(f"  #{answer.hashtag}: {WORDS[answer.verdict]}. {answer.reason}")
        return count


def _read(file: Path) -> Photos:
    """The rows of the table; paths are relative to it. Raises CommandError, which names the line."""
    try:
        table = read_table(file.read_bytes(), TABLE)
    except OSError as error:
        raise_if_of_storage(error)
        raise CommandError(f"{file} cannot be read: {error.strerror}") from error
    except Unreadable as error:
        raise CommandError(f"{file}: {error}") from error
    for problem in table.problems:
        raise CommandError(f"Line {problem.line} of {file.name}: {problem.text}")
    photos: Photos = []
    for row in table.rows:
        try:
            hashtags = read_hashtags([row.values["hashtags"]])
        except BadHashtags as error:
            raise CommandError(f"Line {row.line} of {file.name}: {error}") from error
        if not row.values["photo"]:
            raise CommandError(f"Line {row.line} of {file.name} names no photo.")
        photos.append((file.parent / row.values["photo"], hashtags))
    if not photos:
        raise CommandError(f"{file.name} has no rows.")
    return photos
