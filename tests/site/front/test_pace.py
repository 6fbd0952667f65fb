"""Slow connections cost no thread, and are cut."""

from __future__ import annotations

from contextlib import suppress

import pytest

from hashtags_site.front.channel import PACE, SECONDS, Channel
from tests.conftest import wait_for
from tests.site.front.conftest import Front, read_answer

ICON = b"GET /favicon.ico HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
BODY = b"POST /login/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n"


def is_cut_after(channel: Channel, seconds: float) -> bool:
    """As if so many seconds went by from now on."""
    channel.is_too_slow(channel.since)
    return channel.is_too_slow(channel.since + seconds)


@pytest.mark.parametrize("step", ["idle", "head", "body"])
def test_who_says_nothing_more_is_cut(front: Front, step: str) -> None:
    client = front.connect({"idle": b"", "head": b"GET / HTTP/1.1\r\nX: ", "body": BODY + b"abc"}[step])
    channel = front.channel(client, step)
    assert not is_cut_after(channel, SECONDS[step] - 0.1)
    assert is_cut_after(channel, SECONDS[step] + 0.1)


def test_head_has_one_deadline_however_it_drips(front: Front) -> None:
    client = front.connect(b"GET / HTTP/1.1\r\nX: ")
    channel = front.channel(client, "head")
    channel.is_too_slow(channel.since)
    before = channel.moved
    client.sendall(bytes(b"x" * 8000))
    wait_for(lambda: channel.moved == before + 8000, 20, "the head did not arrive")
    assert is_cut_after(channel, SECONDS["head"] + 0.1)


def test_body_must_keep_its_pace(front: Front) -> None:
    client = front.connect(BODY)
    channel = front.channel(client, "body")
    channel.is_too_slow(began := channel.since)
    before = channel.moved
    client.sendall(bytes(20 * PACE))
    wait_for(lambda: channel.moved == before + 20 * PACE, 20, "the body did not arrive")
    assert not channel.is_too_slow(began + 19)  # 20 s worth of bytes
    assert not channel.is_too_slow(began + 33)
    assert channel.is_too_slow(began + 35)  # nothing since


def test_answer_that_nobody_reads_is_cut(front: Front) -> None:
    requests = ICON.replace(b"Connection: close", b"X: y") * 10_000  # more than the sockets' buffers hold
    client = front.connect()
    client.settimeout(0.2)
    with suppress(TimeoutError):
        while client.send(requests):
            pass
    channel = front.channel(client, "answer")
    assert not is_cut_after(channel, SECONDS["answer"] - 0.1)
    assert is_cut_after(channel, SECONDS["answer"] + 0.1)


def test_each_request_of_a_connection_begins_anew(front: Front) -> None:
    request = ICON.replace(b"Connection: close", b"X: y")
    client = front.connect(request)
    channel = front.channel(client, "idle")
    wait_for(lambda: channel.turn == 1, 20, "no answer")
    channel.is_too_slow(0)
    client.sendall(request)
    wait_for(lambda: channel.turn == 2, 20, "no second answer")
    front.channel(client, "idle")
    assert not channel.is_too_slow(SECONDS["idle"] + 1)


def test_connection_that_is_cut_ends(front: Front) -> None:
    client = front.connect(BODY)
    front.channel(client, "body")
    front.is_over = True  # the loop's own thread is the one that cuts
    front.server.pull_trigger()
    front.loop.join()
    for now in (0.0, 1000.0):
        front.server.cut_slow(now)
    assert read_answer(client) == (0, b"")
    assert not front.server.active_channels


def test_slow_ones_keep_nobody_waiting(front: Front) -> None:
    """Two threads, and fifty who never send their bodies."""
    slow = [front.connect(BODY + b"a") for _ in range(50)]
    for client in slow:
        front.channel(client, "body")
    assert read_answer(front.connect(ICON))[0] == 200


def test_too_many_push_out_the_one_that_waited_longest() -> None:
    front = Front(most_channels=3)
    try:
        first, *others = [front.connect(BODY) for _ in range(3)]
        for client in (first, *others):
            front.channel(client, "body")
        assert read_answer(front.connect(ICON))[0] == 200
        assert read_answer(first) == (0, b"")
        for client in others:
            front.channel(client, "body")
    finally:
        front.stop()
