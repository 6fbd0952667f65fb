"""The photos of a run: the manifest, labels and scene classes, a random split, hashes of files."""

from __future__ import annotations

import hashlib
import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TypeVar

from formats.classes import OTHER
from formats.names import lower_name, scene_key
from formats.storage import common_folder, raise_if_of_storage, require_content
from formats.table import Columns, TableRow, Unreadable, read_table
from formats.texts import Text
from trainer.engine.errors import PhotosError
from trainer.engine.events import Progress, StopRequest, emit

T = TypeVar("T")
COLUMNS = ("photo_id", "path", "label", "scene_class")
LEVELS = ("level1", "level2")  # optional: the wide and the narrow group that a data set puts a scene class in
TABLE = Columns(
    {name: name for name in (*COLUMNS, *LEVELS)},
    required=[(name,) for name in COLUMNS],
    asks=f"A manifest has the columns {', '.join(COLUMNS)}.",
)
MOST_PHOTOS = 10_000_000


@dataclass(frozen=True)
class Photo:
    photo_id: str
    path: str
    label: str
    scene_class: str
    sha256: str = ""
    levels: tuple[str, str] = ("", "")  # SUN's levels 1 and 2 of the scene class; empty: not known
    root: str = ""  # the deepest folder of all photos that it was read with; empty: not known

    def require_root(self) -> None:
        """Raise StorageFailure if all photos that it was read with are gone: is their disk mounted?"""
        if self.root:
            require_content(Path(self.root))


@dataclass(frozen=True)
class Split:
    train: tuple[Photo, ...]
    test: tuple[Photo, ...]


def read_manifest(path: Path) -> list[Photo]:
    """The rows of a manifest (photo_id, path, label, scene_class, and perhaps level1, level2).

    Raises PhotosError naming the line.
    """
    try:
        table = read_table(path.read_bytes(), TABLE, max_rows=MOST_PHOTOS)
    except (OSError, Unreadable) as error:
        raise_if_of_storage(error)
        raise PhotosError(Text("%(file)s cannot be read: %(error)s", file=path.name, error=error)) from error
    for problem in table.problems:
        raise PhotosError(
            Text("line %(line)s of the manifest: %(text)s", line=problem.line, text=problem.text)
        )
    if not table.rows:
        raise PhotosError(
            Text("%(file)s lists no photos", file=path.name),
            hint=Text("Choose a photo set with photos in it."),
        )
    return [_photo(row) for row in table.rows]


def _photo(row: TableRow) -> Photo:
    for name in COLUMNS:
        if not row.values[name]:
            raise PhotosError(Text("line %(line)s of the manifest has no %(name)s", line=row.line, name=name))
    label = lower_name(row.values["label"]).lstrip("#")
    return Photo(
        row.values["photo_id"],
        row.values["path"],
        label,
        scene_key(row.values["scene_class"]),
        levels=(row.values.get("level1", ""), row.values.get("level2", "")),
    )


def with_hashes(photos: Sequence[Photo], stop: StopRequest) -> list[Photo]:
    """The photos with their root and the SHA-256 of their bytes; those whose file is gone are skipped with an
    event.

    Raises Stopped, and StorageFailure if the folder of all photos is gone.
    """
    progress, readable = Progress("reading", len(photos)), []
    root = common_folder(photo.path for photo in photos)
    digest_of = partial(_sha256, root=root)
    with ThreadPoolExecutor(4) as threads:
        for batch in batched(photos, 256):
            stop.check()
            for photo, digest in zip(batch, threads.map(digest_of, batch), strict=True):
                if digest:
                    readable.append(replace(photo, sha256=digest, root=str(root or "")))
                else:
                    emit("skipped", photo_id=photo.photo_id, reason="the file cannot be read")
            progress.advance(len(batch))
    return readable


def _sha256(photo: Photo, root: Path | None) -> str:
    try:
        with open(photo.path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise_if_of_storage(error, root)
        return ""


def split_photos(photos: Sequence[Photo], *, test_share: float, seed: int) -> Split:
    """Split by seed, in every scene class alike; equal files always fall on the same side.

    Depends on photo ids and contents only, not on the order of the manifest. A scene class of two photos or
    more has at least one on each side, unless its photos are copies of one another.
    """
    by_class: dict[str, dict[str, list[Photo]]] = defaultdict(lambda: defaultdict(list))
    home: dict[str, str] = {}  # a photo filed under two classes is split once, under the first
    for photo in sorted(photos, key=lambda p: (p.scene_class, p.photo_id)):
        key = photo.sha256 or photo.photo_id
        by_class[home.setdefault(key, photo.scene_class)][key].append(photo)
    train: list[Photo] = []
    test: list[Photo] = []
    for scene_class in sorted(by_class):
        keys = sorted(by_class[scene_class])
        random.Random(f"{seed}/{scene_class}").shuffle(keys)  # noqa: S311 - a reproducible split
        count = round(test_share * len(keys))
        if len(keys) > 1:
            count = min(max(count, 1), len(keys) - 1)
        for at, key in enumerate(keys):
            (test if at < count else train).extend(by_class[scene_class][key])
    return Split(tuple(train), tuple(test))


def labels_of(photos: Iterable[Photo]) -> list[str]:
    """The labels in alphabetical order, ``other`` last; raises PhotosError if there is only one."""
    names = {photo.label for photo in photos}
    if len(names) < 2:
        raise PhotosError(
            Text("all photos have the label %(label)s", label=", ".join(names) or Text("(none)")),
            hint=Text("A network learns from at least two labels: map another scene class, or add photos."),
        )
    return sorted(names - {OTHER}) + ([OTHER] if OTHER in names else [])


def scene_groups(photos: Iterable[Photo], labels: Sequence[str]) -> tuple[list[str], list[int]]:
    """The scene classes in order, and for each the index of its label."""
    label_of: dict[str, str] = {}
    for photo in photos:
        if label_of.setdefault(photo.scene_class, photo.label) != photo.label:
            raise PhotosError(
                Text(
                    "scene class %(scene_class)s has two labels in the manifest",
                    scene_class=photo.scene_class,
                )
            )
    classes = sorted(label_of)
    return classes, [labels.index(label_of[name]) for name in classes]


def batched(items: Iterable[T], size: int) -> Iterator[list[T]]:
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
