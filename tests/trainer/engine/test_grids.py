"""HEICs that are put together from tiles, and say less than they have."""

from __future__ import annotations

import struct

import pytest
from PIL import Image

from tests.trainer.engine.bombs import HEIC, encoded, heic_of_tiles
from trainer.engine.costs import bytes_needed
from trainer.engine.grids import grid_pixels
from trainer.engine.opening import TooManyPixelsError, open_checked, open_within

TILE = 1600 * 1200


@pytest.mark.parametrize("size", [None, (64, 64)])
def test_a_grid_has_its_pixels_whatever_the_file_says(size: tuple[int, int] | None) -> None:
    assert grid_pixels(heic_of_tiles(3, 2, size=size)) == 6 * TILE


def test_pictures_laid_over_each_other_have_the_pixels_of_the_whole() -> None:
    assert grid_pixels(heic_of_tiles(3, 2, is_overlay=True)) == 6 * TILE


def test_a_box_may_give_its_length_in_64_bits_or_reach_to_the_end() -> None:
    content = heic_of_tiles(3, 2)
    start = content.index(b"meta") - 4
    (length,) = struct.unpack_from(">I", content, start)
    for head in (struct.pack(">I4sQ", 1, b"meta", length + 8), struct.pack(">I4s", 0, b"meta")):
        assert grid_pixels(content[:start] + head + content[start + 8 :]) == 6 * TILE


def test_what_is_no_grid_has_none() -> None:
    for content in (HEIC.read_bytes(), encoded(Image.new("RGB", (64, 48))), b"", b"nothing at all"):
        assert grid_pixels(content) == 0


def test_broken_headers_are_said_to_be_broken() -> None:
    content = heic_of_tiles(3, 2)
    answers: set[object] = set()
    for end in range(0, len(content), 3):
        try:
            answers.add(grid_pixels(content[:end]))
        except ValueError as error:
            answers.add(str(error))
    assert answers == {0, "the header of the HEIC is broken", 6 * TILE}


def test_a_grid_that_hides_its_pixels_is_refused_before_it_is_decoded() -> None:
    content = heic_of_tiles(3, 2, size=(64, 64))
    with pytest.raises(TooManyPixelsError, match="12 megapixels are more than 10"):
        open_within(content, (32, 32), max_pixels=10**7)
    assert bytes_needed(open_checked(content)) > 6 * TILE * 12
