"""Provides the training loop's batches: from cached features, or from photos decoded batch by batch.

The order of an epoch depends only on seed and epoch, so a resumed run continues exactly where it stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from formats.storage import StorageFailure
from trainer.engine.events import emit
from trainer.engine.opening import UnreadablePhotoError, open_photo
from trainer.engine.photos.augment import distorted, draw, generator
from trainer.engine.photos.decoded import DecodedPhotos
from trainer.engine.photos.loaders import rows
from trainer.engine.photos.manifest import Photo
from trainer.engine.photos.masks import Masks
from trainer.engine.preprocess import Input, as_batch, resized
from trainer.engine.ranks import ALONE, Ranks


@dataclass(frozen=True)
class Taught:
    """What a teacher says of n photos: probabilities of labels (n, c) and scene classes (n, k) or None."""

    shares: Tensor  # (n,) of the teacher in each photo's loss; the photo's own label has the rest
    labels: Tensor
    scenes: Tensor | None
    labelled: Tensor  # (n,) 1 for photos with a label of their own, 0 for others

    def at(self, places: Tensor) -> Taught:
        scenes = None if self.scenes is None else self.scenes[places]
        return Taught(self.shares[places], self.labels[places], scenes, self.labelled[places])

    def to(self, device: torch.device) -> Taught:
        scenes = None if self.scenes is None else self.scenes.to(device)
        return Taught(self.shares.to(device), self.labels.to(device), scenes, self.labelled.to(device))


@dataclass
class Batch:
    inputs: Tensor  # (n, …)
    labels: Tensor  # (n,) indices
    scenes: Tensor  # (n,) indices
    # Of photos in their source's list; a photo drawn again has a place behind its end: see balanced_order.
    places: list[int] = field(default_factory=list)
    masks: Tensor | None = None  # (n, g, g) of objects, NaN for photos without; None: not asked for
    taught: Taught | None = None  # None: there is no teacher


class Source(Protocol):
    """What the loop trains and tests on."""

    @property
    def test_photos(self) -> Sequence[Photo]: ...  # in the order of test_batches, once it has run

    @property
    def train_count(self) -> int: ...

    @property
    def readable_count(self) -> int: ...  # of the training photos, as far as they have been read

    @property
    def ranks(self) -> Ranks: ...  # the processes that batches are divided among

    def batches(self, epoch: int, first: int) -> Iterator[Batch]: ...

    def test_batches(self) -> Iterator[Batch]: ...


def order_of(count: int, seed: int, epoch: int) -> Tensor:
    return torch.randperm(count, generator=torch.Generator().manual_seed(seed * 100_003 + epoch))


def balanced_order(labels: Tensor, power: float, seed: int, epoch: int) -> Tensor:
    """As many draws as there are labels (n,), with repetition: places (n,) of the photos.

    A photo is drawn by its label's number of photos to the power of -power. The k-th draw of a photo is its
    place plus k · n, from k = 0, so that each is distorted in its own way.
    """
    count = len(labels)
    chances = torch.bincount(labels).double()[labels] ** -power
    generator = torch.Generator().manual_seed(seed * 100_003 + epoch)
    drawn = torch.multinomial(chances, count, replacement=True, generator=generator).tolist()
    times: dict[int, int] = {}
    for at, place in enumerate(drawn):
        times[place] = times.get(place, -1) + 1
        drawn[at] = place + times[place] * count
    return torch.tensor(drawn)


class FeatureSource:
    """Features in memory: (views, n, f) for training. Each epoch draws one view per photo."""

    ranks = ALONE

    def __init__(
        self,
        train: Tensor,
        test: Tensor,
        targets: tuple[Tensor, Tensor, Tensor, Tensor],
        test_photos: Sequence[Photo],
        *,
        batch_size: int,
        seed: int,
        taught: Taught | None = None,
    ) -> None:
        self.train, self.test, self.taught = train, test, taught
        self.labels, self.scenes, self.test_labels, self.test_scenes = targets
        self.test_photos = test_photos
        self.batch_size, self.seed = batch_size, seed

    @property
    def train_count(self) -> int:
        return int(self.train.shape[1])

    readable_count = train_count

    def batches(self, epoch: int, first: int) -> Iterator[Batch]:
        order = order_of(self.train_count, self.seed, epoch)
        generator = torch.Generator().manual_seed(self.seed * 100_003 + epoch + 50_000)
        views = torch.randint(len(self.train), (self.train_count,), generator=generator)
        for indices in torch.split(order, self.batch_size)[first:]:
            inputs = self.train[views[indices], indices].float()
            taught = None if self.taught is None else self.taught.at(indices)
            yield Batch(inputs, self.labels[indices], self.scenes[indices], taught=taught)

    def test_batches(self) -> Iterator[Batch]:
        parts = (torch.split(x, 1024) for x in (self.test, self.test_labels, self.test_scenes))
        for inputs, labels, scenes in zip(*parts, strict=True):
            yield Batch(inputs.float(), labels, scenes)


class PhotoDataset(Dataset[tuple[int, Any, str | StorageFailure]]):
    """Decoded photos, distorted by strength ``augment``; seed, epoch and place in the list decide how.

    An item is the place asked for, the photo's pixels (None if there are none), and why there are none.
    Places behind the list's end are its photos once more, distorted in another way.
    """

    def __init__(
        self,
        photos: Sequence[Photo],
        spec: Input,
        *,
        augment: float = 0,
        seed: int = 0,
        epoch: int = 0,
        decoded: DecodedPhotos | None = None,
    ) -> None:
        self.photos, self.spec, self.decoded = photos, spec, decoded
        self.augment, self.seed, self.epoch = augment, seed, epoch

    def __len__(self) -> int:
        return len(self.photos)

    def __getitem__(self, item: int) -> tuple[int, Any, str | StorageFailure]:
        try:
            with self._photo(item % len(self.photos)) as photo:
                return item, self._view(photo, item), ""
        except UnreadablePhotoError as error:
            return item, None, str(error)
        except StorageFailure as error:  # returned, because PyTorch rewords what a loader raises
            return item, None, error

    def photo_at(self, item: int) -> Photo:
        return self.photos[item % len(self.photos)]

    def _view(self, photo: Image.Image, item: int) -> NDArray[np.uint8]:
        if not self.augment:
            return resized(photo, self.spec)
        drawn = draw(self.augment, generator(self.seed, self.epoch, item))
        return distorted(photo, drawn, self.spec)

    @contextmanager
    def _photo(self, at: int) -> Iterator[Image.Image]:
        """The photo, made small if it belongs to those that are decoded once."""
        path, decoded = self.photos[at].path, self.decoded
        if decoded is None or not decoded.holds(at):
            with open_photo(path, size=self.spec.size) as photo:
                yield photo
        else:
            yield Image.fromarray(self._decoded_once(path, at, decoded))

    def _decoded_once(self, path: str, at: int, decoded: DecodedPhotos) -> NDArray[np.uint8]:
        try:
            pixels = decoded.read(at)
            if pixels is None:
                with open_photo(path, size=decoded.side) as photo:
                    pixels = resized(photo, replace(self.spec, size=decoded.side))
                decoded.write(at, pixels)
        except OSError as error:
            raise StorageFailure(error) from error
        return pixels


class PhotoSource:
    """Photos decoded batch by batch, in worker processes if the recipe asks for them.

    A batch is divided among the ranks, perhaps with nothing for some. How a photo is distorted does not
    depend on who reads it.
    """

    def __init__(
        self,
        train: Sequence[Photo],
        test: Sequence[Photo],
        label_of: dict[str, int],
        scene_of: dict[str, int],
        *,
        spec: Input,
        batch_size: int,
        seed: int,
        num_workers: int,
        augment: float = 0,
        balanced_sampling: float = 0,
        size_of: Callable[[int], int] | None = None,
        decoded: tuple[DecodedPhotos, DecodedPhotos] | None = None,
        ranks: Ranks = ALONE,
        taught: Taught | None = None,
    ) -> None:
        """``size_of`` gives the side of an epoch's training photos, if that is not always the spec's.

        ``decoded`` holds the training photos and the test photos, if they are to be decoded once.
        """
        self.augment, self.balanced_sampling, self.size_of = augment, balanced_sampling, size_of
        self.decoded_train = decoded[0] if decoded else None
        self.decoded_test = decoded[1] if decoded else None
        self.train_photos, self.test_photos = list(train), list(test)
        self.label_of, self.scene_of, self.spec = label_of, scene_of, spec
        self.batch_size, self.seed, self.num_workers = batch_size, seed, num_workers
        self.unreadable: dict[str, str] = {}  # why, by photo_id
        self.ranks, self.taught = ranks, taught
        self.masks: Masks | None = None  # of the training photos, if the recipe asks for them

    @property
    def train_count(self) -> int:
        return len(self.train_photos)

    @property
    def readable_count(self) -> int:
        return sum(photo.photo_id not in self.unreadable for photo in self.train_photos)

    @property
    def train_labels(self) -> Tensor:
        """Indices (n,)."""
        return torch.tensor([self.label_of[photo.label] for photo in self.train_photos])

    def batches(self, epoch: int, first: int) -> Iterator[Batch]:
        if self.balanced_sampling:
            order = balanced_order(self.train_labels, self.balanced_sampling, self.seed, epoch).tolist()
        else:
            order = order_of(self.train_count, self.seed, epoch).tolist()
        size = self.batch_size
        indices = [self.ranks.share(order[at : at + size]) for at in range(first * size, len(order), size)]
        dataset = PhotoDataset(
            self.train_photos,
            replace(self.spec, size=self.size_of(epoch)) if self.size_of else self.spec,
            augment=self.augment,
            seed=self.seed,
            epoch=epoch,
            decoded=self.decoded_train,
        )
        for batch in self._load(dataset, indices):
            if self.masks is not None:
                batch.masks = torch.from_numpy(self.masks.of(batch.places, epoch))
            if self.taught is not None:
                batch.taught = self.taught.at(torch.tensor(batch.places) % self.train_count)
            yield batch
        self._share_unreadable()

    def test_batches(self, *, augment: float = 0, epoch: int = 0) -> Iterator[Batch]:
        """The test photos in order: unchanged, or distorted copies for test-time augmentation.

        Alone, no batch is empty; among several, all get the same number of batches.
        """
        photos, size = self.test_photos, self.batch_size
        places = [
            self.ranks.share(list(range(at, min(at + size, len(photos)))))
            for at in range(0, len(photos), size)
        ]
        dataset = PhotoDataset(
            photos,
            self.spec,
            augment=augment,
            seed=self.seed,
            epoch=epoch,
            decoded=None if augment else self.decoded_test,
        )
        for batch in self._load(dataset, places):
            if len(batch.labels) or not self.ranks.alone:
                yield batch
        self._share_unreadable()
        self.test_photos = [photo for photo in photos if photo.photo_id not in self.unreadable]

    def _load(self, dataset: PhotoDataset, places: list[list[int]]) -> Iterator[Batch]:
        """A batch for each list of places, without the photos that cannot be read: perhaps of none."""
        for batch in rows(dataset, places, self.num_workers):
            good = [(dataset.photo_at(at), pixels) for at, pixels, _ in batch if pixels is not None]
            for at, pixels, reason in batch:
                if pixels is None:
                    self._skip(dataset.photo_at(at), reason)
            empty = torch.empty(0, 3, dataset.spec.size, dataset.spec.size)
            yield Batch(
                torch.from_numpy(as_batch([pixels for _, pixels in good], self.spec)) if good else empty,
                torch.tensor([self.label_of[photo.label] for photo, _ in good], dtype=torch.long),
                torch.tensor([self.scene_of[photo.scene_class] for photo, _ in good], dtype=torch.long),
                [at for at, pixels, _ in batch if pixels is not None],
            )

    def _skip(self, photo: Photo, reason: str | StorageFailure) -> None:
        if isinstance(reason, StorageFailure):
            raise reason
        photo.require_root()
        self._note_unreadable({photo.photo_id: reason})

    def _share_unreadable(self) -> None:
        for photos in self.ranks.gather(self.unreadable):
            self._note_unreadable(photos)

    def _note_unreadable(self, photos: dict[str, str]) -> None:
        for photo_id, reason in photos.items():
            if photo_id not in self.unreadable:
                self.unreadable[photo_id] = reason
                emit("skipped", photo_id=photo_id, reason=reason)
