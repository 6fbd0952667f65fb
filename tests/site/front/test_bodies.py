"""Bodies are bounded by address and by role before they are read, and refused in a sentence."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.db import connections
from django.test import RequestFactory
from django.urls import resolve, reverse

from hashtags_site.front import bodies
from tests.conftest import api_key
from tests.site.front.conftest import Front, read_answer

HUGE = 3 * 2**30


def head(path: str, *lines: str) -> bytes:
    return "\r\n".join([f"POST {path} HTTP/1.1", "Host: localhost", *lines, "\r\n"]).encode()


@pytest.mark.parametrize(
    ("path", "accept", "is_json"),
    [
        ("/login/", "text/html", False),
        ("/validation/join/x/", "*/*", False),
        ("/validation/intakes/new/", "text/html", False),
        ("/validation/intakes/new/", "application/json", True),
        ("/api/v1/suggest", "*/*", True),
        ("/nowhere/", "text/html", False),
    ],
)
@pytest.mark.parametrize("expectation", ["Expect: 100-continue", "X: y"])
def test_too_large_body_is_refused_unread(
    front: Front, path: str, accept: str, is_json: bool, expectation: str
) -> None:
    """The answer comes although nothing of the body was sent."""
    client = front.connect(head(path, f"Content-Length: {HUGE}", f"Accept: {accept}", expectation))
    status, answer = read_answer(client)
    assert status == 413
    assert b"Connection: close" in answer
    most = b"100 MB" if path == "/api/v1/suggest" else b"2 MB" if "intake" not in path else b"2,048 MB"
    assert b"at most %b from you" % most in answer
    if is_json:
        assert list(json.loads(answer.partition(b"\r\n\r\n")[2])) == ["detail"]
    else:
        assert b'<a class="brand" href="/">' in answer  # a page of the site
    front.channel(client, "refused")  # what still comes in is read, or the answer would be lost


@pytest.mark.parametrize("path", ["/login/", "/validation/intakes/new/"])
def test_body_of_unknown_length_is_refused_where_it_becomes_too_large(front: Front, path: str) -> None:
    client = front.connect(head(path, "Transfer-Encoding: chunked"))
    piece = bytes(2**16)
    for _ in range(60):  # the server goes on reading, so that the answer gets through
        client.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
    client.sendall(b"0\r\n\r\n")
    assert read_answer(client)[0] == 413


def test_small_body_is_read_as_ever(front: Front) -> None:
    client = front.connect(head("/login/", "Content-Length: 3", "Connection: close") + b"a=b")
    assert read_answer(client)[0] == 403  # no CSRF token


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("role", "status"), [("network", 400), ("viewer", 413)])
@pytest.mark.parametrize("framing", ["length", "expect", "chunked"])
def test_role_decides_what_may_be_sent(
    front: Front, user_for: Callable[[str], User], role: str, status: int, framing: str
) -> None:
    """The role network may ask for a hashtag, so its 3 MB are read; they are no photo."""
    token = api_key(user_for(role))
    body = bytes(3 * 2**20)
    lines = [f"Authorization: Token {token}", "Content-Type: multipart/form-data; boundary=b"]
    lines.append("Connection: close")
    if framing == "chunked":
        client = front.connect(head("/api/v1/suggest", *lines, "Transfer-Encoding: chunked"))
        client.sendall(b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))
    else:
        lines.append(f"Content-Length: {len(body)}")
        if framing == "expect":
            lines.append("Expect: 100-continue")
        client = front.connect(head("/api/v1/suggest", *lines))
        if framing == "expect":
            first = client.recv(12, 2)  # a look: MSG_PEEK
            assert first == (b"HTTP/1.1 100" if status == 400 else b"HTTP/1.1 413")
        if status == 400 or framing == "length":
            client.sendall(body)
    answer = read_answer(client)[1]
    assert b"HTTP/1.1 %d " % status in answer
    connections.close_all()


@pytest.mark.django_db
def test_sender_is_known_by_session_or_by_token(user_for: Callable[[str], User]) -> None:
    upload = bodies.UPLOADS["api_suggest"]
    admin, viewer = user_for("admin"), user_for("viewer")
    key = api_key(admin)

    def asked(**headers: str) -> bool:
        environ = RequestFactory().post("/api/v1/suggest", **headers).environ  # type: ignore[arg-type]
        return bodies.may_send(environ, upload)

    assert asked(HTTP_AUTHORIZATION=f"Token {key}")
    assert not asked(HTTP_AUTHORIZATION="Token of-nobody")
    assert not asked(HTTP_AUTHORIZATION=f"Token {api_key(viewer)}")
    assert not asked(HTTP_AUTHORIZATION=f"Token {api_key(admin, ['feedback'])}")
    assert not asked()
    User.objects.filter(pk=admin.pk).update(is_active=False)
    assert not asked(HTTP_AUTHORIZATION=f"Token {key}")


@pytest.mark.parametrize("name", bodies.UPLOADS)
def test_address_of_each_upload_exists(name: str) -> None:
    path = reverse(name, args=[1] if name == "validation:upload" else [])
    assert bodies.upload_at(path) == bodies.UPLOADS[name]
    assert resolve(path).view_name == name
