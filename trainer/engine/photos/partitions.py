"""Divides photos into training and held-out photos: at random, by SUN397's partitions, or by folds."""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from formats.names import comparable, scene_key
from formats.storage import raise_if_of_storage
from formats.table import Unreadable, decode_text
from formats.texts import Text
from trainer.engine.errors import PhotosError
from trainer.engine.events import emit
from trainer.engine.photos.manifest import Photo, Split, split_photos
from trainer.engine.recipe import Recipe

FILES = {"train": "Training_{}.txt", "test": "Testing_{}.txt"}
WHERE = Text(
    "SUN397's partitions are a separate download: put Training_01.txt, Testing_01.txt and so on into a "
    "folder named Partitions beside or in the folder of the photos."
)

TWO_PHOTOS = Text(
    "Add photos: a class needs two for one of them to be held out. Copies of a photo count once."
)


def split_for(photos: Sequence[Photo], recipe: Recipe, partitions: Path | None) -> Split:
    """The recipe's split of the photos, as divide() makes it. Reports how many photos it leaves out."""
    split = divide(photos, recipe, partitions)
    if left_out := len(photos) - len(split.train) - len(split.test):
        number = recipe.split.removeprefix("sun-")
        emit("left_out", photos=left_out, classes=[], reason=f"not in partition {number}")
    return split


def divide(photos: Sequence[Photo], recipe: Recipe, partitions: Path | None) -> Split:
    """The recipe's split of the photos. Raises PhotosError if SUN397's files are missing or do not fit, or if
    no photo can be held out.
    """
    if recipe.split == "random":
        split = split_photos(photos, test_share=recipe.test_share, seed=recipe.seed)
        if not split.test:
            raise PhotosError(Text("no photo can be held out: every class has one photo"), hint=TWO_PHOTOS)
        return split
    if recipe.split.startswith("sun-"):
        return official(photos, recipe.split.removeprefix("sun-"), partitions)
    number, of = (int(n) for n in re.findall(r"\d+", recipe.split))
    return fold(photos, number=number, of=of, seed=recipe.seed)


def train_only(split: Split) -> list[str]:
    """The scene classes of which no photo is held out, so that no figure speaks for them."""
    held_out = {photo.scene_class for photo in split.test}
    return sorted({photo.scene_class for photo in split.train} - held_out)


def official(photos: Sequence[Photo], number: str, partitions: Path | None) -> Split:
    """Partition 01 to 10: 50 training photos of each class, 50 held out. Other photos are left out.

    The end of its path identifies a photo: class and file name, as in the lists.
    """
    if partitions is None or not partitions.is_dir():
        raise PhotosError(Text("there are no files of partition %(number)s", number=number), hint=WHERE)
    side_of = {
        _key(name): side
        for side, file in FILES.items()
        for name in _read_list(partitions / file.format(number), partitions.name)
    }
    sides: dict[str, list[Photo]] = {"train": [], "test": []}
    for photo in sorted(photos, key=lambda p: p.photo_id):
        side = side_of.get(_key(f"{photo.scene_class}/{PurePosixPath(photo.path).name}"))
        if side is not None:
            sides[side].append(photo)
    if not sides["train"] or not sides["test"]:
        raise PhotosError(
            Text(
                "of %(all)s photos %(n)s are in %(file)s and %(test)s in %(test_file)s",
                all=len(photos),
                n=len(sides["train"]),
                file=FILES["train"].format(number),
                test=len(sides["test"]),
                test_file=FILES["test"].format(number),
            ),
            hint=Text(
                "The lists belong to SUN397: they do not contain photos of another set, or renamed photos."
            ),
        )
    return Split(tuple(sides["train"]), tuple(sides["test"]))


def _key(name: str) -> str:
    folder, _, file = name.rpartition("/")
    return f"{scene_key(folder)}/{comparable(file)}"


def _read_list(file: Path, folder: str) -> list[str]:
    """The photos of one list, as class/name.jpg. Raises PhotosError."""
    try:
        lines = decode_text(file.read_bytes()).splitlines()
    except FileNotFoundError:
        raise PhotosError(
            Text("%(file)s is not in %(folder)s", file=file.name, folder=folder), hint=WHERE
        ) from None
    except (OSError, Unreadable) as error:
        raise_if_of_storage(error)
        raise PhotosError(Text("%(file)s cannot be read: %(error)s", file=file.name, error=error)) from error
    matches = []
    for number, line in enumerate(lines, 1):
        name = line.strip().strip("/")
        if not name:
            continue
        if name.count("/") < 1 or not PurePosixPath(name).suffix:
            raise PhotosError(
                Text(
                    "line %(number)s of %(file)s is not a photo: %(text)s",
                    number=number,
                    file=file.name,
                    text=f"{line[:80]!r}",
                )
            )
        matches.append(name)
    return matches


def fold(photos: Sequence[Photo], *, number: int, of: int, seed: int) -> Split:
    """Hold out part ``number`` of ``of`` parts. Over all parts, every photo is held out once.

    Each scene class is spread evenly over the parts, and equal files are always in the same part. The parts
    depend only on photo ids and contents, not on the order of the manifest.
    """
    by_class: dict[str, dict[str, list[Photo]]] = defaultdict(lambda: defaultdict(list))
    home: dict[str, str] = {}  # a photo filed under two classes counts once, under the first
    for photo in sorted(photos, key=lambda p: (p.scene_class, p.photo_id)):
        key = photo.sha256 or photo.photo_id
        by_class[home.setdefault(key, photo.scene_class)][key].append(photo)
    parts: list[list[Photo]] = [[] for _ in range(of)]
    count = 0  # over all classes, so that small classes do not all begin with the first part
    for scene_class in sorted(by_class):
        keys = sorted(by_class[scene_class])
        random.Random(f"{seed}/{scene_class}").shuffle(keys)  # noqa: S311 - a reproducible split
        for key in keys:
            parts[count % of].extend(by_class[scene_class][key])
            count += 1
    test = parts.pop(number - 1)
    if not test or not any(parts):
        raise PhotosError(Text("%(n)s photos are too few for %(of)s parts", n=len(photos), of=of))
    return Split(tuple(photo for part in parts for photo in part), tuple(test))
