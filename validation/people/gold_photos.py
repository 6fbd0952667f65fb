"""Known answers on photos of the mapping: a photo set's photo, and the hashtag of its class or another one.

The mapping only proposes. Somebody looks at each photo and says what nobody could dispute: a class's second
meaning may fit as well, and a photo may show something else than its class.
"""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db import transaction

from formats.files import is_inside
from mapping.models import Hashtag, Release
from trainer.models import PhotoSet, ScenePhoto
from trainer.set_files import bring_photo
from validation.campaigns.counts import lock
from validation.models import Photo, Question
from validation.people.gold import mark
from validation.photos.store import take_in

if TYPE_CHECKING:
    from django.contrib.auth.models import User

CHANCE = random.SystemRandom()
SHOWN = 12  # photos at a time
WRONG = 3  # each third is shown with another hashtag than its class's


@dataclass(frozen=True)
class Proposal:
    photo: ScenePhoto
    hashtag: Hashtag
    fits: bool  # says the mapping


def propose(photo_set: PhotoSet) -> list[Proposal]:
    """Photos drawn at random, the same number of each hashtag if there are enough, none that is marked."""
    marked = Photo.objects.filter(gold_answers__isnull=False).values("sha256")
    photos = photo_set.photos.filter(scene_class__isnull=False).exclude(sha256__in=marked)
    counts = photos.order_by().values_list("scene_class", "scene_class__key").distinct()
    labels = _labels()
    classes: dict[str, list[int]] = defaultdict(list)
    for pk, key in counts:
        if key in labels:
            classes[labels[key].name].append(pk)
    if not classes:
        return []
    by_name = {row.name: row for row in labels.values()}
    order = CHANCE.sample(sorted(classes), len(classes))
    proposals: dict[int, Proposal] = {}
    for at in range(SHOWN):
        name = order[at % len(order)]
        photo = photos.filter(scene_class__in=classes[name]).exclude(pk__in=proposals).order_by("?").first()
        if photo is None:
            continue
        fits = bool(at % WRONG) or len(by_name) == 1
        shown = name if fits else CHANCE.choice(sorted(by_name.keys() - {name}))
        proposals[photo.pk] = Proposal(photo, by_name[shown], fits)
    return list(proposals.values())


def _labels() -> dict[str, Hashtag]:
    """Class → the hashtag that the newest release gives it. Blocked ones are left out."""
    release = Release.objects.first()
    if release is None:
        return {}
    offered = {row.name: row for row in Hashtag.objects.unblocked()}
    pairs = release.labels.values_list("scene_key", "label")
    return {key: offered[label] for key, label in pairs if label in offered}


def mark_photo(*, photo: ScenePhoto, hashtag: Hashtag, fits: bool, by: User) -> Photo:
    """Take the photo in, and mark the known answer; all open campaigns ask about it from now on. Safe to
    repeat. Raises PhotoRefused, FileNotFoundError if the file is gone from its set, and StorageFailure.
    """
    bring_photo(photo.photo_set, photo.path)
    if not is_inside(photo.file, photo.photo_set.folder):
        raise FileNotFoundError(photo.path)
    with photo.file.open("rb") as file:
        taken = take_in(file=file, name=photo.file.name, by=by)
    note = f"{photo.photo_set}, {photo.subject}"[:200]
    with transaction.atomic():
        Photo.objects.select_for_update().get(
            pk=taken.pk
        )  # a double click waits: there may be no question yet
        lock(Question.objects.on_pair(taken.pk, hashtag.pk))
        mark(photo=taken.pk, hashtag=hashtag.pk, fits=fits, note=note, by=by)
    return taken
