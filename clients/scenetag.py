"""A client of Scenetag's API in one file: copy it into your project. It needs Python 3.11 and httpx2.

client = Client("https://tags.example.org", token="st_…")
client.suggest("holiday.jpg")["hashtag"]  # "beach", or None: suggest nothing
"""

from __future__ import annotations

import json
import mimetypes
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx2

Photo = str | Path | bytes  # a file's path, or its content
Answer = dict[str, Any]  # as docs/api.md describes it
MOST = 32  # photos in one request
MOST_BYTES = 90 * 2**20  # of them together


class ScenetagError(Exception):
    """What the API answered instead of what was asked for.

    `status` is None if there was no answer, `fields` says what is wrong with which field, and `retry_after`
    is in seconds.
    """

    def __init__(self, detail: str, status: int | None = None, fields: dict[str, Any] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.fields = fields or {}
        self.retry_after: float | None = None


class BadRequest(ScenetagError):
    """A field or photo is wrong: sending it again will not help."""


class NotAllowed(ScenetagError):
    """The token is missing, revoked or expired, lacks the scope, or its account may not do this."""


class TooFast(ScenetagError):
    """More than the token's rate, for longer than the client waits."""


class Unavailable(ScenetagError):
    """The site or its model is away, or busy for longer than the client waits."""


class Client:
    """Asks again after 429 and 503, up to `retries` times, when `Retry-After` says, if that is at most
    `longest_wait` seconds. Every request may be repeated: none changes anything twice.
    """

    def __init__(
        self,
        site: str,
        token: str,
        *,
        retries: int = 4,
        longest_wait: float = 60.0,
        timeout: float = 60.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._http = httpx2.Client(
            base_url=site.rstrip("/") + "/api/v1/",
            headers={"Authorization": f"Token {token}"},
            timeout=timeout,
        )
        self._retries = retries
        self._longest_wait = longest_wait
        self._sleep = sleep

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def suggest(self, photo: Photo, **options: Any) -> Answer:
        """The answer about one photo. Options: max, crop, tta, probabilities."""
        return self._ask("POST", "suggest", files=_files([photo]), data=_form(options))

    def suggest_many(self, photos: Sequence[Photo], **options: Any) -> list[Answer]:
        """An answer for each photo, in order. One that cannot be read has `error` and `status` instead."""
        answers: list[Answer] = []
        for part in _parts(photos):
            if len(part) == 1:
                answers.append(self._suggest_or_error(part[0], options))
            else:
                whole = self._ask("POST", "suggest", files=_files(part), data=_form(options))
                answers += whole["answers"]
        return answers

    def suggest_stream(self, photos: Sequence[Photo], **options: Any) -> Iterator[Answer]:
        """As `suggest_many`, for up to 500 photos in one request: each answer as soon as it is known."""
        request = {"files": _files(photos), "data": _form(options)}
        response = self._send("POST", "suggest/stream", stream=True, **request)
        try:
            for line in response.iter_lines():
                if line:
                    yield json.loads(line)
        except httpx2.TransportError as error:
            raise Unavailable(f"The connection ended before the last answer: {error}") from error
        finally:
            response.close()

    def check(self, photo: Photo, hashtags: Sequence[str]) -> Answer:
        """Whether these hashtags fit the photo, each with its verdict, and the post's score."""
        return self._ask("POST", "check", files=_files([photo]), data={"hashtags": list(hashtags)})

    def feedback(self, events: Sequence[dict[str, Any]]) -> Answer:
        """Say what people did with answers: `{"answer": id, "event": "accepted"}`, up to 1,000. An event
        without `at` happened now. `faults` of the answer names the events that were refused; if all are, this
        raises BadRequest."""
        now = datetime.now(UTC).isoformat()
        return self._ask("POST", "feedback", json={"events": [{"at": now, **event} for event in events]})

    def model(self, unless: str = "") -> Answer | None:
        """The model that answers now; None if its `etag` is still `unless`."""
        headers = {"If-None-Match": f'"{unless}"'} if unless else {}
        response = self._send("GET", "model", headers=headers)
        return None if response.status_code == httpx2.codes.NOT_MODIFIED else _read(response)

    def _suggest_or_error(self, photo: Photo, options: dict[str, Any]) -> Answer:
        try:
            return self.suggest(photo, **options)
        except BadRequest as error:
            if error.fields.keys() - {"photo", "detail"}:  # an option is wrong, not the photo
                raise
            return {"file": _name(photo), "error": str(error), "status": error.status}

    def _ask(self, method: str, path: str, **request: Any) -> Answer:
        return _read(self._send(method, path, **request))

    def _send(self, method: str, path: str, *, stream: bool = False, **request: Any) -> httpx2.Response:
        """The answer, if it is one of success. Raises ScenetagError."""
        for attempt in range(self._retries + 1):
            error: ScenetagError
            try:
                response = self._http.send(self._http.build_request(method, path, **request), stream=stream)
            except httpx2.TransportError as away:
                error = Unavailable(f"{type(away).__name__}: {away}")
                error.retry_after = min(2.0**attempt, self._longest_wait)
            else:
                if response.is_success or response.status_code == httpx2.codes.NOT_MODIFIED:
                    return response
                response.read()
                error = _error_of(response)
            wait = error.retry_after
            if wait is None or wait > self._longest_wait or attempt == self._retries:
                raise error
            self._sleep(wait)
        raise AssertionError("unreachable")


def _read(response: httpx2.Response) -> Answer:
    try:
        answer: Answer = response.json()
    except ValueError as error:
        raise Unavailable(f"This is no answer of Scenetag: {response.text[:200]}") from error
    return answer


def _error_of(response: httpx2.Response) -> ScenetagError:
    status = response.status_code
    try:
        told = response.json()
    except ValueError:
        told = None
    fields = told if isinstance(told, dict) else {}
    detail = fields.get("detail") or "; ".join(
        f"{name}: {' '.join(map(str, words)) if isinstance(words, list) else words}"
        for name, words in fields.items()
    )
    kinds = {401: NotAllowed, 403: NotAllowed, 429: TooFast}
    kind = kinds.get(status, Unavailable if status >= 500 else BadRequest)
    error = kind(str(detail or f"Status {status}"), status, fields)
    if status in (429, 503):
        # Without the header, our own 503 means that no model is active; a proxy's may pass.
        otherwise = None if told is not None else 1.0
        error.retry_after = _seconds(response.headers.get("Retry-After"), otherwise)
    return error


def _seconds(header: str | None, otherwise: float | None) -> float | None:
    """Of Retry-After, which is a number of seconds or a date."""
    if not header:
        return otherwise
    try:
        return max(0.0, float(header))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(header) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return otherwise


def _name(photo: Photo) -> str:
    return "photo" if isinstance(photo, bytes) else Path(photo).name


def _parts(photos: Sequence[Photo]) -> Iterator[list[Photo]]:
    """As many photos as one request takes, by number and by size."""
    part: list[Photo] = []
    size = 0
    for photo in photos:
        length = len(photo) if isinstance(photo, bytes) else Path(photo).stat().st_size
        if part and (len(part) == MOST or size + length > MOST_BYTES):
            yield part
            part, size = [], 0
        part.append(photo)
        size += length
    if part:
        yield part


def _files(photos: Sequence[Photo]) -> list[tuple[str, tuple[str, bytes, str]]]:
    """The whole files, so that a request can be sent again."""
    return [
        (
            "photo",
            (
                _name(photo),
                photo if isinstance(photo, bytes) else Path(photo).read_bytes(),
                mimetypes.guess_type(_name(photo))[0] or "application/octet-stream",
            ),
        )
        for photo in photos
    ]


def _form(options: dict[str, Any]) -> dict[str, str]:
    """Booleans as the API spells them; what is None is left out."""
    return {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in options.items()
        if value is not None
    }
