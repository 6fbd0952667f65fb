"""A model that another network learns from, and what it says of photos, cached on disk like features."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import onnxruntime

from formats.names import normalize_name
from formats.storage import read_through
from formats.texts import Text
from trainer.engine.errors import ModelError, RecipeError
from trainer.engine.events import Progress, StopRequest
from trainer.engine.manifests import read_manifest
from trainer.engine.networks.features import Halves, outputs_of, session_of
from trainer.engine.opening import VERSION
from trainer.engine.photos.manifest import Photo
from trainer.engine.preprocess import Input


@dataclass(frozen=True)
class Teacher:
    """An exported model: photos → logits of labels and, if it tells any, of scene classes (n, c + k).

    Of a cascade it is the accurate network.
    """

    name: str  # a Text
    file: Path
    sha256: str
    input: Input
    labels: tuple[str, ...]
    scenes: tuple[str, ...]

    @classmethod
    def read(cls, folder: Path) -> Teacher:
        """Raises ModelError, StorageFailure."""
        manifest, file = read_manifest(folder), folder / "model.onnx"
        read_through(file)
        with file.open("rb") as stream:
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
        try:
            spec = Input.from_dict(manifest["input"])
            labels = tuple(normalize_name(label) for label in manifest["labels"])
            scenes = tuple(manifest.get("scenes", ()))
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(
                Text(
                    "manifest.json of %(folder)s has no labels or no input: %(error)s",
                    folder=folder.name,
                    error=error,
                )
            ) from error
        return cls(Text("the teacher %(name)s", name=folder.name), file, sha256, spec, labels, scenes)

    def columns(self, labels: Sequence[str], scenes: Sequence[str]) -> tuple[list[int], bool]:
        """Which of its outputs tell a run's scene classes or, if it does not know all of them, its labels;
        and whether they tell scene classes. Raises RecipeError if it does not know all labels, either.
        """
        if set(scenes) <= set(self.scenes):
            return [len(self.labels) + self.scenes.index(name) for name in scenes], True
        known = [normalize_name(label) for label in labels]
        if unknown := [label for label in known if label not in self.labels]:
            raise RecipeError(
                "teacher",
                Text("the model does not know %(names)s", names=", ".join(unknown[:5])),
                hint=Text("A teacher must know all labels of the photos, or all their scene classes."),
            )
        return [self.labels.index(label) for label in known], False

    def logits(
        self,
        photos: Sequence[Photo],
        cache: Path,
        *,
        stop: StopRequest,
        skipped: Callable[[Photo, str], None],
    ) -> dict[str, Halves]:
        """Rows (c + k,) by content hash, from the cache or computed; photos that cannot be read are left out.

        Raises Stopped, ModelError.
        """
        progress, folder = Progress("teacher", len(photos)), self.folder(cache)
        return outputs_of(
            photos, self, "whole", folder, self.session, stop=stop, progress=progress, skipped=skipped
        )

    def folder(self, cache: Path) -> Path:
        """Where the cache keeps its rows: those of a preparation by this version."""
        return cache / f"{self.kept_as}-{VERSION}"

    @property
    def kept_as(self) -> str:
        """The cache's name of it: another network under the same path has another one."""
        return f"teacher-{self.sha256[:16]}"

    def session(self, threads: int | None = None) -> onnxruntime.InferenceSession:
        """Raises ModelError."""
        try:
            return session_of(self.file, threads)
        except Exception as error:  # onnxruntime raises its own kinds, all private
            raise ModelError(
                Text("%(model)s cannot be loaded: %(error)s", model=self.name, error=str(error)[:200])
            ) from error
