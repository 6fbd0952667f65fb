"""A manifest from a folder of photos sorted by class, for training without the web application."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

from formats.files import is_left_by_system
from formats.names import lower_name, scene_key
from formats.storage import raise_if_of_storage, replacing
from formats.table import Columns, Unreadable, read_table
from trainer.engine.errors import PhotosError
from trainer.engine.events import emit
from trainer.engine.opening import PHOTO_SUFFIXES

CLASS_COLUMNS, LABEL_COLUMNS = ("raw_name", "key", "scene_class", "class"), ("hashtag", "label")
COLUMNS = Columns(
    {**dict.fromkeys(CLASS_COLUMNS, "key"), **dict.fromkeys(LABEL_COLUMNS, "label"), "status": "status"},
    required=[("key",), ("label",)],
    asks=f"It needs one column of {', '.join(CLASS_COLUMNS)} and one of {', '.join(LABEL_COLUMNS)}.",
)
MOST_CLASSES = 1_000_000


def write_manifest(folder: Path, labels: Path | None, file: Path) -> int:
    """Write the manifest of every photo below ``folder``; how many there are. Raises PhotosError.

    A photo's scene class is its folder, relative to ``folder``. Its label is what ``labels``, a table of
    classes and hashtags, says (a class not there or undecided: left out, with an event); without it, the
    class's last name.
    """
    label_of = None if labels is None else read_labels(labels)
    rows, unlabelled = [], Counter[str]()
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder).as_posix()
        if path.suffix.lower() not in PHOTO_SUFFIXES or is_left_by_system(inside):
            continue
        if path.parent == folder or not path.is_file():
            continue
        name = path.parent.relative_to(folder).as_posix()
        label = path.parent.name if label_of is None else label_of.get(scene_key(name))
        if label is None:
            unlabelled[name] += 1
        else:
            rows.append([inside, str(path.resolve()), label, name])
    if unlabelled:
        emit("left_out", photos=unlabelled.total(), classes=sorted(unlabelled))
    if not rows:
        raise PhotosError(
            f"{folder} holds no photos{' of the classes that ' + labels.name + ' names' if labels else ''}",
            hint="Photos stand in a folder for each class, as in photos/a/abbey/1.jpg.",
        )
    with replacing(file, newline="") as out:
        csv.writer(out).writerows([["photo_id", "path", "label", "scene_class"], *rows])
    return len(rows)


def read_labels(file: Path) -> dict[str, str]:
    """Label by scene class, from a table such as the mapping's export. Raises PhotosError.

    An undecided class has none: by its status, or by an empty label in a table that names `other` elsewhere.
    """
    try:
        table = read_table(file.read_bytes(), COLUMNS, max_rows=MOST_CLASSES)
    except (OSError, Unreadable) as error:
        raise_if_of_storage(error)
        raise PhotosError(f"{file.name} cannot be read: {error}") from error
    for problem in table.problems:
        raise PhotosError(f"{file.name}, line {problem.line}: {problem.text}")
    first: dict[str, int] = {}
    label_of: dict[str, str] = {}
    for row in table.rows:
        key = scene_key(row.values["key"])
        if key in first:
            raise PhotosError(f"{file.name}, line {row.line}: {key} is already in line {first[key]}")
        first[key] = row.line
        if row.values.get("status", "").lower() != "undecided":
            label_of[key] = lower_name(row.values["label"]).lstrip("#")
    without_label = "" if "other" in label_of.values() else "other"
    return {key: label or without_label for key, label in label_of.items() if label or without_label}
