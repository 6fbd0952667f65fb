"""Every transform of the thesis's augmentation: its range, its probability, and what it does to pixels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from operator import attrgetter

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from trainer.engine.photos.augment import GREY, Drawn, distorted, draw, generator
from trainer.engine.preprocess import Input, resized

SPEC = Input(64, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
DRAWS = 3000
# transform: its amount, by k the lowest and highest it may be, and what it is where it is not applied
TRANSFORMS: dict[str, tuple[Callable[[Drawn], float], Callable[[float], tuple[float, float]], float]] = {
    "rotation": (lambda d: d.angle, lambda k: (-10 * k, 10 * k), 0),
    "crop": (lambda d: d.crop, lambda k: (1 - 0.1 * k, 1), 1),
    "translation across": (lambda d: abs(d.shift[0]), lambda k: (0, 0.1 * k), 0),
    "translation down": (lambda d: abs(d.shift[1]), lambda k: (0, 0.1 * k), 0),
    "shear across": (lambda d: abs(d.shear[0]), lambda k: (0, 0.05 * k), 0),
    "shear down": (lambda d: abs(d.shear[1]), lambda k: (0, 0.05 * k), 0),
    "aspect": (lambda d: d.aspect[0] * d.aspect[1], lambda k: (1 - 0.1 * k, 1 + 0.1 * k), 1),
    "mirror": (lambda d: float(d.mirror), lambda k: (1, 1), 0),
    **{
        name: (attrgetter(name), lambda k: (max(0, 1 - 0.1 * k), 1 + 0.1 * k), 1)
        for name in ("brightness", "contrast", "saturation", "hue")
    },
}


@pytest.fixture(scope="module", params=[0.5, *range(1, 7)])
def drawn(request: pytest.FixtureRequest) -> tuple[float, list[Drawn]]:
    rng = np.random.default_rng(round(request.param))
    return request.param, [draw(request.param, rng) for _ in range(DRAWS)]


@pytest.mark.parametrize("name", TRANSFORMS)
def test_each_transform_keeps_its_range_and_probability(drawn: tuple[float, list[Drawn]], name: str) -> None:
    amount, reach, neutral = TRANSFORMS[name]
    k, copies = drawn
    applied = np.array([amount(copy) for copy in copies])
    applied = applied[applied != neutral]
    low, high = reach(k)
    assert applied.min() >= low
    assert applied.max() <= high
    # All of it is used: the extremes are nearly reached, and the middle is in the middle.
    room = high - low
    assert applied.min() == pytest.approx(low, abs=0.01 * room)
    assert applied.max() == pytest.approx(high, abs=0.01 * room)
    assert applied.mean() == pytest.approx((low + high) / 2, abs=0.04 * room)
    p = 0.4 + 0.1 * k
    assert len(applied) / DRAWS == pytest.approx(p, abs=0.035)


def test_a_coin_decides_directions_and_sides(drawn: tuple[float, list[Drawn]]) -> None:
    _, copies = drawn
    for signs in (
        [c.shift[0] for c in copies],
        [c.shift[1] for c in copies],
        [c.shear[0] for c in copies],
        [c.shear[1] for c in copies],
        [c.aspect[0] - c.aspect[1] for c in copies],
    ):
        moved = np.array(signs)[np.array(signs) != 0]
        assert (moved > 0).mean() == pytest.approx(0.5, abs=0.05)


def test_transforms_come_independently(drawn: tuple[float, list[Drawn]]) -> None:
    k, copies = drawn
    both = np.mean([copy.angle != 0 and copy.mirror for copy in copies])
    assert both == pytest.approx((0.4 + 0.1 * k) ** 2, abs=0.035)


def test_strength_nought_does_nothing() -> None:
    assert draw(0, generator(0, 0, 0)) == Drawn()


def test_a_copy_depends_on_seed_epoch_and_photo() -> None:
    places = [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)]
    copies = [draw(3, generator(*place)) for place in places]
    assert len(set(copies)) == 4
    assert copies == [draw(3, generator(*place)) for place in places]


# --- pixels


@pytest.fixture(scope="module")
def photo() -> Image.Image:
    """Landscape, with a red square left of the upper middle."""
    made = Image.new("RGB", (128, 96), (40, 60, 200))
    ImageDraw.Draw(made).rectangle((24, 16, 47, 39), fill=(220, 30, 30))
    return made


def middle_of_red(pixels: NDArray[np.uint8]) -> tuple[float, float]:
    """x and y, as shares of the copy."""
    red = (pixels[..., 0] > 150) & (pixels[..., 2] < 110)
    y, x = np.nonzero(red)
    return (float(x.mean()) + 0.5) / 64, (float(y.mean()) + 0.5) / 64


PLAIN = (0.28125, 0.2917)  # of the square: 36 / 128, 28 / 96


def test_doing_nothing_is_plain_resizing(photo: Image.Image) -> None:
    gap = np.abs(distorted(photo, Drawn(), SPEC).astype(int) - resized(photo, SPEC))
    assert gap.mean() < 2
    assert middle_of_red(distorted(photo, Drawn(), SPEC)) == pytest.approx(PLAIN, abs=0.01)


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        (Drawn(mirror=True), (1 - PLAIN[0], PLAIN[1])),
        (Drawn(shift=(0.2, 0.1)), (PLAIN[0] + 0.2, PLAIN[1] + 0.1)),
        # a quarter turn to the left, around the middle, in the photo's own pixels: (−28, −20) → (−20, 28)
        (Drawn(angle=90.0), (0.5 - 20 / 128, 0.5 + 28 / 96)),
        # the upper left rectangle of half the sides: everything twice as far from the corner
        (Drawn(crop=0.5, place=(0.0, 0.0)), (2 * PLAIN[0], 2 * PLAIN[1])),
        (Drawn(aspect=(0.5, 1.0)), (0.5 + (PLAIN[0] - 0.5) * 0.5, PLAIN[1])),
        (Drawn(aspect=(1.0, 1.5)), (PLAIN[0], 0.5 + (PLAIN[1] - 0.5) * 1.5)),
    ],
)
def test_pixels_move_by_the_given_amounts(
    photo: Image.Image, what: Drawn, expected: tuple[float, float]
) -> None:
    assert middle_of_red(distorted(photo, what, SPEC)) == pytest.approx(expected, abs=0.015)


def test_shear_slants(photo: Image.Image) -> None:
    x, y = middle_of_red(distorted(photo, Drawn(shear=(0.25, 0.0)), SPEC))
    assert y == pytest.approx(PLAIN[1], abs=0.015)
    assert abs(x - PLAIN[0]) > 0.02


def test_outside_is_grey(photo: Image.Image) -> None:
    assert tuple(distorted(photo, Drawn(shift=(0.5, 0.0)), SPEC)[32, 4]) == GREY


def test_colours_change_by_their_factor(photo: Image.Image) -> None:
    plain = distorted(photo, Drawn(), SPEC).astype(float)
    dark = distorted(photo, Drawn(brightness=0.5), SPEC).astype(float)
    assert dark.mean() == pytest.approx(plain.mean() / 2, abs=1)
    flat = distorted(photo, Drawn(contrast=0.5), SPEC).astype(float)
    assert flat.std() == pytest.approx(plain.std() / 2, rel=0.35)
    grey = distorted(photo, replace(Drawn(), saturation=0.0), SPEC).astype(float)
    assert np.ptp(grey, axis=2).max() <= 1
    # Blue turned by a third of the circle is red; the brightness stays, as far as a screen can show it.
    turned = distorted(photo, Drawn(hue=1 + 2 / 3), SPEC)[60, 60]
    assert turned[0] > 110 > 60 > turned[2]
    assert turned @ (0.299, 0.587, 0.114) == pytest.approx(plain[60, 60] @ (0.299, 0.587, 0.114), abs=12)


def test_a_large_photo_is_not_sampled_pixel_by_pixel() -> None:
    stripes = Image.fromarray(np.tile(np.array([[[0] * 3, [255] * 3]], np.uint8), (512, 256, 1)))
    assert distorted(stripes, Drawn(), SPEC).std() < 10
