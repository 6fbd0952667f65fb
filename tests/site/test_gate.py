"""Requests that no view could work with are refused with 400 and a line in the log, on both databases."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import SuspiciousOperation
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart

from hashtags_site.logs import Line
from hashtags_site.wsgi import application
from mapping.models import Hashtag

pytestmark = [pytest.mark.django_db, pytest.mark.postgres]
ClientFor = Callable[..., Client]
API = "/api/v1/mapping/"
OTHER_ENCODINGS = ("utf-16", "utf-7", "hex", "idna", "undefined", "no-such", "a\0")
BROKEN_TYPES = ("text/plain; charset*=no-such''x", "text/plain; charset*=utf-7''+2AA-")


@pytest.mark.parametrize(
    "address",
    [
        "/mapping/?q=a%00b",
        "/mapping/?a%00b=q",
        "/mapping/hashtags/?q=%00",
        "/mapping/queue/?after=%00",
        "/jobs/?page=%00",
        "/trainer/runs/?q=%00",
        "/validation/agreement/photos/?hashtag=%00",
        "/validation/public/%00/",
        "/mapping/import/a%00b/",
        "/no/such/%00",
        "/login/?next=%00",
        "/health/?%00",
        "/api/schema/?lang=%00",
        f"{API}entries?q=%00",
        f"{API}entries?after=%00",
        f"{API}hashtags?q=%00",
        f"{API}releases/1/labels?label=%00",
        f"{API}export?file_format=%00",
    ],
)
def test_nul_in_an_address_is_refused(client_for: ClientFor, address: str) -> None:
    response = client_for("curator").get(address)
    assert response.status_code == 400
    if address.startswith(API):
        assert list(response.json()) == [address.partition("?")[2].partition("=")[0]]
    else:
        assert "A text contains a NUL" in response.content.decode()


def test_an_address_longer_than_a_database_searches_for_is_refused(client_for: ClientFor) -> None:
    for address in ("/mapping/?q=", f"{API}hashtags?q="):
        response = client_for("curator").get(address + "x" * 60_000)
        assert response.status_code == 400
        assert "The address is too long." in response.content.decode()


def test_nul_in_a_form_is_refused_before_the_view(client_for: ClientFor) -> None:
    curator = client_for("curator")
    hashtag = Hashtag.objects.create(name="art", posts=1)
    address = f"/mapping/hashtags/{hashtag.pk}/block/"
    for fields in ({"why": "a\0b"}, {"a\0b": "why"}):
        assert curator.post(address, fields).status_code == 400
    response = curator.post(address, "why=%00", content_type="application/x-www-form-urlencoded")
    assert response.status_code == 400
    hashtag.refresh_from_db()
    assert not hashtag.blocked


def test_a_strangers_form_is_refused_at_the_sign_in(client: Client) -> None:
    assert client.post("/login/", {"username": "a\0b", "password": "x"}).status_code == 400
    assert client.post("/mapping/decide/", {"a": "\0"}).status_code == 302


@pytest.mark.parametrize(
    "headers",
    [
        {"HTTP_COOKIE": 'sessionid="\\000aaaaaaaaaaaaaaaa"'},  # gunicorn lets the octal digits through
        {"HTTP_AUTHORIZATION": "Token a\0b"},
        {"HTTP_REFERER": "\0"},
        {"HTTP_ACCEPT": "text/html; a*=no-such''x"},
    ],
)
def test_headers_that_cannot_be_read_are_refused(client: Client, headers: dict[str, str]) -> None:
    for address in ("/", f"{API}entries"):
        assert client.get(address, **headers).status_code == 400  # type: ignore[arg-type]


@pytest.mark.parametrize("charset", OTHER_ENCODINGS)
def test_other_encodings_are_refused(client_for: ClientFor, charset: str) -> None:
    curator = client_for("curator")
    form = f"--{BOUNDARY}--\r\n".encode()
    assert _status("GET", f"text/plain; charset={charset}") == 400
    if "\0" not in charset:  # Django's test client cannot send it
        for method, address, body, content_type in (
            ("PUT", f"{API}entries/1", b"{}", "application/json"),
            ("POST", "/mapping/undo/", form, MULTIPART_CONTENT),
        ):
            sent = curator.generic(method, address, body, f"{content_type}; charset={charset}")
            assert sent.status_code == 400


@pytest.mark.parametrize("content_type", BROKEN_TYPES)
def test_a_broken_content_type_is_refused(content_type: str) -> None:
    assert _status("POST", content_type) == 400


def _status(method: str, content_type: str) -> int:
    """What gunicorn gets: such a request fails while Django makes it, so that no client of Django's helps."""
    statuses: list[str] = []
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "PATH_INFO": "/login/",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "CONTENT_TYPE": content_type,
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": io.StringIO(),
        "wsgi.url_scheme": "http",
    }

    def start(status: str, headers: Any, error: Any = None, /) -> Callable[[bytes], object]:
        statuses.append(status)
        return lambda body: None

    application(environ, start)
    return int(statuses[0].split()[0])


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 50_000,
        b"[" * 50_000 + b"]" * 50_000,
        b'{"change": NaN}',
        b'{"change": 1e999}',
        b'{"change": %s}' % (b"9" * 5_000),
        b'{"change": 1, "change": 2}',
        b'{"change": "\\ud800"}',
        b"\xff",
        b"{",
    ],
)
def test_json_that_cannot_be_read_is_refused(client_for: ClientFor, body: bytes) -> None:
    response = client_for("curator").post(f"{API}undo", body, content_type="application/json")
    assert response.status_code == 400
    assert response.json()["change" if b"ud800" in body else "detail"]


def test_a_name_of_a_file_cannot_hold_a_nul(client_for: ClientFor) -> None:
    form = encode_multipart(BOUNDARY, {"file": SimpleUploadedFile("a-b.csv", b"a/abbey\n")})
    for name in (b"a\0b.csv", b"a\xed\xa0\x80b.csv", b"a&#0;b.csv"):
        named = form.replace(b"a-b.csv", name)
        response = client_for("curator").generic("POST", "/mapping/import/", named, MULTIPART_CONTENT)
        assert response.status_code in (302, 400)


def test_addresses_of_the_api_list_no_options(client_for: ClientFor) -> None:
    for address in ("/api/", "/api/reference/", "/api/schema/"):
        assert client_for("stranger").options(address).status_code == 405


class TestLog:
    def test_refusals_are_lines(
        self, client_for: ClientFor, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        viewer = client_for("viewer")
        monkeypatch.setattr("hashtags_site.views.stations", _raise(SuspiciousOperation("odd")))
        codes = [
            viewer.post("/mapping/undo/").status_code,
            viewer.get("/mapping/999/").status_code,
            viewer.get("/mapping/?q=%00").status_code,
            viewer.get("/health/", headers={"host": "elsewhere.example"}).status_code,
            viewer.get("/").status_code,
            client_for("stranger").get(f"{API}entries").status_code,
        ]
        assert codes == [403, 404, 400, 400, 400, 401]
        lines = _lines(caplog)
        assert len(lines) == len(codes)
        assert not [line for line in lines if "\n" in line]

    def test_our_own_errors_come_with_a_traceback(
        self, client_for: ClientFor, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("hashtags_site.views.stations", _raise(ZeroDivisionError("ours")))
        viewer = client_for("viewer")
        viewer.raise_request_exception = False
        assert viewer.get("/").status_code == 500
        assert "ZeroDivisionError: ours" in _lines(caplog)[-1]


def _raise(error: Exception) -> Callable[..., None]:
    def fail(*args: object) -> None:
        raise error

    return fail


def _lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the site's own handler writes."""
    formatter = next(h.formatter for h in logging.getLogger().handlers if isinstance(h.formatter, Line))
    return [formatter.format(record) for record in caplog.records if record.name.startswith("django")]
