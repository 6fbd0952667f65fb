"""One connection: its bodies are bounded before they are read, and whoever is too slow is cut.

Waitress reads requests and sends answers in one loop, for any number of connections, and takes a thread only
for a request that is complete. It has one limit on bodies for all addresses and none on slowness, as long as
something moves. This module adds both.
"""

from __future__ import annotations

import io
import logging
import socket
import struct
import time
from collections.abc import Callable
from copy import copy
from typing import Any

from django.db import close_old_connections
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.server import TcpWSGIServer
from waitress.task import ErrorTask, WSGITask
from waitress.utilities import RequestEntityTooLarge

from hashtags_site.front import bodies

# Seconds for which a connection may do nothing, take over the head of a request, or go on sending a body
# that is refused. Bodies and answers may take longer while they move PACE bytes a second in each such time.
SECONDS = {"idle": 15.0, "head": 10.0, "refused": 10.0, "body": 15.0, "answer": 15.0}
PACE = 500
PACED = ("body", "answer")
REFUSED_BODY = "scenetag.refused_body"  # in a request's environment: how many bytes would have been taken
log = logging.getLogger(__name__)


class Parser(HTTPRequestParser):  # type: ignore[misc]
    """A request with a limit of its own."""

    adj: Any  # waitress's settings
    upload: bodies.Upload | None = None  # whose permission is not known yet

    def parse_header(self, header_plus: bytes) -> None:
        super().parse_header(header_plus)
        if self.chunked or self.content_length > bodies.MOST:
            self.upload = bodies.upload_at(self.path)
        self.bound(self.upload.most if self.upload else bodies.MOST)

    def received(self, data: bytes) -> int:
        count: int = super().received(data)
        if self.error:
            self.expect_continue = False  # the answer comes instead
        return count

    def bound(self, most: int) -> None:
        self.most = most
        self.adj = copy(self.adj)
        self.adj.max_request_body_size = most + 1

    def check_size(self) -> None:
        """Refuse what is announced, or has come in, beyond the limit."""
        if max(self.content_length, self.body_bytes_received) > self.most:
            self.error, self.completed = RequestEntityTooLarge(""), True


class Question:
    """A task for a thread: may the sender of a large body send it? Meanwhile nothing of it is read."""

    def __init__(self, channel: Channel, parser: Parser) -> None:
        self.channel, self.parser = channel, parser

    def service(self) -> None:
        is_allowed = self._ask()
        with self.channel.requests_lock:
            self.channel.question, self.parser.upload = None, None
            if not is_allowed:
                self.parser.bound(bodies.MOST)
                self.parser.check_size()
            if self.parser.completed:
                self.channel.finish(self.parser)
            elif self.parser.expect_continue:
                self.channel.send_continue()
        self.channel.server.pull_trigger()

    def cancel(self) -> None:
        self.channel.cancel()

    def _ask(self) -> bool:
        assert self.parser.upload
        close_old_connections()
        try:
            return bodies.may_send(WSGITask(self.channel, self.parser).get_environment(), self.parser.upload)
        except Exception as error:  # the database is away: the answer's page will say so
            log.warning("Who sends %s could not be asked: %s", self.parser.path, error)
            return False
        finally:
            close_old_connections()


class Refusal(WSGITask):  # type: ignore[misc]
    """The site answers without the body: see hashtags_site.outages."""

    def __init__(self, channel: Channel, request: Parser) -> None:
        super().__init__(channel, request)
        channel.is_refused = True
        request.headers["CONNECTION"] = "close"

    def get_environment(self) -> dict[str, Any]:
        environ: dict[str, Any] = super().get_environment()
        return environ | {
            "CONTENT_LENGTH": "0",
            "wsgi.input": io.BytesIO(),
            REFUSED_BODY: self.request.most,
        }


def _answer_error(channel: Channel, request: Parser) -> ErrorTask | Refusal:
    task = Refusal if isinstance(request.error, RequestEntityTooLarge) else ErrorTask
    return task(channel, request)


class Channel(HTTPChannel):  # type: ignore[misc]
    parser_class = Parser
    error_task_class = staticmethod(_answer_error)
    request: Parser | None  # that is being read
    question: Question | None = None
    is_refused = False  # the answer goes out while the rest of the body still comes in
    is_draining = False  # and it has gone out
    turn = 0  # requests so far
    moved = 0  # bytes in and out
    step = ("idle", 0)
    moved_before = 0  # the time that is measured

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.since = time.monotonic()  # the beginning of that time
        self.sendbuf_len = 2**16  # the system's is megabytes, of which a slow reader takes a few

    # --- limits -------------------------------------------------------------------------------
    def received(self, data: bytes) -> bool:
        if self.is_draining:
            return False
        is_taken: bool = super().received(data)
        parser = self.request
        if parser is None:
            self.turn += 1
        elif parser.upload and not self.question:
            self.question = Question(self, parser)
            self.server.add_task(self.question)
        return is_taken

    def finish(self, parser: Parser) -> None:
        """Hand a refused request to a thread. Needs `requests_lock`."""
        self.request = None
        self.turn += 1
        self.requests.append(parser)
        if len(self.requests) == 1:
            self.server.add_task(self)

    def send_continue(self) -> None:
        if self.request and not self.request.upload:
            super().send_continue()

    def readable(self) -> bool:
        return self.is_draining or (not self.question and super().readable())

    def writable(self) -> bool:
        return not self.is_draining and bool(super().writable())

    def handle_close(self) -> None:
        """Let the sender of a refused body read the answer: closing at once would reset the connection."""
        if self.is_refused and not self.is_draining and self.connected:
            self.is_draining, self.will_close = True, False
            try:
                self.socket.shutdown(socket.SHUT_WR)
            except OSError:
                pass
            else:
                return
        super().handle_close()

    # --- pace ---------------------------------------------------------------------------------
    def recv(self, size: int) -> bytes:
        data: bytes = super().recv(size)
        self.moved += len(data)
        return data

    def send(self, data: bytes, do_close: bool = True) -> int:
        count: int = super().send(data, do_close)
        self.moved += count
        return count

    @property
    def waits_for(self) -> str:
        """What the site waits for from the other side; empty while it works itself."""
        if self.is_draining:
            return "refused"
        if self.total_outbufs_len:
            return "answer"
        if self.requests or self.question:
            return ""
        if self.request is None:
            return "idle"
        return "body" if self.request.headers_finished else "head"

    def is_too_slow(self, now: float) -> bool:
        """Whether to cut it. To be called about once a second, with the seconds of time.monotonic()."""
        step = (self.waits_for, self.turn)
        if step != self.step:
            self.step, self.since, self.moved_before = step, now, self.moved
        elapsed = now - self.since
        if not step[0] or elapsed <= SECONDS[step[0]]:
            return False
        if step[0] in PACED and self.moved - self.moved_before >= PACE * elapsed:
            self.since, self.moved_before = now, self.moved
            return False
        return True

    def cut(self) -> None:
        """Close it now, whatever is on its way. A thread that writes to it ends with ClientDisconnected."""
        self.is_refused = False
        if self.total_outbufs_len:  # or the kernel would keep megabytes for the slow reader
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.handle_close()


class Server(TcpWSGIServer):  # type: ignore[misc]
    """Accepts connections. When there are too many, the one that keeps the site waiting longest has to go."""

    channel_class = Channel
    most_channels = 1000

    def getsockname(self) -> tuple[str, Any]:
        is_unix = self.family == socket.AF_UNIX
        return ("unix", self.socket.getsockname()) if is_unix else super().getsockname()

    def fix_addr(self, address: Any) -> Any:
        return ("localhost", None) if self.family == socket.AF_UNIX else address

    def set_socket_options(self, connection: socket.socket) -> None:
        if self.family != socket.AF_UNIX:
            super().set_socket_options(connection)

    def handle_accept(self) -> None:
        waiting = [one for one in self.active_channels.values() if one.waits_for]
        if len(self.active_channels) >= self.most_channels and waiting:
            min(waiting, key=lambda one: one.since).cut()
        super().handle_accept()

    def cut_slow(self, now: float) -> None:
        for channel in [one for one in self.active_channels.values() if one.is_too_slow(now)]:
            if channel.step[0] != "idle":  # browsers leave connections open: their end is nothing to report
                log.info("A connection was too slow: %s", channel.step[0])
            channel.cut()

    def cut_idle(self) -> None:
        for channel in [one for one in self.active_channels.values() if one.waits_for == "idle"]:
            channel.cut()


def create_server(
    application: Callable[..., Any],
    listener: socket.socket,
    *,
    sockets: dict[int, Any],
    threads: Any,
    most_channels: int = 1000,
) -> Server:
    """A server on a socket that listens already. `sockets` is waitress's table of all sockets of the loop,
    `threads` its dispatcher.
    """
    server = Server(
        application,
        map=sockets,
        _sock=listener,
        dispatcher=threads,
        bind_socket=False,
        sockinfo=(listener.family, listener.type, listener.proto, listener.getsockname()),
        connection_limit=2 * most_channels,  # never reached: see handle_accept
        channel_timeout=10**9,  # see is_too_slow
        cleanup_interval=10**9,
        max_request_header_size=2**15,
        recv_bytes=2**16,
        inbuf_overflow=2**17,  # larger bodies go to disk
        outbuf_overflow=2**20,
        outbuf_high_watermark=2**28,  # until then an answer waits for a slow reader without a thread
        clear_untrusted_proxy_headers=False,  # settings.PROXIES and BEHIND_PROXY say whom to believe
        ident=None,
    )
    server.most_channels = most_channels
    return server
