"""Corrections: what people decided that a photo shows, and the photo set made of them for training."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from formats.storage import StorageFailure, replacing
from mapping.models import Hashtag, Release, SceneClass
from trainer.models import PhotoSet
from trainer.photosets.registration import forget_photo, is_forgotten, register_folder
from trainer.set_files import CORRECTED, root_of
from validation.models import Correction, Photo
from validation.stored import read_stored

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser


log = logging.getLogger(__name__)


class StaleCorrection(Exception):
    """Somebody else has decided about this photo meanwhile. "
    "Nothing was changed: check their decision."""


@transaction.atomic
def correct(
    *, photo: Photo, by: AbstractBaseUser, scene: SceneClass | None, hashtag: Hashtag | None, seen: int | None
) -> Correction:
    """Decide what the photo shows. A scene class gets the hashtag that the newest release gives it, so that
    the two cannot disagree. Without a scene class the photo corrects figures, but cannot be trained on.

    `seen` is the id of the correction's history row that the page showed; None if there was none. Raises
    StaleCorrection if there is a newer one.
    """
    Photo.objects.select_for_update(of=("self",)).get(pk=photo.pk)
    newest = Correction.history.filter(photo=photo).order_by("-history_id").first()
    if (newest.history_id if newest else None) != seen:
        raise StaleCorrection(
            _(
                "Somebody else has decided about this photo meanwhile. "
                "Nothing was changed: check their decision."
            )
        )
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
    """Corrections with a scene class. Their photo is real and not withdrawn, their hashtag not blocked."""
    rows = Correction.objects.filter(scene_class__isnull=False, photo__in=Photo.objects.shown().real())
    rows = rows.exclude(hashtag__in=Hashtag.objects.blocked())
    return rows.select_related("photo", "scene_class").order_by("pk")


def waiting() -> QuerySet[Correction]:
    """Those decided since the newest photo set was made of corrections: no run can have learned from them."""
    own = Q(source__startswith=str(_folder())) | Q(root__startswith=f"{root_of(_folder())}/")
    sets = PhotoSet.objects.filter(own).order_by("-created_at")
    newest = sets.first()
    return trainable().filter(decided_at__gt=newest.created_at) if newest else trainable()


def make_photo_set(*, name: str, by: AbstractBaseUser) -> tuple[PhotoSet, list[Photo]]:
    """Register the corrected photos as a photo set, sorted by scene class. The photos are copied, so that no
    later change of a campaign changes the photo set. Only a withdrawn photo is deleted there, too.

    Also returns the photos that were left out because their file is missing. Raises NameTaken, ValueError if
    there are no corrected photos, and StorageFailure; then nothing of the copies is left.
    """
    rows = list(trainable())
    if not rows:
        raise ValueError(_("No correction names a scene class."))
    folder = _folder() / uuid4().hex
    try:
        missing = [row.photo for row in rows if not _copy(row, folder)]
        if len(missing) == len(rows):
            raise ValueError(_("The files of all corrected photos are missing from the storage."))
        photo_set = register_folder(name=name, folder=folder, by=by)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    for photo in Photo.objects.filter(correction__in=rows, withdrawn_at__isnull=False):
        delete_copies(photo)  # withdrawn while it was being copied
    return photo_set, missing


def _copy(row: Correction, folder: Path) -> bool:
    """False if the photo's file is missing."""
    assert row.scene_class
    place = folder / row.scene_class.key / f"{row.photo.sha256}.jpg"
    try:
        content = read_stored(str(row.photo.file.name))
    except FileNotFoundError:
        return False
    with replacing(place, "wb") as target:
        target.write(content)
    return True


def _folder() -> Path:
    return Path(settings.PHOTO_SETS_DIR) / CORRECTED


def has_copies(photo: Photo) -> bool:
    """Whether a photo set of corrected photos, or the log of an ended run, contains this photo."""
    return not is_forgotten(folder=_folder(), name=f"{photo.sha256}.jpg")


def delete_copies(photo: Photo) -> None:
    """Delete a withdrawn photo from the photo sets of corrected photos and from the logs of ended runs;
    `has_copies` tells if that failed.
    """
    try:
        forget_photo(folder=_folder(), name=f"{photo.sha256}.jpg")
    except (OSError, StorageFailure):
        log.exception("Copies of photo %s could not be deleted", photo.pk)
