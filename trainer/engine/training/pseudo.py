"""Pseudo-labels: train, label photos without labels above a confidence, train again with them.

The second training begins anew, with the same recipe and seed; its training photos are the first one's and
those that the first one was sure about. It is kept only if McNemar's exact test on the same held-out photos
says that it is better. As these photos choose between two networks, the figures of a kept one are slightly
too good.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from formats.files import is_left_by_system, walk
from formats.storage import raise_if_of_storage
from formats.table import Columns, Unreadable, read_table
from formats.texts import Text
from trainer.engine.errors import PhotosError
from trainer.engine.evaluation.mcnemar import exact_p
from trainer.engine.evaluation.report import both_accuracies, softmax
from trainer.engine.events import emit
from trainer.engine.opening import PHOTO_SUFFIXES
from trainer.engine.photos.manifest import MOST_PHOTOS, Photo

SURE = 0.05  # the level of significance
TABLE = Columns(
    {"photo_id": "photo_id", "path": "path"},
    required=[("path",)],
    asks="A table of photos without labels has the column path.",
)


def read_unlabelled(place: Path) -> list[Photo]:
    """The photos below a folder, or those whose paths a table lists, without label and class.

    A path that is not absolute begins at the table's folder. Raises PhotosError.
    """
    if place.is_dir():
        photos = [Photo(name, str(place / name), "", "") for name in _photos_below(place)]
    else:
        try:
            table = read_table(place.read_bytes(), TABLE, max_rows=MOST_PHOTOS)
        except (OSError, Unreadable) as error:
            raise_if_of_storage(error)
            raise PhotosError(
                Text("the photos without labels cannot be read: %(error)s", error=error)
            ) from error
        for problem in table.problems:
            raise PhotosError(
                Text(
                    "%(file)s, line %(line)s: %(text)s",
                    line=problem.line,
                    file=place.name,
                    text=problem.text,
                )
            )
        rows = [row.values for row in table.rows if row.values["path"]]
        photos = [
            Photo(row.get("photo_id") or row["path"], str(place.parent / row["path"]), "", "") for row in rows
        ]
    if not photos:
        raise PhotosError(
            Text("%(folder)s holds no photos", folder=place.name),
            hint=Text("Give a folder with photos without labels."),
        )
    return photos


def _photos_below(folder: Path) -> list[str]:
    """Their relative paths, in order. An event names each folder that is not entered."""
    names = []
    for name, reason in walk(folder):
        if reason:
            emit("skipped", photo_id=name, reason=reason)
        elif Path(name).suffix.lower() in PHOTO_SUFFIXES and not is_left_by_system(name):
            names.append(name)
    return sorted(names)


def without_known(unlabelled: Sequence[Photo], known: Sequence[Photo]) -> list[Photo]:
    """The photos that are none of the known ones and not twice there, by the SHA-256 of their bytes.

    Held-out photos count as known: a photo with a pseudo-label must not be one that the figures are from.
    """
    seen, new = {photo.sha256 for photo in known}, []
    for photo in unlabelled:
        if photo.sha256 not in seen:
            seen.add(photo.sha256)
            new.append(photo)
    return new


def label_confident(
    photos: Sequence[Photo],
    logits: NDArray[Any],
    scenes: NDArray[Any] | None,
    *,
    names: tuple[Sequence[str], Sequence[str], Sequence[int]],
    confidence: float,
) -> list[Photo]:
    """The photos whose best label has at least this probability, with that label and its best scene class.

    ``logits`` (n, c) of labels; ``scenes`` (n, k) of scene classes, or None if the network predicts none: the
    class is then the label's first. ``names``: labels, scene classes, and the label's index of each class.
    """
    labels, classes, groups = names
    probabilities = softmax(logits)
    best = probabilities.argmax(1)
    label_of_class = np.asarray(groups)
    labelled = []
    for at in np.flatnonzero(probabilities.max(1) >= confidence).tolist():
        candidates = np.flatnonzero(label_of_class == best[at])
        scene = candidates[0] if scenes is None else candidates[scenes[at, candidates].argmax()]
        labelled.append(replace(photos[at], label=labels[best[at]], scene_class=classes[scene]))
    return labelled


def compare(first: NDArray[Any], again: NDArray[Any], true: NDArray[Any]) -> dict[str, Any]:
    """Both trainings' figures on the same held-out photos, McNemar's exact test, and whether the second is
    better: ``first``, ``again`` logits (n, c), ``true`` (n,).
    """
    right, right_again = first.argmax(1) == true, again.argmax(1) == true
    only_first, only_again = int((right & ~right_again).sum()), int((~right & right_again).sum())
    p = exact_p(only_first, only_again)
    return {
        "first": both_accuracies(first, true),
        "again": both_accuracies(again, true),
        "only_first": only_first,
        "only_again": only_again,
        "p": p,
        "kept": only_again > only_first and p < SURE,
    }


def count_labels(photos: Sequence[Photo]) -> dict[str, int]:
    """Photos by label, the commonest first."""
    return dict(Counter(photo.label for photo in photos).most_common())
