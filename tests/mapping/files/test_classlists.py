"""Class lists in the formats of data sets: recognizing each format and reading it."""

from __future__ import annotations

import json

import pytest

from formats.table import Unreadable
from mapping.files import classlists
from mapping.files.classlists import decode
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


@pytest.mark.parametrize(
    "text",
    [
        "\ufeffraw_name,hashtag\r\n/a/abbey,church\r\n",  # our own file, sent back through the API
        "\nkey,hashtag\na/abbey,church\n",
        "key,hashtag\na/abbey,church,,,\n",
        "sep=;\nkey;hashtag\na/abbey;church\n",
        "Classes of 2026,\nRAW NAME,#Hashtag\nA/Abbey,church\n",
    ],
)
def test_tables_of_other_tools_are_recognized(text: str) -> None:
    assert detect(text) == "csv"
    class_list = read(text, detect(text))
    assert [(row.key, row.values) for row in class_list.rows] == [("a/abbey", {"hashtag": "church"})]
    assert class_list.problems == []


@pytest.mark.parametrize(
    "text",
    [
        "name,hashtag\nabbey,church\n",
        "abbey;church\nbeach;beach\n",
        '"key,hashtag\na/abbey,church\n',
        "\nabbey;church\nbeach;beach\n",
    ],
)
def test_a_table_never_becomes_a_list_of_names(text: str) -> None:
    for kind in {detect(text), "lines"}:
        with pytest.raises(Unreadable, match=r"Line \d"):
            read(text, kind)


@pytest.mark.parametrize("kind", ["lines", "csv", "places365", "json"])
def test_marks_and_invisible_characters_make_no_new_class(kind: str) -> None:
    names = ["x/cafe\u0301", "x/a\u200bbbey", "x/athletic\u00a0field"]
    text = {
        "lines": "\ufeff" + "\n".join(names),
        "csv": "\ufeffkey\n" + "\n".join(names),
        "places365": "\ufeff" + "\n".join(f"{name} {n}" for n, name in enumerate(names)),
        "json": "\ufeff"
        + json.dumps({"format": "scenetag-mapping", "version": 1, "classes": [{"key": n} for n in names]}),
    }[kind]
    class_list = read(text, kind)
    assert [row.key for row in class_list.rows] == ["x/café", "x/abbey", "x/athletic_field"]
    assert [("U+" in note.text, note.field) for note in class_list.notes] == [(True, "key")] * 3


@pytest.mark.parametrize(
    ("lines", "keys"),
    [
        # find photos -mindepth 1
        (
            "photos/a photos/a/abbey photos/a/abbey/1.jpg photos/b photos/b/beach photos/b/beach/2.jpg",
            "a/abbey b/beach",
        ),
        # tar tf photos.tar
        ("photos/ photos/abbey/ photos/abbey/1.jpg photos/beach/ photos/beach/2.jpg", "abbey beach"),
        ("photos/abbey/1.jpg photos/abbey/2.jpg", "abbey"),
        ("abbey/1.jpg abbey/2.jpg", "abbey"),
        ("data/photos/a/abbey data/photos/b data/photos/b/beach", "a/abbey b/beach"),  # folders only
        ("stadium/baseball stadium/football", "stadium/baseball stadium/football"),
        ("a/abbey a/alley", "a/abbey a/alley"),
        ("s s/stadium s/stadium/baseball s/stadium/baseball/1.jpg", "s/stadium/baseball"),
        ("a/abbey a/abbey/1.tif a/abbey/.DS_Store a/abbey/3.jpg", "a/abbey"),
        ("a/abbey/1.heic a/alley/1.AVIF a/alley/Thumbs.db a/notes.txt", "a/abbey a/alley"),
        ("a/abbey/1.jpg a/abbey/@eaDir/1.jpg/SYNO_THUMB.jpg __MACOSX/a/abbey/._1.jpg", "a/abbey"),
        (
            "photos/_other photos/_other/pets/1.jpg photos/_hashtag photos/a/abbey/2.jpg photos/b/bar/3.jpg",
            "a/abbey b/bar",
        ),
        ("_hashtag/cars a/abbey", "a/abbey"),
        ("x 山 海", "x 山 海"),  # classes of one character
        ("a a/abbey x/y", "a/abbey x/y"),
    ],
)
def test_listings_of_folders_name_their_classes(lines: str, keys: str) -> None:
    class_list = read("\n".join(lines.split()), "lines")
    assert " ".join(row.key for row in class_list.rows) == keys
    assert class_list.problems == []


def test_skipped_lines_of_a_listing_are_reported() -> None:
    notes = read(
        "photos/a/abbey\nphotos/a/abbey/.DS_Store\nphotos/a/alley/1.jpg\nphotos/_other/1.jpg\n", "lines"
    ).notes
    assert [(note.line, note.text) for note in notes] == [
        (2, "1 line: neither a folder nor a photo in one, skipped"),
        (4, "1 line: in _other or _hashtag, which are no classes, skipped"),
        (0, "all lines begin with “photos/”, which was removed"),
    ]


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
        ("[" * 100_000, "imagenet-index", "more than 50 levels"),
        ("{", "json", "not JSON"),
        pytest.param(f'{{"0": {"1" * 5000}}}', "imagenet-index", "number is too long", id="long number"),
        ('{"0": ["n01440764", "a\\ud800b"]}', "imagenet-index", "half a character"),
        ('{"format": "scenetag-mapping", "x\\udfff": 1}', "json", "half a character"),
        ('{"format": "scenetag-mapping", "version": 2}', "json", "Version 2 is not supported"),
        ("subject_id\tobject_id\n", "sssom", "needs the columns subject_id, predicate_id"),
    ],
)
def test_unreadable_file_is_explained(text: str, kind: str, words: str) -> None:
    with pytest.raises(Unreadable, match=words):
        read(text, kind)


def test_lists_are_bounded() -> None:
    for text in "\n" * 600_000, "x\n" * 600_000:
        with pytest.raises(Unreadable, match="more than 500,000 lines"):
            read(text, detect(text))


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
