"""What a network says of scene classes on held-out photos: scenes.npz, in a run's folder and in its model's.

A model is relabelled by it, without photos and without training: trainer.engine.serving.relabel.
"""

from __future__ import annotations

import hashlib
import shutil
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from formats.storage import raise_if_of_storage, replacing, replacing_path
from formats.texts import Text
from trainer.engine.errors import ModelError

SCENES = "scenes.npz"
LARGEST = 500 * 2**20  # bytes, unpacked: SUN397's held-out photos take 17 MB
# The least log-probability that is kept. As float16, logarithms give each probability within 0.0002.
LEAST = -16.0


@dataclass(frozen=True)
class SceneAnswers:
    """Log-probabilities (n, k) of scene classes on held-out photos; the true class of each photo (n,), as an
    index; the number of training photos of each class (k,).
    """

    logs: NDArray[np.float32]
    true: NDArray[np.int64]
    trained: NDArray[np.int64]

    @classmethod
    def of(
        cls, logits: NDArray[np.float32], true: NDArray[np.int64], trained: NDArray[np.int64]
    ) -> SceneAnswers:
        """From logits (n, k) of scene classes."""
        from scipy.special import log_softmax  # takes 0.2 s, which reading does not need

        logs = np.maximum(log_softmax(logits.astype(np.float64), axis=1), LEAST)
        return cls(logs.astype(np.float32), true, trained)

    def write(self, file: Path) -> None:
        """Raises StorageFailure."""
        with replacing(file, "wb") as opened:
            np.savez_compressed(
                opened,
                logs=self.logs.astype(np.float16),
                true=self.true.astype(np.int32),
                trained=self.trained.astype(np.int32),
            )

    @classmethod
    def read(cls, file: Path, scenes: Sequence[str]) -> SceneAnswers:
        """Raises ModelError if the file does not hold what its scene classes need, and StorageFailure."""
        try:
            with zipfile.ZipFile(file) as parts:
                if sum(part.file_size for part in parts.infolist()) > LARGEST:
                    raise ValueError(f"unpacked it takes more than {LARGEST} bytes")
            with np.load(file) as arrays:  # refuses pickles
                logs, true, trained = (arrays[name] for name in ("logs", "true", "trained"))
            _check(logs, true, trained, len(scenes))
        except FileNotFoundError as error:
            raise_if_of_storage(error, file.parent.parent)
            raise ModelError(Text("the model has no %(scenes)s", scenes=SCENES)) from error
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise_if_of_storage(error)
            raise ModelError(
                Text("%(scenes)s cannot be used: %(error)s", scenes=SCENES, error=error)
            ) from error
        return cls(logs.astype(np.float32), true.astype(np.int64), trained.astype(np.int64))


def _check(logs: NDArray[Any], true: NDArray[Any], trained: NDArray[Any], k: int) -> None:
    """Raises ValueError."""
    if any(part.dtype != np.int32 or part.ndim != 1 for part in (true, trained)) or not len(true):
        raise ValueError("it must have a list of photos and one of scene classes")
    if logs.dtype != np.float16 or logs.shape != (len(true), k) or len(trained) != k:
        raise ValueError(f"it must have {k} numbers for each photo, one for each scene class")
    if not np.isfinite(logs).all() or (logs > 0).any():
        raise ValueError("its logarithms of probabilities must be finite and not above 0")
    if not ((true >= 0) & (true < k)).all() or not (trained >= 0).all():
        raise ValueError("its photos must be of its scene classes")


def refusal(manifest: Mapping[str, Any]) -> str:
    """A Text: why a model with this manifest cannot be relabelled; empty if it can."""
    if "cascade" in manifest:
        return Text("it is a cascade, whose limits are chosen from two runs on the same release")
    if not manifest.get("scenes"):
        return Text("it learned labels only and does not tell scene classes")
    if "scenes_sha256" not in manifest or "scene_labels" not in manifest:
        return Text("it came without what it says of scene classes on held-out photos")
    return ""


def take_along(source: Path, target: Path) -> dict[str, str]:
    """Copy the folder's scenes.npz, if it has one, into another; returns what a manifest says of it."""
    if not (source / SCENES).exists():
        return {}
    with replacing_path(target / SCENES) as part:
        shutil.copyfile(source / SCENES, part)
    return {"scenes_sha256": hashlib.sha256((target / SCENES).read_bytes()).hexdigest()}
