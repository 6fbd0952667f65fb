"""A worker for gunicorn, which starts, watches and restarts the processes. Waitress serves in each of them.

`gunicorn hashtags_site.wsgi --worker-class hashtags_site.front.worker.Worker`, see decision 0021.
"""

from __future__ import annotations

import ctypes
import logging
import os
import resource
import tempfile
import time
from typing import Any

from gunicorn.workers import base
from waitress import wasyncore
from waitress.task import ThreadedTaskDispatcher

LOOK_EVERY = 1.0  # seconds between looks for slow connections
END_SECONDS = 1  # for threads without a request to end; whoever still works is cut after graceful_timeout
FILES_PER_CONNECTION = 2  # its socket, and its body on disk
MMAP_THRESHOLD = -3  # M_MMAP_THRESHOLD of glibc's malloc.h
LARGE = 256 * 1024  # bytes; a decoded photo and what a network computes take megabytes


def return_large_blocks() -> None:
    """From now on the system gets memory of LARGE bytes and more back as soon as it is free.

    By itself glibc raises that limit up to 32 MB, and each thread keeps what photos and networks took: see
    docs/measured.md. Other C libraries have no such setting.
    """
    if mallopt := getattr(ctypes.CDLL(None), "mallopt", None):
        mallopt(MMAP_THRESHOLD, LARGE)


class Worker(base.Worker):  # type: ignore[misc]
    def run(self) -> None:
        """Serve until gunicorn asks to stop; then complete what was begun."""
        self._prepare()
        # Not at the top: gunicorn imports this module before Django is set up.
        from hashtags_site.front.channel import create_server

        sockets: dict[int, Any] = {}
        threads = ThreadedTaskDispatcher()
        threads.set_thread_count(self.cfg.threads)
        most_channels = self.cfg.worker_connections
        self.servers = [
            create_server(self.wsgi, one.sock, sockets=sockets, threads=threads, most_channels=most_channels)
            for one in self.sockets
        ]
        while self.alive and os.getppid() == self.ppid:
            self._serve(sockets)
        self._complete(sockets)
        threads.shutdown(timeout=END_SECONDS)

    def _prepare(self) -> None:
        from django.conf import settings

        return_large_blocks()
        tempfile.tempdir = str(settings.FILE_UPLOAD_TEMP_DIR)  # large bodies: /tmp may be memory
        logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # a line for each request that waits
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        needed = FILES_PER_CONNECTION * self.cfg.worker_connections + 500
        if hard != resource.RLIM_INFINITY:
            needed = min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, needed), hard))
        self.next_look = 0.0

    def _serve(self, sockets: dict[int, Any]) -> None:
        wasyncore.loop(timeout=LOOK_EVERY, use_poll=True, map=sockets, count=1)
        now = time.monotonic()
        if now >= self.next_look:
            self.next_look = now + LOOK_EVERY
            self.notify()
            for server in self.servers:
                server.cut_slow(now)

    def _complete(self, sockets: dict[int, Any]) -> None:
        for server in self.servers:
            server.del_channel(sockets)  # accept no more; the socket itself belongs to gunicorn
        until = time.monotonic() + self.cfg.graceful_timeout
        while time.monotonic() < until:
            for server in self.servers:
                server.cut_idle()
            if not any(server.active_channels for server in self.servers):
                break
            self._serve(sockets)
