"""Photos without labels for a run's pseudo-labels: of a photo set, of a campaign, or below a folder.

A recipe names them by words: "photo-set 3", "campaign 2", or a folder. Other apps register their kinds in
AppConfig.ready(); the trainer knows none.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from django.db.models import QuerySet

from formats.storage import replacing
from formats.texts import Text
from trainer.models import PhotoSet, TrainingRun
from trainer.server_folders import browser_roots, is_allowed_in_browser, is_folder
from trainer.set_files import bring

TABLE = "unlabelled.csv"  # in the folder of a run
NAMED = re.compile(r"([a-z-]+) #?(\d{1,9})")


class NoPhotos(Exception):
    """The words name no photos that can be used. The message, a Text, says why."""


class Kind(Protocol):
    """Photos that have a number, such as those of a campaign."""

    def check(self, number: int) -> None:
        """Raise NoPhotos unless there are such photos."""

    def files(self, number: int) -> Iterable[Path]:
        """Their files on this machine. Raises NoPhotos."""


class PhotoSets:
    """Their classes are not looked at: a set need not be of the run's classes, nor even of the mapping's."""

    def check(self, number: int) -> None:
        if not PhotoSet.objects.with_photos().filter(pk=number).exists():
            raise NoPhotos(Text("There is no photo set %(number)s with photos.", number=str(number)))

    def files(self, number: int) -> Iterable[Path]:
        self.check(number)
        photo_set = PhotoSet.objects.get(pk=number)
        bring(photo_set)
        root = photo_set.folder
        return (root / path for path in photo_set.photos.values_list("path", flat=True).iterator())


_kinds: dict[str, Kind] = {"photo-set": PhotoSets()}


def register(name: str, kind: Kind) -> None:
    _kinds[name] = kind


def check(words: str) -> None:
    """Raise NoPhotos unless the words name photos that a run may use."""
    found = _find(words)
    if found is not None:
        found[0].check(found[1])
        return
    folder = Path(words)
    # Say whether a folder exists only below the allowed ones: the rest of the disk stays private.
    if not is_allowed_in_browser(folder):
        roots = ", ".join(str(root) for root in browser_roots())
        names = ", ".join(f"“{name} 1”" for name in _kinds)
        raise NoPhotos(
            Text("It must be like %(names)s, or a folder below %(roots)s.", names=names, roots=roots)
        )
    if not is_folder(folder):
        raise NoPhotos(Text("There is no folder %(folder)s.", folder=folder))


def write_table(words: str, file: Path) -> Path:
    """Where the engine finds the photos: the folder, or the table that is written into `file`.

    A table that is there stays, so that a run which continues has the photos it began with. Raises NoPhotos.
    """
    check(words)
    found = _find(words)
    if found is None:
        return Path(words)
    if not file.exists():
        kind, number = found
        with replacing(file, newline="") as out:
            csv.writer(out).writerows([["path"], *([str(path)] for path in kind.files(number))])
    return file


def runs_with(photo: str, runs: QuerySet[TrainingRun]) -> list[TrainingRun]:
    """Those of the runs whose table names a file with this word, such as a SHA-256, in its name."""
    named = runs.filter(recipe__has_key="unlabelled").exclude(recipe__unlabelled="")
    return [run for run in named if _names(run.folder / TABLE, photo)]


def _names(table: Path, photo: str) -> bool:
    try:
        return photo in table.read_text(encoding="utf-8")
    except FileNotFoundError:  # the run was given a folder, or has not begun
        return False


def _find(words: str) -> tuple[Kind, int] | None:
    match = NAMED.fullmatch(words.strip().lower())
    if match is None or match[1] not in _kinds:
        return None
    return _kinds[match[1]], int(match[2])
