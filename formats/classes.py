"""Finds scene classes by other spellings of their names, as folders and lists of other tools have them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache

from formats.names import normalize_hashtag, scene_key

# Folders beside those of scene classes, whose photos have a label of their own. No class begins with "_".
OUTSIDE = "_other"  # out of scope: `_other`, or a kind below it, such as `_other/pets`
HASHTAG = "_hashtag"  # of a hashtag, but of no class: `_hashtag/cars`
OTHER = "other"
LONGEST = 100  # letters of a name below them


def label_folder(path: str) -> str | None:
    """`_other`, `_other/pets` or `_hashtag/cars` for a file in such a folder; None if it is in none.

    One leading folder is skipped, as in SceneNames.class_of. What is deeper belongs to the same folder. A
    hashtag's name is read like any hashtag: `#Street Art` is streetart.
    """
    folders = [part for part in path.replace("\\", "/").split("/")[:-1] if scene_key(part)]
    for at, kind in enumerate(map(scene_key, folders[:2])):
        if kind not in (OUTSIDE, HASHTAG):
            continue
        if at + 1 == len(folders):
            return OUTSIDE if kind == OUTSIDE else None
        read = normalize_hashtag if kind == HASHTAG else scene_key
        name = read(folders[at + 1])
        return f"{kind}/{name}" if 0 < len(name) <= LONGEST else None
    return None


def is_beside_classes(folder: str) -> bool:
    """Whether the folder is `_other` or `_hashtag`, or below one. One leading folder is skipped."""
    return not {OUTSIDE, HASHTAG}.isdisjoint(scene_key(folder).split("/")[:2])


def label_of_folder(folder: str) -> str:
    """The label of a folder that label_folder found."""
    kind, _, name = folder.partition("/")
    return name if kind == HASHTAG else OTHER


def label_in(labels: Mapping[str, str], key: str | None, folder: str) -> str | None:
    """The label that a release (class → label) gives to a photo of this class, or in this label folder.

    None if it has none: a class that is not in it, or a hashtag that it does not use.
    """
    if key:
        return labels.get(key)
    label = label_of_folder(folder)
    return label if label == OTHER or label in labels.values() else None


def is_outside(scene_class: str) -> bool:
    """Whether the photos of this class, or folder of label_folder, are out of scope."""
    return scene_class.partition("/")[0] == OUTSIDE


class SceneNames:
    """The keys of scene classes. `Athletic Field` and `athletic-field` mean `athletic_field`, unless there is
    a class that is spelled just so.
    """

    def __init__(self, keys: Iterable[str]) -> None:
        self.keys = frozenset(keys)
        # Of two classes that differ only by hyphens, neither is guessed.
        self.by_loose_key: dict[str, str | None] = {}
        for key in self.keys:
            loose_key = _loose(key)
            self.by_loose_key[loose_key] = None if loose_key in self.by_loose_key else key
        self.find = lru_cache(10_000)(self._find)  # a folder has many photos

    def _find(self, name: str) -> str | None:
        """The key of the class that `name` means; None if there is no such class."""
        for key in (name, scene_key(name)):
            if key in self.keys:
                return key
        return self.by_loose_key.get(_loose(scene_key(name)))

    def class_of(self, path: str) -> str | None:
        """The class of a file ("a/athletic_field/outdoor/x.jpg"); None if none of its folders is one.

        The deepest class wins, so a/athletic_field/outdoor is not mistaken for a/athletic_field. One leading
        folder that is not a class, such as SUN397/, is skipped.
        """
        folders = [part for part in path.replace("\\", "/").split("/")[:-1] if part not in ("", ".")]
        for start in (0, 1):
            for end in range(len(folders), start, -1):
                if key := self.find("/".join(folders[start:end])):
                    return key
        return None


def _loose(key: str) -> str:
    return key.replace("-", "_")
