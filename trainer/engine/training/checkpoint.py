"""Checkpoints that survive a kill at any moment and rebuild their own network."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any, BinaryIO

import torch

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
    """The content of the newest checkpoint that can be read; one that cannot is told of by an event.

    Raises CheckpointError when none can.
    """
    try:
        return load(folder / NAME)
    except CheckpointError as error:
        try:
            content = load(folder / PREVIOUS)
        except CheckpointError:
            raise CheckpointError(
                error.message,
                hint=f"Remove {NAME} and {PREVIOUS} from the run's folder to start anew, or edit and rerun.",
            ) from error
        emit("damaged", reason=f"{error.message}; going on from the checkpoint before it")
        return content


def remove(folder: Path) -> None:
    """Only a run that goes on needs them. A kill in between leaves the newest."""
    for name in (PREVIOUS, NAME):
        (folder / name).unlink(missing_ok=True)


def save_latest(folder: Path, content: dict[str, Any]) -> Path:
    """A new checkpoint; the one before it is kept as well, as there is no room for three."""
    file, previous = folder / NAME, folder / PREVIOUS
    if file.exists():
        previous.unlink(missing_ok=True)
    save(file, content, previous=previous)
    return file


def save(path: Path, content: dict[str, Any], *, previous: Path | None = None) -> None:
    """Write beside, flush to disk, rename: a reader sees the old file or the new one, never half of one.

    The old one gets the name ``previous`` where one is given that is free.
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
    # Checksums take four fifths of the time, and torch.load does not look at them.
    before = torch.serialization.get_crc32_options()
    torch.serialization.set_crc32_options(False)
    try:
        torch.save({"format": FORMAT, **content}, file)
    except RuntimeError as error:
        # Of a full disk PyTorch says that a position in the file is unexpected.
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
        raise CheckpointError(f"there is no {path.name} in {path.parent.name}") from None
    except Exception as error:  # pickle, zip and file errors alike
        raise CheckpointError(f"{path.name} cannot be read: {str(error)[:200]}") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise CheckpointError(f"{path.name} was written by another version of the engine")
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
