"""Checks before a launch that the photos can be divided as the recipe says."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from django.utils.translation import gettext as _

from formats.classes import label_in
from mapping.models import Release
from notices.words import shown
from trainer.engine.errors import PhotosError
from trainer.engine.photos.manifest import Photo
from trainer.engine.photos.partitions import divide
from trainer.engine.recipe import Recipe
from trainer.models import PhotoSet


class CannotSplit(Exception):
    """The photos cannot be divided into training and held-out photos; the message says why, with numbers."""


def partitions_of(photo_set: PhotoSet) -> Path | None:
    """The folder with the lists of SUN397's partitions, in or beside the folder of the photos."""
    root = photo_set.folder
    return next(
        (folder for folder in (root / "Partitions", root.parent / "Partitions") if folder.is_dir()), None
    )


def check_splits(photo_set: PhotoSet, release: Release, recipes: Iterable[Recipe]) -> None:
    """Divide the photos by SUN397's partitions or into folds, as the engine will. Raises CannotSplit.

    Random splits are left to the engine: almost any photos can be divided at random.
    """
    by_split = {recipe.split: recipe for recipe in recipes if recipe.split != "random"}
    if not by_split or not photo_set.folder.is_dir():  # on another machine: then the engine finds out there
        return
    photos, partitions = _labelled_photos(photo_set, release), partitions_of(photo_set)
    for split, recipe in by_split.items():
        try:
            divide(photos, recipe, partitions)
        except PhotosError as error:
            said = shown(error.message)
            words = said[:1].upper() + said[1:]
            why = _("The split “%(split)s” does not fit “%(photo_set)s”. %(why)s.") % {
                "split": split,
                "photo_set": photo_set,
                "why": words,
            }
            raise CannotSplit(f"{why} {shown(error.hint)}".strip()) from error


def _labelled_photos(photo_set: PhotoSet, release: Release) -> list[Photo]:
    labels = dict(release.labels.values_list("scene_key", "label"))
    rows = photo_set.photos.order_by("pk").values_list("pk", "path", "scene_class__key", "label_folder")
    return [
        Photo(str(pk), path, label, key or folder)
        for pk, path, key, folder in rows.iterator()
        if (label := label_in(labels, key, folder))
    ]
