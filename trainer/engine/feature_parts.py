"""Computes features for a supervisor that asks for one part of the photos after another.

The process stays between two requests, so that the network is loaded once. A request is a JSON line on
standard input: {"backbone": name, "view": name, "photos": [[path, sha256], …]}, or with "teacher", the folder
of a model, instead of "backbone". The answer is events on standard output, the last of which is "answered".
The part is one file of the cache, written when all of it is computed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from formats.storage import for_own_files
from trainer.engine.backbones import BACKBONES
from trainer.engine.events import Progress, StopRequest, emit
from trainer.engine.networks.features import (
    Halves,
    Reader,
    backbone_session,
    compute,
    folder_of,
    write_chunk,
)
from trainer.engine.networks.teacher import Teacher
from trainer.engine.photos.manifest import Photo, with_hashes

Sessions = dict[str, onnxruntime.InferenceSession]


def answer_requests(requests: Iterable[str], *, cache: Path, threads: int | None, stop: StopRequest) -> None:
    """Answer each request until there are no more. Raises Stopped, WeightsError, NotANumberError and
    StorageFailure; the supervisor then starts another process.
    """
    sessions: Sessions = {}
    for line in requests:
        request = json.loads(line)
        computed = _answer(request, sessions, cache=cache, threads=threads, stop=stop)
        emit("answered", computed=computed)


def _answer(
    request: dict[str, Any], sessions: Sessions, *, cache: Path, threads: int | None, stop: StopRequest
) -> int:
    """How many photos have features now; those that cannot be decoded have none."""
    key, reader, folder, load = _network(request, cache, threads)
    with for_own_files():
        folder.mkdir(parents=True, exist_ok=True)
    if key not in sessions:
        sessions.clear()  # of another network, which may be large
        sessions[key] = load()
    asked = [Photo(sha256, path, "", "") for path, sha256 in request["photos"]]
    # A file that has changed since must not give its features to the photo that it was.
    photos = [photo for photo in with_hashes(asked, stop) if photo.sha256 == photo.photo_id]
    hashes: list[str] = []
    rows: list[Halves] = []

    def add(some: Iterable[str], features: Halves) -> None:
        hashes.extend(some)
        rows.append(features)

    def skip(photo: Photo, reason: str) -> None:
        photo.require_root()

    run = partial(compute, stop=stop, progress=Progress("features", len(photos)), skipped=skip)
    run(photos, reader, request["view"], sessions[key], add)
    if hashes:
        write_chunk(folder, hashes, np.concatenate(rows))
    return len(hashes)


def _network(
    request: dict[str, Any], cache: Path, threads: int | None
) -> tuple[str, Reader, Path, Callable[[], onnxruntime.InferenceSession]]:
    """What tells the network from others, it, its folder of the cache, and the function that loads it."""
    if model := request.get("teacher"):
        teacher = Teacher.read(Path(model))
        return teacher.sha256, teacher, teacher.folder(cache), partial(teacher.session, threads)
    backbone = BACKBONES[request["backbone"]]
    folder = folder_of(cache, backbone, request["view"])
    return backbone.name, backbone, folder, partial(backbone_session, backbone, cache, threads)
