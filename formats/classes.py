"""Finds scene classes by other spellings of their names, as folders and lists of other tools have them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from formats.names import scene_key


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
