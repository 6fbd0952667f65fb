"""No NaN is ever written as JSON, and none is read as a number."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from formats.numbers import NotFinite, from_json, to_json


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (math.nan, "the number became nan"),
        ({"history": [{"loss": 0.1}, {"loss": math.inf}]}, r"history\[1\]\.loss became inf"),
        ({"a": {"b": (1, -math.inf)}}, r"a\.b\[1\] became -inf"),
        ({1: [math.nan]}, r"1\[0\] became nan"),
    ],
)
def test_a_number_that_is_none_is_named(document: Any, words: str) -> None:
    with pytest.raises(NotFinite, match=words):
        to_json(document)


def test_all_else_is_written_as_json_does() -> None:
    document = {"a": [1, 0.5, None, True, "ü"], "b": {}}
    assert to_json(document, indent=1) == json.dumps(document, ensure_ascii=False, indent=1)
    assert from_json(to_json(document)) == document


@pytest.mark.parametrize("text", ["NaN", '{"a": Infinity}', b"[-Infinity]"])
def test_no_word_is_read_as_a_number(text: str | bytes) -> None:
    with pytest.raises(NotFinite):
        from_json(text)
