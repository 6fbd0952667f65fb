"""Which photos an epoch has, in which size, and how often they are decoded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.trainer.engine.conftest import TINTS, write_photo
from tests.trainer.engine.photos.test_masks import labelme, thing
from trainer.engine.events import StopRequest
from trainer.engine.photos.decoded import DecodedPhotos, side_for
from trainer.engine.photos.manifest import Photo, with_hashes
from trainer.engine.photos.masks import GRID, Masks
from trainer.engine.photos.sources import PhotoDataset, PhotoSource, balanced_order
from trainer.engine.preprocess import Input

SPEC = Input(32, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


@pytest.mark.parametrize(("power", "rare"), [(0.0, 0.1), (0.5, 0.25), (1.0, 0.5)])
def test_rare_labels_are_drawn_more_often(power: float, rare: float) -> None:
    labels = torch.tensor([0] * 1800 + [1] * 200)
    drawn = balanced_order(labels, power, seed=1, epoch=0)
    assert labels[drawn % 2000].double().mean().item() == pytest.approx(rare, abs=0.03)
    assert len(set(drawn.tolist())) == 2000  # each draw of a photo has a number of its own
    assert not torch.equal(drawn, balanced_order(labels, power, seed=1, epoch=1))
    assert torch.equal(drawn, balanced_order(labels, power, seed=1, epoch=0))


@pytest.fixture
def photos(tmp_path: Path) -> list[Photo]:
    """Three different photos, the first of them twice."""
    rows = []
    for at, scene_class in enumerate([*TINTS, next(iter(TINTS))]):
        write_photo(tmp_path / f"{at}.jpg", scene_class, at % 3)
        rows.append(Photo(str(at), str(tmp_path / f"{at}.jpg"), "x", scene_class))
    return with_hashes(rows, StopRequest())


def source(photos: list[Photo], **settings: Any) -> PhotoSource:
    scenes = {scene: at for at, scene in enumerate(TINTS)}
    options: dict[str, Any] = {"spec": SPEC, "batch_size": 4, "seed": 0, "num_workers": 0, **settings}
    return PhotoSource(photos, photos, {"x": 0}, scenes, **options)


def pixels(source: PhotoSource, epoch: int = 0) -> torch.Tensor:
    return torch.cat([batch.inputs for batch in source.batches(epoch, 0)])


def test_training_photos_have_the_size_of_their_epoch_and_test_photos_their_own(photos: list[Photo]) -> None:
    grown = source(photos, size_of=lambda epoch: 16 + 8 * epoch)
    assert [pixels(grown, epoch).shape[-1] for epoch in range(3)] == [16, 24, 32]
    assert next(grown.test_batches()).inputs.shape[-1] == 32


def test_a_photo_drawn_twice_is_distorted_in_two_ways(photos: list[Photo]) -> None:
    dataset = PhotoDataset(photos[:1], SPEC, augment=3.0)
    (first, pixels, _), (again, others, _) = dataset[0], dataset[1]
    assert (first, again) == (0, 1)
    assert not np.array_equal(pixels, others)


@pytest.mark.parametrize("megabytes", [0.0035, 1])  # room for one photo, or for all
def test_decoded_once_they_are_the_same_pixels(photos: list[Photo], megabytes: float, tmp_path: Path) -> None:
    file = tmp_path / "run" / "train.pixels"
    decoded = DecodedPhotos(file, photos, 32, megabytes=megabytes)
    cached = source(photos, decoded=(decoded, decoded))
    expected = pixels(source(photos))
    assert torch.equal(pixels(cached), expected)
    for photo in photos:
        if decoded.holds(int(photo.photo_id)):
            Path(photo.path).unlink()
    assert torch.equal(pixels(cached), expected)
    decoded.remove()
    assert not file.exists()


def test_the_same_file_has_one_place_and_a_small_cache_holds_the_first(
    photos: list[Photo], tmp_path: Path
) -> None:
    decoded = DecodedPhotos(tmp_path / "pixels", photos, 32, megabytes=1)
    assert decoded.places == [0, 1, 2, 0]
    small = DecodedPhotos(tmp_path / "pixels", photos, 32, megabytes=0.0065)
    assert small.places == [0, 1, None, 0]
    assert (small.read(0), small.read(2)) == (None, None)
    small.write(0, np.full((32, 32, 3), 7, np.uint8))
    assert small.read(3) is not None


def test_what_is_cut_out_is_not_enlarged() -> None:
    assert (side_for(224, 0), side_for(224, 1), side_for(224, 6)) == (224, 249, 448)


def test_a_photo_drawn_again_has_the_mask_of_its_own_distortion(photos: list[Photo]) -> None:
    """The photos are black, white where the masks' object is: both are moved by the same amounts."""
    square = ((8, 8), (40, 8), (40, 40), (8, 40))
    size = "<imagesize><nrows>64</nrows><ncols>64</ncols></imagesize>"
    for photo in photos:
        pixels = np.zeros((64, 64, 3), np.uint8)
        pixels[8:40, 8:40] = 255
        Image.fromarray(pixels).save(photo.path, quality=95)
        Path(photo.path).with_suffix(".xml").write_text(labelme(thing("square", square), size=size))
    drawn = source(photos, augment=3.0, balanced_sampling=0.5, spec=Input(GRID, (0.0,) * 3, (1.0,) * 3))
    drawn.masks = Masks(photos, augment=3.0, seed=0)
    (batch,) = drawn.batches(0, 0)
    assert max(batch.places) >= len(photos), "none was drawn again"
    assert batch.masks is not None
    brightness = batch.inputs.mean(1)
    for light, mask in zip(brightness, batch.masks, strict=True):
        assert np.corrcoef(light.flatten(), mask.flatten())[0, 1] > 0.8
