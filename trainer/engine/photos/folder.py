"""A manifest from a folder of photos sorted by class, for training without the web application."""

from __future__ import annotations

import csv
import os
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from formats.classes import SceneNames, label_folder, label_of_folder
from formats.files import is_left_by_system, walk
from formats.names import lower_name, scene_key
from formats.storage import raise_if_of_storage, replacing
from formats.table import Columns, Unreadable, read_table
from formats.texts import Text
from trainer.engine.errors import PhotosError
from trainer.engine.events import emit
from trainer.engine.opening import PHOTO_SUFFIXES
from trainer.engine.photos import manifest

CLASS_COLUMNS, LABEL_COLUMNS = ("raw_name", "key", "scene_class", "class"), ("hashtag", "label")
COLUMNS = Columns(
    {
        **dict.fromkeys(CLASS_COLUMNS, "key"),
        **dict.fromkeys(LABEL_COLUMNS, "label"),
        "status": "status",
        **dict.fromkeys(("level1", "sun_level1"), "level1"),
        **dict.fromkeys(("level2", "sun_level2"), "level2"),
    },
    required=[("key",), ("label",)],
    asks=f"It needs one column of {', '.join(CLASS_COLUMNS)} and one of {', '.join(LABEL_COLUMNS)}.",
)
MOST_CLASSES = 1_000_000


def write_manifest(folder: Path, labels: Path | None, file: Path) -> int:
    """Write the manifest of every photo below ``folder``; how many there are. Raises PhotosError.

    A photo's scene class is that of ``labels``, a table of classes and hashtags, whose name its folder has in
    any spelling (none, or an undecided one: left out, with an event). Without a table it is the folder, and
    its last name is the label. Photos in `_other` and `_hashtag/NAME` have the label of their folder:
    formats.classes.
    """
    meanings = None if labels is None else read_meanings(labels)
    classes = SceneNames(meanings or ())
    rows, unlabelled = [], Counter[str]()
    for path, reason in walk(folder):
        if reason:
            emit("skipped", photo_id=path, reason=reason)
        parent, _, name = path.rpartition("/")
        if reason or not parent or Path(name).suffix.lower() not in PHOTO_SUFFIXES or is_left_by_system(path):
            continue
        if folder_key := label_folder(path):
            file_path = os.path.realpath(folder / path)
            rows.append([path, file_path, label_of_folder(folder_key), folder_key, "", ""])
            continue
        key = scene_key(parent) if meanings is None else classes.find(parent)
        if key is None:
            unlabelled[parent] += 1
        else:
            meaning = Meaning(key.rpartition("/")[2]) if meanings is None else meanings[key]
            file_path = os.path.realpath(folder / path)
            rows.append([path, file_path, meaning.label, key, meaning.level1, meaning.level2])
    if unlabelled:
        emit("left_out", photos=unlabelled.total(), classes=sorted(unlabelled))
    if not rows:
        raise PhotosError(
            Text(
                "%(folder)s holds no photos of the classes that %(labels)s names",
                folder=folder,
                labels=labels.name,
            )
            if labels
            else Text("%(folder)s holds no photos", folder=folder),
            hint=Text("Photos stand in a folder for each class, as in photos/a/abbey/1.jpg."),
        )
    with replacing(file, newline="") as out:
        csv.writer(out).writerows([[*manifest.COLUMNS, *manifest.LEVELS], *rows])
    return len(rows)


class Meaning(NamedTuple):
    """What a table says of a scene class; a level that it does not name is empty."""

    label: str
    level1: str = ""
    level2: str = ""


def read_meanings(file: Path) -> dict[str, Meaning]:
    """What a table such as the mapping's export says of each scene class. Raises PhotosError.

    An undecided class has none: by its status, or by an empty label in a table that names `other` elsewhere.
    """
    try:
        table = read_table(file.read_bytes(), COLUMNS, max_rows=MOST_CLASSES)
    except (OSError, Unreadable) as error:
        raise_if_of_storage(error)
        raise PhotosError(Text("%(file)s cannot be read: %(error)s", file=file.name, error=error)) from error
    for problem in table.problems:
        raise PhotosError(
            Text("%(file)s, line %(line)s: %(text)s", file=file.name, line=problem.line, text=problem.text)
        )
    first: dict[str, int] = {}
    meanings: dict[str, Meaning] = {}
    for row in table.rows:
        key = scene_key(row.values["key"])
        if key in first:
            raise PhotosError(
                Text(
                    "%(file)s, line %(line)s: %(key)s is already in line %(first)s",
                    file=file.name,
                    line=row.line,
                    key=key,
                    first=first[key],
                )
            )
        first[key] = row.line
        if row.values.get("status", "").lower() != "undecided":
            label = lower_name(row.values["label"]).lstrip("#")
            levels = (row.values.get(name, "") for name in manifest.LEVELS)
            meanings[key] = Meaning(label, *levels)
    names_other = any(meaning.label == "other" for meaning in meanings.values())
    without_label = "" if names_other else "other"
    labelled = {key: m._replace(label=m.label or without_label) for key, m in meanings.items()}
    return {key: meaning for key, meaning in labelled.items() if meaning.label}
