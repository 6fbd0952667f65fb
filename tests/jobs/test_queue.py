"""The queue dies while a worker uses it: a real Valkey, and the part of kombu that a worker uses."""

from __future__ import annotations

from pathlib import Path

import pytest
from kombu import Connection

from hashtags_site.celery import ForgivingQoS
from hashtags_site.valkey import embedded_valkey

pytestmark = pytest.mark.integration


def test_messages_of_a_dead_queue_do_not_end_the_worker(tmp_path: Path) -> None:
    socket = tmp_path / "v.sock"
    with embedded_valkey(socket):
        connection = Connection(f"redis+socket://{socket}")
        queue = connection.SimpleQueue("q")
        queue.put("a job's id")
        message = queue.get(timeout=5)
        assert message.channel
        assert isinstance(message.channel.qos, ForgivingQoS)
    connection.close()
    message.ack()
