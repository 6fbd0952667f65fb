"""Which class a folder or a path means."""

from __future__ import annotations

import pytest

from formats.classes import SceneNames, is_outside, label_folder, label_in, label_of_folder

KNOWN = SceneNames(
    {"a/abbey", "a/athletic_field", "a/athletic_field/outdoor", "abbey", "t-shirt", "x-y", "x_y"}
)


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("a/abbey/x.jpg", "a/abbey"),
        ("./a/abbey/x.jpg", "a/abbey"),
        ("a/athletic_field/outdoor/x.jpg", "a/athletic_field/outdoor"),
        ("a/athletic_field/x.jpg", "a/athletic_field"),
        ("a/athletic_field/night/x.jpg", "a/athletic_field"),
        ("SUN397/a/athletic_field/outdoor/x.jpg", "a/athletic_field/outdoor"),
        ("x/y/a/abbey/x.jpg", None),
        ("a/castle/x.jpg", None),
        ("x.jpg", None),
        ("abbey/x.jpg", "abbey"),
        ("SUN397/A/Athletic Field/Outdoor/x.jpg", "a/athletic_field/outdoor"),
    ],
)
def test_deepest_known_class_wins(path: str, key: str | None) -> None:
    assert KNOWN.class_of(path) == key


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("A/Abbey", "a/abbey"),
        ("a/athletic field", "a/athletic_field"),
        ("a/athletic-field", "a/athletic_field"),
        ("A/Athletic_Field", "a/athletic_field"),
        ("a/athletic\u00a0field ", "a/athletic_field"),
        ("T shirt", "t-shirt"),
        ("t-shirt", "t-shirt"),
        ("X-Y", "x-y"),
        ("x y", "x_y"),
    ],
)
def test_other_spellings_mean_the_same_class(name: str, key: str) -> None:
    assert KNOWN.find(name) == key


def test_of_two_classes_that_differ_by_hyphens_none_is_guessed() -> None:
    assert SceneNames({"a-b_c", "a_b-c"}).find("a b c") is None


@pytest.mark.parametrize(
    ("path", "folder"),
    [
        ("_other/cat.jpg", "_other"),
        ("_other/Pets/cat.jpg", "_other/pets"),
        ("SUN/_other/pets/dogs/1.jpg", "_other/pets"),
        ("_hashtag\\cars\\1.jpg", "_hashtag/cars"),
        ("./_Hashtag/#Street Art/1.jpg", "_hashtag/streetart"),
        ("SUN/_hashtag/street_art/1.jpg", "_hashtag/street_art"),
        ("_hashtag/#/1.jpg", None),
        ("_hashtag/1.jpg", None),
        ("a/abbey/_other/1.jpg", None),
        ("other/1.jpg", None),
        ("1.jpg", None),
        (f"_other/{'x' * 101}/1.jpg", None),
    ],
)
def test_folders_that_have_a_label_of_their_own(path: str, folder: str | None) -> None:
    assert label_folder(path) == folder


def test_a_label_folder_has_its_label_where_a_release_has_it() -> None:
    labels = {"a/abbey": "church", "b/beach": "other"}
    cases = [
        ("a/abbey", ""),
        ("z/zoo", ""),
        (None, "_other/pets"),
        (None, "_hashtag/church"),
        (None, "_hashtag/cars"),
    ]
    assert [label_in(labels, key, folder) for key, folder in cases] == [
        "church",
        None,
        "other",
        "church",
        None,
    ]
    assert [label_of_folder(name) for name in ("_other", "_other/pets", "_hashtag/cars")] == [
        "other",
        "other",
        "cars",
    ]
    assert [is_outside(name) for name in ("_other", "_other/pets", "_hashtag/cars", "a/abbey")] == [
        True,
        True,
        False,
        False,
    ]
