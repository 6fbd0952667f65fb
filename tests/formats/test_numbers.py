from __future__ import annotations

import pytest

from formats.numbers import LARGEST, read_number


@pytest.mark.parametrize(("text", "number"), [("0", 0), ("077", 77), ("9" * 18, 10**18 - 1)])
def test_digits_are_a_number(text: str, number: int) -> None:
    assert read_number(text) == number <= LARGEST


@pytest.mark.parametrize(
    "text",
    [None, "", " 1", "1\n", "-1", "+1", "1.0", "1_0", "1e3", "²", "٣", "0x1", "nan", "9" * 19, "9" * 5000],
)
def test_anything_else_is_none(text: str | None) -> None:
    assert read_number(text) is None
