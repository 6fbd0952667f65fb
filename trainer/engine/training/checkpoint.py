"""Writes and reads checkpoints, which survive a kill at any moment."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any, BinaryIO

import torch

from formats.storage import raise_if_of_storage, read_through
from formats.texts import Text
from trainer.engine.errors import EngineError
from trainer.engine.events import emit

FORMAT = 1
NAME, PREVIOUS = "checkpoint.pt", "checkpoint.old"


class CheckpointError(EngineError):
    """A checkpoint is damaged, or belongs to another recipe."""

    kind = "recipe"


def exists(folder: Path) -> bool:
    return any((folder / name).exists() for name in (NAME, PREVIOUS))


def latest(folder: Path) -> dict[str, Any]:
    """The content of the newest readable checkpoint; an event reports an unreadable one.

    Raises CheckpointError if none can be read.
    """
    try:
        return load(folder / NAME)
    except CheckpointError as error:
        try:
            content = load(folder / PREVIOUS)
        except CheckpointError:
            raise CheckpointError(
                error.message,
                hint=Text(
                    "Remove %(name)s and %(previous)s from the run's folder to start anew, or edit "
                    "and rerun.",
                    name=NAME,
                    previous=PREVIOUS,
                ),
            ) from error
        emit("damaged", reason=f"{error.message}; continuing from the checkpoint before it")
        return content


def remove(folder: Path) -> None:
    """Remove the checkpoints of a finished run. A kill in between leaves the newest."""
    for name in (PREVIOUS, NAME):
        (folder / name).unlink(missing_ok=True)


def save_latest(folder: Path, content: dict[str, Any]) -> Path:
    """Write a new checkpoint and keep the one before it; an older one is removed first, to save room."""
    file, previous = folder / NAME, folder / PREVIOUS
    if file.exists():
        previous.unlink(missing_ok=True)
    save(file, content, previous=previous)
    return file


def save(path: Path, content: dict[str, Any], *, previous: Path | None = None) -> None:
    """Write a temporary file, flush it to disk and rename it: a reader sees the old or the new file, never a
    part.

    The old file is kept under the name ``previous``, if that is given and free.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            _write(content, file)
            file.flush()
            os.fsync(file.fileno())
        if previous is not None and path.exists() and not previous.exists():
            os.link(path, previous)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _write(content: dict[str, Any], file: BinaryIO) -> None:
    # Checksums take four fifths of the time, and torch.load does not check them.
    before = torch.serialization.get_crc32_options()
    torch.serialization.set_crc32_options(False)
    try:
        torch.save({"format": FORMAT, **content}, file)
    except RuntimeError as error:
        # If the disk is full, PyTorch complains of an unexpected position in the file.
        if isinstance(error.__context__, OSError):
            raise error.__context__ from None
        raise
    finally:
        torch.serialization.set_crc32_options(before)


def load(path: Path) -> dict[str, Any]:
    """The content of a checkpoint, on the processor; raises CheckpointError if it is damaged."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise CheckpointError(
            Text("there is no %(file)s in %(folder)s", file=path.name, folder=path.parent.name)
        ) from None
    except Exception as error:  # pickle, zip and file errors alike
        raise_if_of_storage(error)
        read_through(path)  # torch only says that it could not read on
        raise CheckpointError(
            Text("%(file)s cannot be read: %(error)s", file=path.name, error=str(error)[:200])
        ) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise CheckpointError(Text("%(file)s was written by another version of the engine", file=path.name))
    return content


def random_state() -> dict[str, torch.Tensor]:
    state = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state()
    return state


def restore_random(state: dict[str, torch.Tensor]) -> None:
    torch.set_rng_state(state["cpu"])
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])
