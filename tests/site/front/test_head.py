"""An answer to HEAD ends with its headers; with a content, clients would take that for the next answer."""

from __future__ import annotations

import pytest

from tests.site.front.conftest import Front, read_answer
from tests.site.front.test_pace import ICON


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("address", ["/favicon.ico", "/login/", "/no/such/page/"])
def test_next_answer_follows_the_headers(front: Front, address: str) -> None:
    client = front.connect(f"HEAD {address} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode() + ICON)
    _, answer = read_answer(client)
    headers, _, rest = answer.partition(b"\r\n\r\n")
    assert b"\r\nContent-Length: " in headers
    assert rest.startswith(b"HTTP/1.1 200 OK")
