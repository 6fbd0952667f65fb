"""Masks of objects from LabelMe's XML."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trainer.engine.photos import masks
from trainer.engine.photos.augment import Drawn
from trainer.engine.photos.manifest import Photo
from trainer.engine.photos.masks import (
    GRID,
    MAX_BYTES,
    MaskError,
    Masks,
    Outlines,
    find_file,
    mask_of,
    read_outlines,
)

SQUARE = ((0, 0), (50, 0), (50, 50), (0, 50))
SIZE = "<imagesize><nrows>100</nrows><ncols>200</ncols></imagesize>"


def thing(name: str = "boat", points: tuple[tuple[int, int], ...] = SQUARE, deleted: str = "0") -> str:
    corners = "".join(f"<pt><x>{x}</x><y>{y}</y></pt>" for x, y in points)
    return f"<object><name>{name}</name><deleted>{deleted}</deleted><polygon>{corners}</polygon></object>"


def labelme(*things: str, size: str = SIZE) -> str:
    return f"<annotation><filename>x.jpg</filename>{size}{''.join(things)}</annotation>"


def read(folder: Path, content: str) -> Outlines:
    (folder / "x.xml").write_text(content)
    return read_outlines(folder / "x.xml", folder / "x.jpg")


def test_objects_are_outlined_in_pixels(tmp_path: Path) -> None:
    outlines = read(tmp_path, labelme(thing("\nboat\n"), thing("car", SQUARE[:3])))
    assert (outlines.width, outlines.height) == (200, 100)
    assert outlines.polygons == (SQUARE, SQUARE[:3])


@pytest.mark.parametrize(
    "nothing",
    [thing(deleted="1"), thing("Sky"), thing(points=SQUARE[:2]), "<object><name>boat</name></object>"],
)
def test_what_tells_no_scene_apart_is_left_out(tmp_path: Path, nothing: str) -> None:
    assert read(tmp_path, labelme(nothing, thing())).polygons == (SQUARE,)


def test_without_a_size_the_photo_has_it(tmp_path: Path) -> None:
    Image.new("RGB", (60, 40)).save(tmp_path / "x.jpg")
    outlines = read(tmp_path, labelme(thing(), size=""))
    assert (outlines.width, outlines.height) == (60, 40)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("<annotation>", "is no XML"),
        ('<?xml version="1.0" encoding="unheard-of"?><annotation/>', "is no XML"),
        ('<!DOCTYPE a [<!ENTITY e "boom">]><annotation>&e;</annotation>', "DTD or entities"),
        ('<!DOCTYPE a SYSTEM "file:///etc/passwd"><annotation/>', "DTD or entities"),
        (labelme(thing(), size=""), "gives no imagesize"),
        (labelme(size="<imagesize><nrows>0</nrows><ncols>9</ncols></imagesize>"), "imagesize of 9 × 0"),
        (labelme(thing().replace("50", "wide", 1)), "'wide' where x should be"),
        (labelme(thing().replace("50", "1e99", 1)), "'1e99' where x should be"),
        (labelme(thing().replace("50", "nan", 1)), "'nan' where x should be"),
        (labelme(" " * MAX_BYTES), "larger than 4 MB"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(tmp_path: Path, content: str, words: str) -> None:
    with pytest.raises(MaskError, match=words):
        read(tmp_path, content)


def test_too_many_points_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(masks, "MAX_POINTS", 7)
    assert read(tmp_path, labelme(thing())).polygons == (SQUARE,)
    with pytest.raises(MaskError, match="more than 7 points"):
        read(tmp_path, labelme(thing(), thing()))


def test_the_file_is_beside_the_photo_or_among_the_annotations(tmp_path: Path) -> None:
    photo = tmp_path / "Images" / "a" / "abbey" / "x.jpg"
    assert find_file(photo) is None
    for file in (tmp_path / "Annotations" / "a" / "abbey" / "x.xml", photo.with_suffix(".xml")):
        file.parent.mkdir(parents=True)
        file.touch()
        assert find_file(photo) == file


def test_a_mask_is_squeezed_and_moved_as_its_photo() -> None:
    """The left half of a wide photo; mirrored, the right half. What is outside the photo is no object."""
    outlines = Outlines(200, 100, (((0, 0), (100, 0), (100, 100), (0, 100)),))
    plain, mirrored = (mask_of(outlines, Drawn(mirror=mirror)) for mirror in (False, True))
    assert plain.shape == (GRID, GRID)
    assert plain[:, : GRID // 2 - 1].min() == 1
    assert plain[:, GRID // 2 + 2 :].max() == 0
    assert mirrored[:, GRID // 2 + 2 :].min() == 1
    moved = mask_of(outlines, Drawn(shift=(0.5, 0.0)))
    assert moved[:, : GRID // 2 - 1].max() == 0
    assert moved[:, GRID // 2 + 2 :].min() == 1


def test_photos_without_masks_are_told_apart_and_faults_named(tmp_path: Path) -> None:
    photos = [Photo(name, str(tmp_path / f"{name}.jpg"), "street", "a/alley") for name in "xyz"]
    (tmp_path / "x.xml").write_text(labelme(thing()))
    (tmp_path / "y.xml").write_text("<annotation>")
    (tmp_path / "z.xml").write_text(labelme(thing("sky")))
    drawn = Masks(photos, augment=1, seed=3)
    assert (drawn.count, list(drawn.outlines), list(drawn.faults)) == (3, [0], ["y"])
    rows = drawn.of([2, 0], epoch=1)
    assert np.isnan(rows[0]).all()
    assert 0 < rows[1].mean() < 1
    assert np.array_equal(rows[1], drawn.of([0], epoch=1)[0])
    assert not np.array_equal(rows[1], drawn.of([0], epoch=2)[0])
