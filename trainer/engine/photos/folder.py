"""A manifest from a folder of photos sorted by class, for training without the web application."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

from trainer.engine.errors import PhotosError
from trainer.engine.events import emit
from trainer.engine.opening import PHOTO_SUFFIXES

CLASS_COLUMNS, LABEL_COLUMNS = ("raw_name", "key", "scene_class", "class"), ("hashtag", "label")


def write_manifest(folder: Path, labels: Path | None, file: Path) -> int:
    """Write the manifest of every photo below ``folder``; how many there are. Raises PhotosError.

    A photo's scene class is its folder, relative to ``folder``. Its label is what ``labels``, a CSV of
    classes and hashtags, says (empty: other; class not there: left out, with an event); without it, the
    class's last name.
    """
    label_of = None if labels is None else read_labels(labels)
    rows, unlabelled = [], Counter[str]()
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() not in PHOTO_SUFFIXES or path.name.startswith("._") or path.parent == folder:
            continue
        name = path.parent.relative_to(folder).as_posix()
        label = path.parent.name if label_of is None else label_of.get(name)
        if label is None:
            unlabelled[name] += 1
        else:
            rows.append([path.relative_to(folder).as_posix(), str(path.resolve()), label, name])
    if unlabelled:
        emit("left_out", photos=unlabelled.total(), classes=sorted(unlabelled))
    if not rows:
        raise PhotosError(
            f"{folder} holds no photos{' of the classes that ' + labels.name + ' names' if labels else ''}",
            hint="Photos stand in a folder for each class, as in photos/a/abbey/1.jpg.",
        )
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", newline="", encoding="utf-8") as out:
        csv.writer(out).writerows([["photo_id", "path", "label", "scene_class"], *rows])
    return len(rows)


def read_labels(file: Path) -> dict[str, str]:
    """Label by scene class, from a CSV such as the mapping's export. Raises PhotosError."""
    try:
        with file.open(newline="", encoding="utf-8-sig") as rows:
            reader = csv.DictReader(rows)
            names = [next((n for n in some if n in (reader.fieldnames or [])), None) for some in _COLUMNS]
            key, label = names
            if key is None or label is None:
                columns = " and one of ".join(", ".join(names) for names in _COLUMNS)
                raise PhotosError(f"{file.name} needs one column of {columns}")
            return {
                (row[key] or "").strip().strip("/"): (row[label] or "").strip() or "other" for row in reader
            }
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise PhotosError(f"{file.name} cannot be read: {error}") from error


_COLUMNS = (CLASS_COLUMNS, LABEL_COLUMNS)
