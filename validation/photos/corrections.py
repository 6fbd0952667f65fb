"""What a photo should have been called, decided by somebody, and how such photos reach training."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet

from mapping.models import Hashtag, Release, SceneClass
from trainer.photosets.registration import forget_photo, register_folder
from validation.models import Correction, Photo

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

    from trainer.models import PhotoSet


log = logging.getLogger(__name__)


class StaleCorrection(Exception):
    """Somebody else has decided about this photo meanwhile. Nothing was changed: look at it again."""


@transaction.atomic
def correct(
    *, photo: Photo, by: AbstractBaseUser, scene: SceneClass | None, hashtag: Hashtag | None, seen: int | None
) -> Correction:
    """Decide what the photo shows. With a scene class its hashtag is what the newest release says of it, so
    that the two cannot disagree; without one the photo corrects figures, but cannot be trained on.

    `seen` is the number of the correction's history row that the page showed, None for none. Raises
    StaleCorrection if another one is the newest.
    """
    Photo.objects.select_for_update(of=("self",)).get(pk=photo.pk)
    newest = Correction.history.filter(photo=photo).order_by("-history_id").first()
    if (newest.history_id if newest else None) != seen:
        raise StaleCorrection(str(StaleCorrection.__doc__))
    if scene is not None:
        hashtag = _hashtag_of(scene)
    row = Correction.objects.filter(photo=photo).first() or Correction(photo=photo)
    row.scene_class, row.hashtag, row.decided_by_id = scene, hashtag, by.pk
    row.save()
    return row


def _hashtag_of(scene: SceneClass) -> Hashtag | None:
    newest = Release.objects.order_by("-number").first()
    label = (
        newest.labels.filter(scene_key=scene.key).values_list("label", flat=True).first() if newest else None
    )
    return Hashtag.objects.filter(name=label).first()


def trainable() -> QuerySet[Correction]:
    """Corrections that say which scene class a photo is of, and whose pixels are still here."""
    rows = Correction.objects.filter(scene_class__isnull=False, photo__withdrawn_at=None)
    return rows.select_related("photo", "scene_class").order_by("pk")


def make_photo_set(*, name: str, by: AbstractBaseUser) -> tuple[PhotoSet, list[Photo]]:
    """Register the corrected photos as a photo set, sorted by scene class, copied: what becomes of a campaign
    changes no photo set. Photos that are withdrawn everywhere go from there, too.

    Returns also the photos that are left out, because their file is gone. Raises NameTaken, and ValueError
    without such photos.
    """
    rows = list(trainable())
    if not rows:
        raise ValueError("No correction says which scene class a photo is of.")
    folder = _folder() / uuid4().hex
    try:
        missing = [row.photo for row in rows if not _copy(row, folder)]
        if len(missing) == len(rows):
            raise ValueError("The files of all corrected photos are gone from the storage.")
        photo_set = register_folder(name=name, folder=folder, by=by)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    for photo in Photo.objects.filter(correction__in=rows, withdrawn_at__isnull=False):
        delete_copies(photo)  # withdrawn while it was copied
    return photo_set, missing


def _copy(row: Correction, folder: Path) -> bool:
    """False if the photo's file is gone."""
    assert row.scene_class
    place = folder / row.scene_class.key / f"{row.photo.sha256}.jpg"
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        with row.photo.file.open("rb") as source, place.open("wb") as target:
            shutil.copyfileobj(source, target)
    except FileNotFoundError:
        return False
    return True


def _folder() -> Path:
    return Path(settings.PHOTO_SETS_DIR) / "corrected"


def has_copies(photo: Photo) -> bool:
    """Whether a photo set of corrected photos holds this one."""
    return any(_folder().rglob(f"{photo.sha256}.jpg"))


def delete_copies(photo: Photo) -> None:
    """Take a withdrawn photo out of the photo sets of corrected photos; `has_copies` tells if it failed."""
    try:
        forget_photo(folder=_folder(), name=f"{photo.sha256}.jpg")
    except OSError:
        log.exception("Copies of photo %s could not be deleted", photo.pk)
