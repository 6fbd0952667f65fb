"""JSON: what strangers send is refused by name, and no NaN is ever written or read as a number."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from formats.json_text import DEPTH, BrokenText, NotFinite, from_json, parse_json, to_json
from formats.table import Unreadable


def test_json_is_read_with_and_without_a_byte_order_mark() -> None:
    for content in ('{"a": [1, 2.5, null, "ä"]}', '{"a": [1, 2.5, null, "ä"]}'.encode("utf-8-sig")):
        assert parse_json(content) == {"a": [1, 2.5, None, "ä"]}


def test_the_limits_themselves_are_accepted() -> None:
    assert parse_json(b"[" * (DEPTH - 1) + b"1" + b"]" * (DEPTH - 1))
    assert parse_json(str(2**63 - 1)) == 2**63 - 1
    assert parse_json('{"a": {"b": 1}, "b": {"b": 1}}')  # the same name in two objects


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"{", "not JSON"),
        (b"", "not JSON"),
        (b'"\xff"', "not UTF-8"),
        ('{"a": 1}'.encode("utf-16"), "not UTF-8"),
        (b"[" * 50_000, "more than 50 levels"),
        (b"[" * 50_000 + b"]" * 50_000, "more than 50 levels"),
        (b'{"a":' * 51 + b"1" + b"}" * 51, "more than 50 levels"),
        (b"[" * DEPTH + b"1" + b"]" * DEPTH, "more than 50 levels"),
        (b"9" * 5_000, "too long"),
        (str(2**63).encode(), "too large"),
        (b"[-1e999]", "too large"),
        (b"NaN", "NaN is not a number"),
        (b"[-Infinity]", "-Infinity is not a number"),
        (b'{"a": 1, "\\u0061": 2}', "'a' occurs twice"),
        (b'["a\\u0000"]', "a NUL"),
        (b'{"a": {"b\\u0000": 1}}', "a NUL"),
        (b'"\\ud800"', "half a character"),
        (b'{"\\udfff": 1}', "half a character"),
    ],
)
def test_what_cannot_be_stored_or_is_ambiguous_is_refused(content: bytes, words: str) -> None:
    with pytest.raises(Unreadable, match=words):
        parse_json(content)


@pytest.mark.parametrize(
    ("content", "field"),
    [('{"rows": [{"note": "\\u0000"}]}', "rows"), ('{"a": 1, "b": "\\ud800"}', "b"), ('["\\u0000"]', "")],
)
def test_a_broken_text_is_named_by_its_outermost_field(content: str, field: str) -> None:
    with pytest.raises(BrokenText) as broken:
        parse_json(content)
    assert broken.value.field == field


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (math.nan, "the number became nan"),
        ({"history": [{"loss": 0.1}, {"loss": math.inf}]}, r"history\[1\]\.loss became inf"),
        ({"a": {"b": (1, -math.inf)}}, r"a\.b\[1\] became -inf"),
        ({1: [math.nan]}, r"1\[0\] became nan"),
    ],
)
def test_a_number_that_is_not_finite_is_named(document: Any, words: str) -> None:
    with pytest.raises(NotFinite, match=words):
        to_json(document)


def test_everything_else_is_written_as_by_json() -> None:
    document = {"a": [1, 0.5, None, True, "ü"], "b": {}}
    assert to_json(document, indent=1) == json.dumps(document, ensure_ascii=False, indent=1)
    assert from_json(to_json(document)) == document


@pytest.mark.parametrize("text", ["NaN", '{"a": Infinity}', b"[-Infinity]"])
def test_nan_and_infinity_are_not_read_as_numbers(text: str | bytes) -> None:
    with pytest.raises(NotFinite):
        from_json(text)
