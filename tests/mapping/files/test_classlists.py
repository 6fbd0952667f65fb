"""Class lists as data sets write them: what each becomes, and how it is told apart from the others."""

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
def test_each_kind_is_known_and_read(text: str, kind: str, keys: list[str]) -> None:
    assert detect(text) == kind
    found = read(text, kind)
    assert [row.key for row in found.rows] == keys


def test_imagenet_says_the_name_too() -> None:
    assert [row.values for row in read(SYNSETS, "imagenet").rows] == [
        {"name": "tench"},
        {"name": "restaurant"},
    ]
    assert read(INDEX, "imagenet-index").rows[1].values == {"name": "grey whale"}


def test_line_numbers_are_the_files_own() -> None:
    found = read('key,note\na/abbey,"two\nlines"\n\nb/beach,x\n', "csv")
    assert [(row.line, row.key) for row in found.rows] == [(2, "a/abbey"), (5, "b/beach")]


def test_class_that_stands_twice_in_a_list_is_a_problem() -> None:
    found = read("/a/abbey\n/A/Abbey/\n", "lines")
    assert [(p.line, p.field, p.text) for p in found.problems] == [
        (2, "key", "a/abbey stands in line 1 already")
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
def test_row_that_cannot_be_read_is_named(text: str, kind: str, line: int, words: str) -> None:
    (problem,) = read(text, kind).problems
    assert (problem.line, words in problem.text) == (line, True)


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ("", "lines", "There is no class in it"),
        ("name,hashtag\nabbey,church\n", "csv", "no column with the class"),
        ("key,raw_name\na,b\n", "csv", "Two columns say the same: key"),
        ('key\n"a\n', "csv", "Line 2"),
        ('"key\n', "csv", "not a table"),
        ("[" * 100_000, "imagenet-index", "not JSON"),
        ("{", "json", "not JSON"),
        pytest.param(
            f'{{"0": {"1" * 5000}}}', "imagenet-index", "number in it is too long", id="long number"
        ),
        ('{"0": ["n01440764", "a\\ud800b"]}', "imagenet-index", "half a character"),
        ('{"format": "scenetag-mapping", "x\\udfff": 1}', "json", "half a character"),
        ('{"format": "scenetag-mapping", "version": 2}', "json", "Version 2 is not known"),
        ("subject_id\tobject_id\n", "sssom", "no column predicate_id"),
    ],
)
def test_file_that_cannot_be_read_says_why(text: str, kind: str, words: str) -> None:
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
    def test_unicode_with_its_marks(self, encoding: str) -> None:
        assert decode("key,name_ru\na/abbey,аббатство\n".encode(encoding)).endswith("аббатство\n")

    def test_windows_1251_is_named_with_its_line(self) -> None:
        with pytest.raises(Unreadable, match=r"Line 2 .*Windows-1251.*CSV UTF-8"):
            decode("key,name_ru\na/abbey,аббатство\n".encode("cp1251"))

    def test_a_photo_is_not_called_russian(self) -> None:
        with pytest.raises(Unreadable) as refused:
            decode(b"\xff\xd8\xff\xe0" + bytes(range(128, 256)) * 4)
        assert "1251" not in str(refused.value)

    def test_zero_bytes_and_size(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(Unreadable, match="zero bytes"):
            decode(b"a\0b")
        monkeypatch.setattr(classlists, "MAX_BYTES", 2**20)
        with pytest.raises(Unreadable, match="larger than 1 MB"):
            decode(b"a" * (2**20 + 1))


@pytest.mark.parametrize("value", ["=1+1", "'=1", "''@x", "-", "+7", "'tis", "plain", "", "\tx", "it's"])
def test_guarded_cell_comes_back_and_no_spreadsheet_runs_it(value: str) -> None:
    assert unguard(guard(value)) == value
    assert not guard(value).startswith(("=", "+", "-", "@", "\t", "\r"))
