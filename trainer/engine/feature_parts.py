"""Computes features for a supervisor that asks for one part of the photos after another.

The process stays between two requests, so that the backbone is loaded once. A request is a JSON line on
standard input: {"backbone": name, "view": name, "photos": [[path, sha256], …]}. The answer is events on
standard output, the last of which is "answered". The part is one file of the cache, written when all of it is
computed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from formats.storage import for_own_files
from trainer.engine.backbones import BACKBONES
from trainer.engine.events import Progress, StopRequest, emit
from trainer.engine.networks.features import Halves, backbone_session, compute, folder_of, write_chunk
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
    backbone = BACKBONES[request["backbone"]]
    folder = folder_of(cache, backbone, request["view"])
    with for_own_files():
        folder.mkdir(parents=True, exist_ok=True)
    if backbone.name not in sessions:
        sessions.clear()  # of another backbone, which may be large
        sessions[backbone.name] = backbone_session(backbone, cache, threads)
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
    run(photos, backbone, request["view"], sessions[backbone.name], add)
    if hashes:
        write_chunk(folder, hashes, np.concatenate(rows))
    return len(hashes)
