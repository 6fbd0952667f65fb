"""The one reader of tables: what it accepts, and how it names what it cannot read."""

from __future__ import annotations

import pytest

from formats.table import (
    Columns,
    Unreadable,
    cut_number,
    guard,
    has_header,
    looks_like_table,
    read_table,
    unguard,
    whole_number,
)

NAMES = {"key": "key", "raw_name": "key", "hashtag": "hashtag", "posts": "posts", "note": "note"}
COLUMNS = Columns(NAMES, [("key",)], "The table needs a column key.", alike=("posts", "note"))


def cells(source: bytes | str) -> list[dict[str, str]]:
    return [row.values for row in read_table(source, COLUMNS).rows]


ABBEY = [{"key": "a/abbey", "hashtag": "church"}]


@pytest.mark.parametrize(
    "source",
    [
        "key,hashtag\na/abbey,church\n",
        "\ufeffkey,hashtag\na/abbey,church\n",
        b"\xef\xbb\xbfkey,hashtag\r\na/abbey,church\r\n",
        "key,hashtag\na/abbey,church\n".encode("utf-16"),
        "key;hashtag\na/abbey;church\n",
        "key\thashtag\na/abbey\tchurch\n",
        "sep=;\r\nkey;hashtag\r\na/abbey;church\r\n",
        '"sep=;"\nkey;hashtag\na/abbey;church\n',
        "sep=;\rkey;hashtag\ra/abbey;church\r",
        "sep=\t\r\nkey\thashtag\r\na/abbey\tchurch\r\n",
        "sep=|\nkey|hashtag\na/abbey|church\n",
        "\n\nkey,hashtag\n\na/abbey,church\n,\n",
        "Our mapping of 2026,\n,,\nkey,hashtag\na/abbey,church\n",
        "key,hashtag,,\na/abbey,church,,\n",
        "key,hashtag\na/abbey,church,,,\n",
        "Raw Name, #HashTag \n a/abbey , church \n",
        '"key","hashtag"\n"a/abbey","church"\n',
        "key,hashtag\ra/abbey,church\r",
        "hashtag,colour,colour,key\nchurch,red,blue,a/abbey\n",
    ],
)
def test_tables_of_other_tools_are_read(source: bytes | str) -> None:
    assert cells(source) == [{**ABBEY[0]}]


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("name,hashtag\nabbey,church\n", "needs a column key. Line 1 has: name, hashtag"),
        ("\n\nname;hashtag\nabbey;church\n", "Line 3 has: name, hashtag"),
        ("", "needs a column key"),
        ("key,raw_name\na,b\n", "same meaning: key"),
        ("key,posts,note\na,1,2\n", "same meaning: note, posts"),
        ('key,hashtag\na,b\nc,"d\n', "Line 3: this is not a table: a quotation mark is not closed"),
        ("key\na\0\n", "Line 2 is not text"),
        (b"key\n\xff\n", "Line 2 is not UTF-8"),
        ("key,hashtag\n" + "a" * 200_000 + ",b\n", "Line 2: this is not a table"),
    ],
)
def test_what_is_no_table_is_said_to_be_that(source: bytes | str, words: str) -> None:
    with pytest.raises(Unreadable, match=words):
        read_table(source, COLUMNS)


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("key,hashtag\na,b\nc,d,e\n", 3, "it has 3 cells, the header has 2"),
        ("key,hashtag\na,b\n\nc\n", 4, "it has 1 cell, the header has 2"),
        ('key,hashtag\n"a\nb",c\nd\n', 4, "it has 1 cell"),
    ],
)
def test_rows_too_long_or_short_are_named(text: str, line: int, words: str) -> None:
    (problem,) = read_table(text, COLUMNS).problems
    assert (problem.line, words in problem.text) == (line, True)


def test_what_is_passed_over_is_said() -> None:
    table = read_table("Our mapping\nkey,colour,hashtag\na,red,b\n", COLUMNS)
    assert [(note.line, "Our mapping" in note.text) for note in table.notes] == [(1, True)]
    assert table.ignored == ["colour"]
    assert read_table(",key\n0,a\n", COLUMNS).ignored == ["column 1 without a name"]


def test_a_lone_word_below_others_is_no_header() -> None:
    assert not has_header("a/abbey\nkey\n", COLUMNS)
    assert has_header("key\na/abbey\n", COLUMNS)


@pytest.mark.parametrize(
    ("text", "looks"),
    [
        ("name,hashtag\nabbey,church\n", True),
        ("sep=;\nx\n", True),
        ("a\tb\n", True),
        ("/a/abbey\n/b/beach\n/s/sea, rough\n", False),
        ("abbey\t\nbeach\t\n", False),
        ("", False),
    ],
)
def test_tables_are_told_from_lists(text: str, looks: bool) -> None:
    assert looks_like_table(text) == looks


def test_too_many_rows_are_refused() -> None:
    with pytest.raises(Unreadable, match="more than 2 rows"):
        read_table("key\na\nb\nc\n", COLUMNS, max_rows=2)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1234567", 1234567),
        ("1,234,567", 1234567),
        ("1.234.567", 1234567),
        ("1 234 567", 1234567),
        ("1\u202f234\u00a0567", 1234567),
        ("1'234'567", 1234567),
        ("12,34", None),
        ("1,234.567", None),
        ("1.5", None),
        ("-3", None),
        ("", None),
        ("٣", None),
        ("9" * 30, None),
    ],
)
def test_numbers_may_have_separators_of_thousands(text: str, number: int | None) -> None:
    assert whole_number(text) == number


def test_one_mark_in_millions_may_be_decimal() -> None:
    assert whole_number("1,234", grouped=False) is None
    assert whole_number("1,234,567", grouped=False) == 1234567


def test_numbers_cut_by_commas_are_seen() -> None:
    table = read_table("key,posts,hashtag\na,1,234\nb,1234,567\nc,1,23\n", COLUMNS)
    assert [cut_number(table, row, "posts") for row in table.rows] == ["1,234", "", ""]


@pytest.mark.parametrize("value", ["=1+1", "'=1", "''@x", "-", "+7", "'tis", "plain", "", "\tx", "it's"])
def test_guard_disarms_formulas_and_unguard_restores_them(value: str) -> None:
    assert unguard(guard(value)) == value
    assert not guard(value).startswith(("=", "+", "-", "@", "\t", "\r"))
