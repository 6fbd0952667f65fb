"""Class lists in the formats of data sets: recognizing each format and reading it."""

from __future__ import annotations

import json

import pytest

from mapping.files import classlists
from mapping.files.classlists import Unreadable, decode, guard, unguard
from mapping.files.exchange import detect, read

SUN = "/a/abbey\n/a/airplane_cabin\n/b/bazaar/indoor\n"
PLACES = "/a/airfield 0\n/b/bazaar/indoor 41\n"
SYNSETS = "n01440764 tench, Tinca tinca\nn04081281 restaurant, eating house\n"
INDEX = json.dumps({"0": ["n01440764", "tench"], "1": ["n02066245", "grey_whale"]})
TABLE = "raw_name,hashtag\n/a/abbey,church\n"


@pytest.mark.parametrize(
    ("text", "kind", "keys"),
    [
        (SUN, "lines", ["a/abbey", "a/airplane_cabin", "b/bazaar/indoor"]),
        (PLACES, "places365", ["a/airfield", "b/bazaar/indoor"]),
        (SYNSETS, "imagenet", ["n01440764", "n04081281"]),
        ("n01440764\r\nn04081281\r\n", "imagenet", ["n01440764", "n04081281"]),
        (INDEX, "imagenet-index", ["n01440764", "n02066245"]),
        (TABLE, "csv", ["a/abbey"]),
        ("key;name;sense\nn01440764;tench;tench.n.01\n", "csv", ["n01440764"]),
        ("folder\tnote\nAlley\tx\n", "csv", ["alley"]),
        (".\n./a\n./a/abbey\n./a/abbey/sun_1.jpg\n./a/abbey/sun_2.JPG\n", "lines", ["a/abbey"]),
        ("LOC\\a\\abbey\n", "lines", ["loc/a/abbey"]),
    ],
)
def test_each_format_is_recognized_and_read(text: str, kind: str, keys: list[str]) -> None:
    assert detect(text) == kind
    class_list = read(text, kind)
    assert [row.key for row in class_list.rows] == keys


def test_imagenet_lists_give_names() -> None:
    assert [row.values for row in read(SYNSETS, "imagenet").rows] == [
        {"name": "tench"},
        {"name": "restaurant"},
    ]
    assert read(INDEX, "imagenet-index").rows[1].values == {"name": "grey whale"}


def test_line_numbers_are_those_of_the_file() -> None:
    class_list = read('key,note\na/abbey,"two\nlines"\n\nb/beach,x\n', "csv")
    assert [(row.line, row.key) for row in class_list.rows] == [(2, "a/abbey"), (5, "b/beach")]


def test_duplicate_class_is_a_problem() -> None:
    class_list = read("/a/abbey\n/A/Abbey/\n", "lines")
    assert [(p.line, p.field, p.text) for p in class_list.problems] == [
        (2, "key", "a/abbey is already in line 1")
    ]


@pytest.mark.parametrize(
    ("text", "kind", "line", "words"),
    [
        ("/a/airfield zero\n", "places365", 1, "not a class and its number"),
        ("n01440764 tench\nn12 x\n", "imagenet", 2, "“n12” is not an id like n01440764"),
        ('{"0": ["n01440764"]}', "imagenet-index", 1, 'expected ["n01440764", "tench"]'),
        ("key,note\na/abbey,x,y,z\n", "csv", 2, "it has 4 cells, the header has 2"),
    ],
)
def test_unreadable_row_is_named(text: str, kind: str, line: int, words: str) -> None:
    (problem,) = read(text, kind).problems
    assert (problem.line, words in problem.text) == (line, True)


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ("", "lines", "contains no class"),
        ("name,hashtag\nabbey,church\n", "csv", "needs a column that names the class"),
        ("key,raw_name\na,b\n", "csv", "Two columns have the same meaning: key"),
        ('key\n"a\n', "csv", "Line 2"),
        ('"key\n', "csv", "not a table"),
        ("[" * 100_000, "imagenet-index", "not JSON"),
        ("{", "json", "not JSON"),
        pytest.param(f'{{"0": {"1" * 5000}}}', "imagenet-index", "number is too long", id="long number"),
        ('{"0": ["n01440764", "a\\ud800b"]}', "imagenet-index", "half a character"),
        ('{"format": "scenetag-mapping", "x\\udfff": 1}', "json", "half a character"),
        ('{"format": "scenetag-mapping", "version": 2}', "json", "Version 2 is not supported"),
        ("subject_id\tobject_id\n", "sssom", "no column predicate_id"),
    ],
)
def test_unreadable_file_is_explained(text: str, kind: str, words: str) -> None:
    with pytest.raises(Unreadable, match=words):
        read(text, kind)


def test_too_many_rows_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mapping.files.exchange.MAX_ROWS", 2)
    with pytest.raises(Unreadable, match="more than 2 rows"):
        read(SUN, "lines")


def test_unknown_columns_are_reported() -> None:
    assert read("key,printed_hashtag,colour\na/abbey,,red\n", "csv").ignored == ["printed_hashtag", "colour"]


class TestDecoding:
    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
    def test_byte_order_marks_are_understood(self, encoding: str) -> None:
        assert decode("key,name_ru\na/abbey,аббатство\n".encode(encoding)).endswith("аббатство\n")

    def test_windows_1251_is_recognized_and_the_line_named(self) -> None:
        with pytest.raises(Unreadable, match=r"Line 2 .*Windows-1251.*CSV UTF-8"):
            decode("key,name_ru\na/abbey,аббатство\n".encode("cp1251"))

    def test_photo_is_not_mistaken_for_russian_text(self) -> None:
        with pytest.raises(Unreadable) as error:
            decode(b"\xff\xd8\xff\xe0" + bytes(range(128, 256)) * 4)
        assert "1251" not in str(error.value)

    def test_zero_bytes_and_large_files_are_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(Unreadable, match="zero bytes"):
            decode(b"a\0b")
        monkeypatch.setattr(classlists, "MAX_BYTES", 2**20)
        with pytest.raises(Unreadable, match="larger than 1 MB"):
            decode(b"a" * (2**20 + 1))


@pytest.mark.parametrize("value", ["=1+1", "'=1", "''@x", "-", "+7", "'tis", "plain", "", "\tx", "it's"])
def test_guard_disarms_formulas_and_unguard_restores_them(value: str) -> None:
    assert unguard(guard(value)) == value
    assert not guard(value).startswith(("=", "+", "-", "@", "\t", "\r"))
